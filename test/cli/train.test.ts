import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { createRuntimeSync, loadModel, readSafetensors } from "../../src/index.ts";
import { loadPredictor } from "../../src/predict.ts";
import { hasRelaxed } from "../support/core.ts";
import { Folder, idx, iris, outcome, program } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

/** y = 1000 · (a − 2b) + 5000, and a column to leave out. */
const line = Array.from({ length: 120 }, (_, i) => {
  const [a, b] = [(i * 7) % 13, (i * 5) % 11];
  return `${i};${a};${b};${1000 * (a - 2 * b) + 5000}`;
});
folder.write("line.csv", `\ufeffid;a;b;y\r\n${line.join("\r\n")}\r\n`);

/** Images of 2 × 3 whose brightest row is the label, and their labels. */
const rows = Array.from({ length: 60 }, (_, i) => i % 2);
const pixels = rows.flatMap((row, i) =>
  [0, 0, 0, 1, 1, 1].map((r) => (r === row ? 200 : 30) + (i % 20)),
);
folder.write("t-images-idx3-ubyte.gz", gzipSync(idx([60, 2, 3], pixels)));
folder.write(
  "t-labels-idx1-ubyte",
  idx(
    [60],
    rows.map((row) => row + 4),
  ),
);

const lines = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((one) => JSON.parse(one));

describe("a table of classes", () => {
  test("becomes a model that the library loads and that knows the classes", async () => {
    const stdout = await folder.succeeding("train", iris, "--seed", "3", "--epochs", "60");
    expect(stdout).toMatch(
      /iris.csv: 120 examples to learn from, 30 others to check with; 3 classes/,
    );
    expect(stdout).toMatch(
      /^epoch 60\/60 {2}loss [\d.]+, [\d.]+ % right; validation [\d.]+, [\d.]+ % right$/m,
    );
    expect(stdout).toMatch(/^loss, learning\n( +[\d.]+ ┤.*\n){9}/m);
    const right = /^([\d.]+) % right on 30 examples/m.exec(stdout)?.[1];
    expect(Number(right)).toBeGreaterThanOrEqual(85); // seeds 1 to 8 gave 86.67 to 96.67
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);

    const bytes = folder.read("model.safetensors");
    const { metadata } = readSafetensors(bytes);
    expect(JSON.parse(metadata.get("data") as string)).toEqual({
      ...{ format: "csv", loss: "softmax", classes: ["setosa", "versicolor", "virginica"] },
      features: ["sepal_length", "sepal_width", "petal_length", "petal_width"],
      ...{ label: "species", header: true },
    });
    // In centimetres, as they stand in the table.
    const model = loadModel(createRuntimeSync(), bytes);
    expect([
      ...model.classify([
        [5.1, 3.5, 1.4, 0.2],
        [6.3, 3.3, 6, 2.5],
      ]),
    ]).toEqual(["setosa", "virginica"]);
    expect((await loadPredictor(bytes)).predict([5.1, 3.5, 1.4, 0.2])).toHaveLength(3);
  });

  test("gives the same bytes by the same seed, on any number of threads, and others by another", async () => {
    const own = ["train", iris, "--epochs", "5", "--layers", "16,relu,batchnorm,dropout:0.1", "-q"];
    await Promise.all([
      folder.succeeding(...own, "-o", "a", "--seed", "9"),
      folder.succeeding(...own, "-o", "b", "--seed", "9", "--threads", "2"),
      folder.succeeding(...own, "-o", "c", "--seed", "8"),
    ]);
    expect(folder.read("b")).toEqual(folder.read("a"));
    expect(folder.read("c")).not.toEqual(folder.read("a"));
  });

  test("with --weights stores them in less, and tells what the file's own numbers answer", async () => {
    const own = ["train", iris, "--epochs", "20", "--layers", "64,relu", "--json", "-o"];
    const sizes: number[] = [];
    for (const weights of ["float32", "float16", "int8"]) {
      const stdout = await folder.succeeding(...own, weights, "--weights", weights);
      const { bytes, validationAccuracy } = lines(stdout).at(-1) as Record<string, number>;
      sizes.push(bytes as number);
      expect(folder.read(weights)).toHaveLength(bytes as number);
      const answers = await folder.succeeding("predict", weights, iris, "--json");
      expect(answers).toContain("accuracy");
      expect(validationAccuracy).toBeGreaterThan(0.8);
      const tensors = JSON.parse(await folder.succeeding("inspect", weights, "--json")).tensors;
      const dtypes = new Map(
        tensors.map((t: { name: string; dtype: string }) => [t.name, t.dtype]),
      );
      expect(dtypes.get("1.weight")).toBe({ float32: "F32", float16: "F16", int8: "I8" }[weights]);
      expect(dtypes.get("1.bias")).toBe("F32");
    }
    // 448 weights of four bytes, of two, and of one with 67 scales of four.
    expect(Math.round(((sizes[0] as number) - (sizes[1] as number)) / 100)).toBe(9);
    expect(sizes[2]).toBeLessThan(sizes[1] as number);
  });

  test("with --relaxed trains as well, and says where this host has none", async () => {
    const { stderr, code } = await folder.lamella(
      ...["train", iris, "--epochs", "2", "-q", "-o", "relaxed", "--relaxed"],
    );
    const missing = "--relaxed: this host does not know relaxed SIMD; the strict build computes\n";
    expect({ stderr, code }).toEqual({ stderr: hasRelaxed ? "" : missing, code: 0 });
  });

  test("as JSON is an object for each epoch and the result, and nothing else", async () => {
    const stdout = await folder.succeeding(
      ...["train", iris, "--json", "--epochs", "4", "--layers", "none", "-o", "j"],
    );
    const events = lines(stdout);
    expect(events).toHaveLength(5);
    const number = expect.any(Number);
    const figures = {
      loss: number,
      accuracy: number,
      validationLoss: number,
      validationAccuracy: number,
    };
    for (const [i, event] of events.slice(0, 4).entries()) {
      expect(event).toEqual({ type: "epoch", epoch: i + 1, ...figures, examplesPerSecond: number });
    }
    const best = events.slice(0, 4).reduce((a, b) => (b.validationLoss < a.validationLoss ? b : a));
    expect(events[4]).toEqual({
      ...{ type: "done", file: "j", bytes: folder.read("j").length, parameters: 15 },
      ...{ epoch: best.epoch, epochs: 4, interrupted: false, stopped: false },
      ...{ examples: 120, validationExamples: 30, ...figures },
      validationLoss: best.validationLoss,
      ...{ perClass: expect.any(Array), confusion: expect.any(Array) },
      ...{ classes: ["setosa", "versicolor", "virginica"], seed: 0, seconds: number },
      ...{ variant: "strict", threads: 1 },
    });
  });

  test("from a table without a header has columns 1, 2, …", async () => {
    folder.write("bare.csv", "1,2,5\n3,4,7\n1,2,5\n3,5,7\n");
    await folder.succeeding(
      "train",
      "bare.csv",
      "--no-header",
      "--epochs",
      "2",
      "-q",
      "-o",
      "bare",
    );
    const data = JSON.parse(readSafetensors(folder.read("bare")).metadata.get("data") as string);
    expect(data).toMatchObject({ classes: ["5", "7"], label: "3", header: false });
    expect(data.features).toBeUndefined();
  });

  test("that diverges fails, and leaves no file", async () => {
    const { stderr, code } = await folder.lamella(
      ...["train", iris, "-q", "--learning-rate", "1e30", "-o", "none"],
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^lamella train: the loss is (NaN|Infinity) in epoch \d+: --learning-rate 1e\+30 is too large/,
    );
    expect(existsSync(`${folder.path}/none`)).toBe(false);
  });
});

