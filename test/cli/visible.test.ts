// Whatever came from a file is visible before a terminal gets it, and what a spreadsheet would run
// is text.

import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { visible, visibleLines } from "../../src/cli/fault.ts";
import { json } from "../../src/cli/terminal.ts";
import {
  affine,
  createRuntimeSync,
  readSafetensors,
  Sequential,
  saveModel,
  writeSafetensors,
} from "../../src/index.ts";
import { environment } from "../package/installed.ts";
import { Folder, iris, outcome, program } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

/**
 * A screen cleared, a title set, a direction, ends of lines, half a pair, deletion, a C1 control, a
 * tag.
 */
const EVIL = "a\x1b[2Jb\x1b]0;t\x07c\u202ed\u2028e\u0085f\x7fg\x9bh\r\ni\u{e0041}j\u200b\x00k";
/** The same in a table, where a zero byte would be refused at once. */
const CELL = EVIL.replaceAll("\0", "");
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\p{Cf}\u2028\u2029]/u;

const runtime = createRuntimeSync();
const { tensors, metadata } = readSafetensors(
  saveModel(new Sequential(runtime, { input: [2], layers: [affine(3)], seed: 1 })),
);
const file = (changes: Record<string, string>, more: Record<string, unknown> = {}) =>
  writeSafetensors({ ...Object.fromEntries(tensors), ...more } as never, {
    ...Object.fromEntries(metadata),
    ...changes,
  });
const described = (value: object) =>
  file({ data: JSON.stringify({ format: "csv", loss: "softmax", ...value }) });
const architecture = (layers: unknown) =>
  file({ architecture: JSON.stringify({ input: [2], dtype: EVIL, layers }) });
const one = { dtype: "F32", shape: [1], data: new Uint8Array(4) };

beforeAll(() => {
  folder.write("names", file({ [EVIL]: EVIL, kind: EVIL }, { [EVIL]: one }));
  folder.write("tensor", file({}, { [EVIL]: one }));
  folder.write("foreign", writeSafetensors({ [EVIL]: one } as never, { format: EVIL }));
  folder.write("kinds", architecture([{ kind: EVIL }, { kind: "affine", units: EVIL }]));
  folder.write("classes", described({ classes: [EVIL, `${EVIL}2`, "c"] }));
  folder.write("label", described({ classes: undefined, loss: "mse", label: EVIL }));
  folder.write(
    "features",
    described({ classes: [EVIL, "b", "c"], features: [EVIL, "y"], label: EVIL }),
  );
  folder.write("rows.csv", "1,2\n3,4\n");
  folder.write("head.csv", `"${CELL}",y,"${CELL}2"\n1,2,x\n`);
  folder.write(
    "train.csv",
    `a,"${CELL}"\n1,"${CELL}x"\n2,"${CELL}y"\n3,"${CELL}x"\n4,"${CELL}y"\n`,
  );
  folder.write("same.csv", `a,"${CELL}"\n1,"${CELL}"\n2,"${CELL}"\n`);
  folder.write("text.csv", `a,"${CELL}",c\n1,"${CELL}",x\n2,"${CELL}3",y\n`);
});

const commands: string[][] = [
  ...["names", "tensor", "foreign", "kinds", "classes", "label", "features"].flatMap((name) => [
    ["inspect", name],
    ["inspect", name, "--json"],
    ["predict", name, "rows.csv"],
    ["predict", name, "rows.csv", "--json"],
    ["predict", name, "rows.csv", "--answer", "probabilities"],
    ["predict", name, "head.csv"],
  ]),
  ["train", "train.csv", "--epochs", "2"],
  ["train", "train.csv", "--epochs", "2", "--json"],
  ["train", "same.csv"],
  ["train", "text.csv"],
  ["train", "head.csv"],
  ["train", "train.csv", "--label", CELL],
  ["train", "train.csv", "--drop", "none\x1b[2J"],
  ["train", "train.csv", "--out", "no\x1b[2J/where"],
  ["train", "no\x1b[2J", "--verbose"],
  ["\x1b[2J"],
  ["train", "--\x1b[2J"],
  ["train", "train.csv", "--epochs", "\x1b[2J"],
];