describe("a table of values", () => {
  test("is learned in the label's own unit, from semicolons, a byte order mark and \\r\\n too", async () => {
    const stdout = await folder.succeeding(
      ...["train", "line.csv", "--loss", "mse", "--drop", "id", "--layers", "none"],
      ...["--learning-rate", "0.05", "--epochs", "60", "-o", "line"],
    );
    const rSquared = /R² ([\d.]+) on 24 examples/.exec(stdout)?.[1];
    expect(Number(rSquared)).toBeGreaterThan(0.999);
    const model = loadModel(createRuntimeSync(), folder.read("line"));
    const [answer] = model.predict([[10, 3]]).data;
    // of values from −15,000 to 17,000
    expect(Math.abs((answer as number) - 9000)).toBeLessThan(200);
  });

  test("ends early, and tells after which epoch", async () => {
    const events = lines(
      await folder.succeeding(
        ...["train", "line.csv", "--label", "y", "--loss", "mse", "--drop", "id", "--json"],
        ...["--patience", "3", "--epochs", "5000", "-o", "early"],
      ),
    );
    const done = events.at(-1);
    expect(done).toMatchObject({ type: "done", stopped: true, epochs: events.length - 1 });
    expect(done.epoch).toBe(done.epochs - 3);
    expect(done.epochs).toBeLessThan(5000);
  });
});