test("no command prints what a terminal would obey, to either stream", async () => {
  for (const args of commands) {
    const { stdout, stderr } = await folder.lamella(...args);
    expect([args, stdout.match(CONTROLS), stderr.match(CONTROLS)]).toEqual([args, null, null]);
    expect((stdout + stderr).length).toBeGreaterThan(0);
  }
}, 120_000);

const script = "/usr/bin/script"; // of util-linux: it gives its command a terminal
test.skipIf(process.platform !== "linux" || !existsSync(script))(
  "nor does any where colours are shown, or what is raw is asked for",
  async () => {
    for (const args of [
      ["inspect", "names"],
      ["inspect", "classes"],
      ["predict", "classes", "rows.csv"],
      ["predict", "classes", "rows.csv", "--raw-csv"],
      ["predict", "classes", "rows.csv", "--json"],
      ["predict", "names", "rows.csv"],
      ["train", "train.csv", "--epochs", "1"],
    ]) {
      const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(" ");
      const child = spawn(script, ["-qec", command, "/dev/null"], {
        cwd: folder.path,
        env: { ...environment(), TERM: "xterm-256color" },
      });
      child.stdin?.end();
      const { stdout } = await outcome(child);
      expect(stdout).toContain("a\\u");
      // Colours, the bar's cursor, and the ends of a terminal's lines are the command's own.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      const own = /\x1b(?:[78]|\[(?:\?\d+[hl]|\d*[GKJA]|[012]m|3[34]m))|\r/g;
      expect([args, stdout.replaceAll(own, "").replaceAll("^D\b\b", "").match(CONTROLS)]).toEqual([
        args,
        null,
      ]);
    }
  },
);

test("JSON has the values as they are in the file", async () => {
  const inspected = JSON.parse(await folder.succeeding("inspect", "names", "--json"));
  expect(inspected.metadata[EVIL]).toBe(EVIL);
  expect(inspected.tensors.map(({ name }: { name: string }) => name)).toContain(EVIL);
  const { predictions } = JSON.parse(
    await folder.succeeding(
      "predict",
      "classes",
      "rows.csv",
      "--json",
      "--answer",
      "probabilities",
    ),
  );
  expect(Object.keys(predictions[0].probabilities)).toEqual([EVIL, `${EVIL}2`, "c"]);
});

test("JSON of any text is read back as that text, and shows none of it raw", () => {
  for (let code = 0; code < 0x11_0000; code += code < 0x3000 ? 1 : 97) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const text = String.fromCodePoint(code);
    const written = json({ [text]: text });
    expect(JSON.parse(written)).toEqual({ [text]: text });
    expect(CONTROLS.test(written)).toBe(false);
  }
  expect(JSON.parse(json("\ud800"))).toBe("\ud800");
});

test("a visible text is no longer than it may be, and cuts no character in two", () => {
  for (const unit of ["x", "😀", "\x1b", "\u{e0041}", "\ud800"]) {
    for (const count of [1, 199, 200, 201, 100_000]) {
      const shown = visible(unit.repeat(count));
      expect(shown.length).toBeLessThanOrEqual(201);
      expect(shown).not.toMatch(CONTROLS);
      expect(Buffer.from(shown).toString()).toBe(shown); // no half of a pair
    }
  }
  expect(visibleLines("a\n\tb\x1b\r")).toBe("a\n\tb\\u{1b}\\u{d}");
});

describe("a message is one line of at most 2,000 characters, whatever a file says", () => {
  const long = "A".repeat(1_000_000);
  const many = Array.from({ length: 200_000 }, (_, i) => `name${i}`);
  test.each<[string, () => Uint8Array]>([
    [
      "an input of a million characters",
      () => file({ architecture: JSON.stringify({ input: long, layers: [] }) }),
    ],
    ["a kind of a million", () => architecture([{ kind: long }])],
    ["units that are an object", () => architecture([{ kind: "affine", units: { toString: 1 } }])],
    ["a kind that is an object", () => architecture([{ kind: { toString: 1 } }])],
    ["features without end", () => described({ classes: ["a", "b", "c"], features: many })],
  ])("%s, and no more", async (_, make) => {
    folder.write("long", make());
    for (const args of [
      ["predict", "long", "rows.csv"],
      ["inspect", "long"],
    ]) {
      const { stdout, stderr } = await folder.lamella(...args);
      expect(stderr.length).toBeLessThan(2100);
      expect(stderr).toMatch(/^([^\n]*\n)?$/);
      expect(stderr).not.toContain("TypeError");
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThan(1000);
    }
  });
});