describe("images", () => {
  test("are learned from IDX by gzip, their labels found beside them", async () => {
    const stdout = await folder.succeeding(
      ...["train", "t-images-idx3-ubyte.gz", "--epochs", "20", "--batch", "8", "-o", "images"],
    );
    expect(stdout).toContain("2 classes (4, 5)");
    expect(stdout).toMatch(/^100.00 % right on 12 examples/m);
    const model = loadModel(createRuntimeSync(), folder.read("images"));
    expect(model.input).toEqual([2, 3]);
  });

  test("of another count than their labels are refused, and those without any", async () => {
    folder.write("few", idx([2], [0, 1]));
    const args = ["train", "t-images-idx3-ubyte.gz", "-o", "x"];
    expect((await folder.lamella(...args, "--labels", "few")).stderr).toBe(
      "lamella train: few: expected 60 labels, one for each example of t-images-idx3-ubyte.gz, got 2\n",
    );
    folder.write("alone", idx([2, 1, 1], [0, 1]));
    expect(await folder.lamella("train", "alone")).toEqual({
      stdout: "",
      stderr:
        "lamella train: alone has images alone: --labels names the IDX file with their labels\n",
      code: 2,
    });
    folder.write("cut", idx([2, 1, 1], [0]));
    expect((await folder.lamella("train", "cut")).stderr).toMatch(
      /^lamella train: cut: cut short: /,
    );
    folder.write("broken.gz", gzipSync(idx([2], [0, 1])).subarray(0, 15));
    expect((await folder.lamella("train", "broken.gz")).stderr).toMatch(
      /^lamella train: broken.gz: not whole as gzip: /,
    );
  });
});

describe("interrupted", () => {
  const long = ["train", iris, "--epochs", "1000000", "--json"];

  test.each<["SIGINT" | "SIGTERM", number]>([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])("by %s it writes the best model so far, and ends with %d", async (signal, code) => {
    const name = `after-${signal}`;
    const child = folder.start(...long, "-o", name);
    let sent = false;
    const result = await outcome(child, (stdout) => {
      if (sent || !stdout.includes('"epoch":3,')) return;
      sent = true;
      child.kill(signal);
    });
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code, stderr: "" });
    const events = lines(result.stdout);
    const done = events.pop();
    const best = events.reduce((a, b) => (b.validationLoss < a.validationLoss ? b : a));
    expect(done).toMatchObject({ type: "done", interrupted: true, epoch: best.epoch });
    expect(loadModel(createRuntimeSync(), folder.read(name)).output).toEqual([3]);
  });

  // `script` of util-linux gives its command a terminal, and passes on what is typed.
  const script = "/usr/bin/script";
  const inTerminals = test.skipIf(process.platform !== "linux" || !existsSync(script));
  inTerminals(
    "it leaves a terminal with its cursor on, and draws in colour unless NO_COLOR says no",
    async () => {
      const inTerminal = async (more: Record<string, string>) => {
        // Node takes CI's terminals for colourless.
        const { NO_COLOR: _, CI: __, ...env } = process.env;
        const command = `"${process.execPath}" "${program}" train "${iris}" --epochs 1000000 -o tty`;
        const child = spawn(script, ["-qec", command, "/dev/null"], {
          cwd: folder.path,
          env: { ...env, TERM: "xterm", ...more },
        });
        let typed = false;
        return outcome(child, (stdout) => {
          if (typed || !/epoch \d{2,}\/1000000 {2}loss/.test(stdout)) return;
          typed = true;
          child.stdin.write("\x03");
        });
      };
      const coloured = await inTerminal({});
      expect(coloured.code).toBe(130);
      expect(coloured.stdout.lastIndexOf("\x1b[?25h")).toBeGreaterThan(
        coloured.stdout.lastIndexOf("\x1b[?25l"),
      );
      expect(coloured.stdout).toContain("\x1b[34mloss, learning\x1b[0m, \x1b[33mloss, validation");
      const plain = await inTerminal({ NO_COLOR: "1" });
      expect(plain.code).toBe(130);
      expect(plain.stdout).toContain("░");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      expect(plain.stdout).not.toMatch(/\x1b\[\d*m/);
    },
  );
});

test("a reader that leaves early does not end a training", async () => {
  const child = folder.start("train", iris, "--epochs", "60", "-o", "unread");
  child.stdout?.destroy();
  expect(await outcome(child)).toMatchObject({ stderr: "", code: 0 });
  expect(loadModel(createRuntimeSync(), folder.read("unread")).output).toEqual([3]);
});

test("no half-written file is left", () => {
  expect(readdirSync(folder.path).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});