test("inspect shows a hundred thousand layers and tensors by the first thousand", async () => {
  const layers = Array.from({ length: 130_000 }, () => ({ kind: "relu" }));
  const more = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`t${i}`, one]));
  const text = JSON.stringify({ input: [2], dtype: "float32", layers });
  folder.write("deep", file({ architecture: text }, more));
  const { stdout, stderr, code } = await folder.lamella("inspect", "deep");
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  expect(stdout).toContain("… and 129,000 layers more, which --json tells");
  expect(stdout.split("\n").length).toBeLessThan(2100);
});

describe("a cell of CSV that a spreadsheet would run", () => {
  const names = [
    ...['=HYPERLINK("http://a","b")', "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1"],
    ...["＝1+1", "+cmd|' /C calc'!A0", "-a", "=", "+", "-", "@"],
  ];
  const harmless = ["-1", "+1.5", "-.5e-7", "+1E9", "a=b", "a;=1", "setosa", "", "1;2", "x\ty"];
  const classes = [...names, ...harmless];
  const model = () => {
    const layers = [affine(classes.length)];
    const saved = readSafetensors(
      saveModel(new Sequential(runtime, { input: [2], layers, seed: 1 })),
    );
    const data = JSON.stringify({ format: "csv", loss: "softmax", classes });
    return writeSafetensors(saved.tensors, { ...Object.fromEntries(saved.metadata), data });
  };

  test("has an apostrophe in front, and numbers are numbers", async () => {
    folder.write("formulas", model());
    const options = ["--answer", "probabilities"];
    const stdout = await folder.succeeding("predict", "formulas", "rows.csv", ...options);
    const [head] = parse(stdout, { relax_column_count: true }) as string[][];
    const shown = (name: string) => name.replace(/[\r]/g, "\\u{d}");
    expect(head).toEqual(["class", ...names.map((name) => `'${shown(name)}`), ...harmless]);
    // Nor does one begin a cell where semicolons or tabs separate.
    expect(stdout.split("\n")[0]).toContain('"a;=1"');
  });

  test("is as it is with --raw-csv", async () => {
    const options = ["--answer", "probabilities", "--raw-csv"];
    const stdout = await folder.succeeding("predict", "formulas", "rows.csv", ...options);
    const [head] = parse(stdout, { relax_column_count: true }) as string[][];
    expect(head).toEqual(["class", ...classes]);
  });

  test("is not one where it is a value that is negative", async () => {
    const stdout = await folder.succeeding("predict", "formulas", "rows.csv", "--answer", "values");
    const rows = (parse(stdout) as string[][]).slice(1).flat();
    expect(rows.some((value) => value.startsWith("-"))).toBe(true);
    for (const value of rows) expect(Number(value)).not.toBeNaN();
  });
});

describe.skipIf(!existsSync("/dev/full"))("a standard output that takes no more", () => {
  const full = async (...args: string[]) => {
    const child = spawn(process.execPath, [program, ...args], {
      ...{ cwd: folder.path, env: environment() },
      stdio: ["ignore", openSync("/dev/full", "w"), "pipe"],
    });
    return outcome(child);
  };

  test.each([
    ["predict", ["classes", "rows.csv"]],
    ["predict", ["classes", "rows.csv", "--json"]],
    ["inspect", ["names"]],
    ["inspect", ["names", "--json"]],
    ["bench", ["--seconds", "1"]],
    ["train", ["--help"]],
  ])("%s %j is one line and exit code 1", async (command, args) => {
    const { stderr, code } = await full(command, ...args);
    // Beside it stand the notes that bench has on a busy machine.
    expect(stderr.split("\n").filter((line) => line.startsWith("lamella"))).toEqual([
      `lamella ${command}: the standard output: no space left on the device`,
    ]);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(code).toBe(1);
  });

  test("train is the same, and its model is written", async () => {
    const { stderr, code } = await full("train", iris, "--epochs", "3", "--out", "kept");
    expect(stderr).toBe("lamella train: the standard output: no space left on the device\n");
    expect(code).toBe(1);
    expect(readSafetensors(folder.read("kept")).metadata.get("kind")).toBe("model");
  });
});
