// The plan of the house (docs/architecture.md): imports run one way and in no circle, and no result
// hangs on a Math function that engines compute differently.

import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = new URL("../", import.meta.url);

/** Rooms from the ground up: each may import those below it, and its own row. */
const facade = [
  ["build"],
  ["src/runtime"],
  ["src/tensor"],
  ["src/layers", "src/losses"],
  ["src/nn"],
  ["src/io"],
  ["src/io/formats"],
  ["src/io/importers"],
  ["src"], // the entries: index.ts and its like
  ["src/cli", "examples"],
];
const core = [
  ["assembly/abi", "assembly/simd.ts"],
  ["assembly/threads"],
  ["assembly/blas", "assembly/math", "assembly/random"],
  ["assembly/layers", "assembly/losses", "assembly/optim"],
  ["build/assembly/operations.ts"], // which the build makes of the kernels' declarations
  ["assembly"],
];

/**
 * Shared with the command's bundle, which has the library outside: it imports nothing, so no part
 * of that is there twice.
 */
const mapOfTables = "src/io/table_map.ts";

/**
 * What the command's bundle may take of the library's sources beside that: the records of the
 * layers, of which esbuild leaves the engines out.
 */
const recordsOfLayers = ["src/nn/graph/record.ts", "src/nn/layers/all.ts", "src/tensor/numbers.ts"];

/**
 * What reads other formats may take of the library's sources: functions of bytes and texts that
 * make no object whose class matters.
 */
const plain = ["src/io/utf8.ts", "src/io/float16.ts", "src/runtime/errors.ts"];

/** What the build makes of the files of the layers, and the file that hands it on. */
const generated: Readonly<Record<string, string>> = {
  "build/layers.ts": "src/nn/layers/all.ts",
  "build/layer_names.ts": "src/index.ts",
};

/** Beyond the list below: what a file may use, and why no result hangs on it. */
const exceptions: Record<string, { names: readonly string[]; reason: string }> = {
  "examples/mnist/terminal.js": {
    names: ["round", "log10", "**"],
    reason: "figures and a curve that are shown, not computed with",
  },
  "src/cli/terminal.ts": {
    names: ["log10", "**"],
    reason: "a curve that is shown, not computed with",
  },
};

// IEEE 754 and ECMAScript give these one result for each argument.
const exact = "PI sqrt fround abs floor ceil trunc min max imul clz32".split(" ");

/**
 * The row of a file in a plan, and its room there; undefined for a file that the plan does not
 * know.
 */
function placeOf(file: string, plan: string[][]): { row: number; room: string } | undefined {
  let place: { row: number; room: string } | undefined;
  for (const [row, rooms] of plan.entries()) {
    for (const room of rooms) {
      const isWithin = file === room || file.startsWith(`${room}/`);
      if (isWithin && room.length > (place?.room.length ?? 0)) place = { row, room };
    }
  }
  // A folder of src or assembly without a row of its own is a new room.
  const isRoot = place?.room === "src" || place?.room === "assembly";
  if (isRoot && posix.dirname(file) !== place?.room) return undefined;
  return place;
}

/** What is wrong with a file's import of something, or undefined. */
function offence(file: string, specifier: string): string | undefined {
  const plan = file.startsWith("assembly/") ? core : facade;
  const from = placeOf(file, plan);
  if (!from) return "is in no room of the plan";
  if (!specifier.startsWith(".")) {
    if (plan === core) return `imports the package ${specifier}`;
    if (["examples", "src/cli", "src/io/formats", "src/io/importers"].includes(from.room)) {
      return undefined;
    }
    return `imports the package ${specifier}`;
  }
  const to = posix.join(posix.dirname(file), specifier);
  const target = plan === core && !to.endsWith(".ts") ? `${to}.ts` : to;
  if (from.room === "examples" && !target.startsWith("examples/")) {
    return `imports ${target}, not the package by its name`;
  }
  const isImporting = /^src\/io\/(formats|importers)$/.test(from.room);
  if (isImporting && !/^src\/io\/(formats|importers)\//.test(target) && !plain.includes(target)) {
    return `imports ${target}, not the package by its name`;
  }
  const place = placeOf(target, plan);
  if (!place) return `imports ${target}, which is in no room of its plan`;
  if (place.row > from.row) return `imports ${target}, which is above it`;
  // The command has the library by its name, and beside it what its own bundle is made with: of
  // build/ its measurements, and what a table's map is made of, which the library reads and the
  // command writes; and the records of the layers.
  const isOwn =
    from.room === "src/cli" &&
    (/^build\/limits(\.relaxed)?\.wasm$/.test(target) ||
      [mapOfTables, ...recordsOfLayers].includes(target));
  if (generated[target] === file) return undefined;
  if (place.room === "build" && from.room !== "src/runtime" && !isOwn) {
    return `imports ${target}, which src/runtime alone may`;
  }
  if (from.room === "src/cli" && place.room !== "src/cli" && !isOwn) {
    return `imports ${target}, not the package by its name`;
  }
  return undefined;
}

/** The path of what a file imports, and undefined for a package. */
function targetOf(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = posix.join(posix.dirname(file), specifier);
  // AssemblyScript's imports have no ending.
  return posix.extname(target) ? target : `${target}.ts`;
}

/**
 * The circles of imports, imports of types included. At each level the entries of a folder, its
 * files and its folders as wholes, are looked at as one graph: an import joins the two entries of
 * the innermost folder that holds both files. So a circle of files anywhere is a circle of some
 * folder's entries, and so is one of folders that no circle of files shows.
 */
function circles(imports: readonly (readonly [from: string, to: string])[]): string[] {
  const folders = new Map<string, Map<string, Set<string>>>();
  for (const [from, to] of imports) {
    const [a, b] = [from.split("/"), to.split("/")];
    const depth = a.findIndex((part, i) => part !== b[i]);
    if (depth < 0) continue;
    const folder = a.slice(0, depth).join("/");
    const graph = folders.get(folder) ?? new Map<string, Set<string>>();
    folders.set(folder, graph);
    const [entry, other] = [a[depth] as string, b[depth] as string];
    graph.set(entry, (graph.get(entry) ?? new Set()).add(other));
  }
  const found: string[] = [];
  for (const [folder, graph] of folders) {
    const done = new Set<string>();
    const visit = (entry: string, path: readonly string[]) => {
      const start = path.indexOf(entry);
      if (start >= 0) {
        const circle = path.slice(start);
        // Whichever entry was come to first: a circle has one name.
        const least = circle.indexOf([...circle].sort()[0] as string);
        const turned = [...circle.slice(least), ...circle.slice(0, least)];
        found.push(`${folder}: ${[...turned, turned[0]].join(" → ")}`);
        return;
      }
      if (done.has(entry)) return;
      for (const other of graph.get(entry) ?? []) visit(other, [...path, entry]);
      done.add(entry);
    };
    for (const entry of graph.keys()) visit(entry, []);
  }
  return found;
}

/** The names of Math's members that a program uses and should not, `**` among them. */
function inexact(file: string, text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isBinaryExpression(node)) {
      const { kind } = node.operatorToken;
      // 2 to a whole number is exact.
      const isPowerOf2 =
        ts.isNumericLiteral(node.left) &&
        node.left.text === "2" &&
        ts.isNumericLiteral(node.right) &&
        Number.isInteger(Number(node.right.text));
      if (kind === ts.SyntaxKind.AsteriskAsteriskEqualsToken) found.push("**=");
      if (kind === ts.SyntaxKind.AsteriskAsteriskToken && !isPowerOf2) found.push("**");
    }
    if (ts.isIdentifier(node) && node.text === "Math") {
      const { parent } = node;
      // Anything but Math.name hides what is used: Math[name], const { cos } = Math.
      const isMember = ts.isPropertyAccessExpression(parent) && parent.expression === node;
      const name = isMember ? parent.name.text : "Math itself";
      if (!exact.includes(name)) found.push(name);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return found;
}

function filesIn(folder: string): string[] {
  return readdirSync(new URL(folder, root), { recursive: true })
    .map((name) => `${folder}/${String(name).replaceAll("\\", "/")}`)
    .filter((file) => /\.[cm]?[jt]s$/.test(file) && !file.includes("node_modules"))
    .sort();
}

function read(file: string): string {
  return readFileSync(new URL(file, root), "utf8");
}

const assembly = filesIn("assembly");
const src = filesIn("src");
const examples = filesIn("examples");

test("what the command's bundle has of the library imports nothing", () => {
  expect(ts.preProcessFile(read(mapOfTables), true, true).importedFiles).toEqual([]);
});

test("of what computes, the command's bundle has nothing, as the library by its name has it", async () => {
  const { metafile } = await build({
    absWorkingDir: fileURLToPath(root),
    entryPoints: ["src/cli/index.ts"],
    loader: { ".wasm": "empty" },
    ...{ bundle: true, format: "esm", platform: "node", write: false, metafile: true },
    packages: "external",
  });
  const [output] = Object.values(metafile.outputs);
  const carried = Object.entries(output?.inputs ?? {}).flatMap(([file, { bytesInOutput }]) =>
    bytesInOutput > 0 ? [file] : [],
  );
  expect(carried).toContain("src/nn/layers/affine.ts");
  const isPure =
    /^(src\/cli|build\/limits|build\/layers|src\/nn\/graph|src\/nn\/layers|src\/io\/table_map|src\/runtime\/errors|src\/tensor\/(numbers|options|shape|strides|window))\b/;
  expect(carried.filter((file) => !isPure.test(file))).toEqual([]);
});

test("the folders are where this test looks for them", () => {
  expect(assembly).toContain("assembly/layers/affine.ts");
  expect(src).toContain("src/layers/affine.ts");
  expect(examples.some((file) => file.endsWith("/index.js"))).toBe(true);
});

describe.each([...assembly, ...src, ...examples])("%s", (file) => {
  test("imports nothing from above it", () => {
    const { importedFiles } = ts.preProcessFile(read(file), true, true);
    for (const { fileName } of importedFiles) expect(offence(file, fileName)).toBeUndefined();
  });
});

test("no import runs in a circle, be it of files or of folders", () => {
  const imports = [...assembly, ...src].flatMap((file) => {
    const { importedFiles } = ts.preProcessFile(read(file), true, true);
    return importedFiles.flatMap(({ fileName }) => {
      const target = targetOf(file, fileName);
      return target && !target.startsWith("build/") ? [[file, target] as const] : [];
    });
  });
  expect(imports.length).toBeGreaterThan(300);
  expect(circles(imports)).toEqual([]);
});

describe.each([...src, ...examples])("%s", (file) => {
  test("uses no Math function that engines compute differently", () => {
    const { names = [] } = exceptions[file] ?? {};
    expect(inexact(file, read(file)).filter((name) => !names.includes(name))).toEqual([]);
  });
});

test("the exceptions are needed", () => {
  for (const [file, { names }] of Object.entries(exceptions)) {
    expect([...new Set(inexact(file, read(file)))].sort()).toEqual([...names].sort());
  }
});

describe("this test", () => {
  test.each([
    ["src/runtime/memory.ts", "../tensor/tensor.ts"],
    ["src/runtime/memory.ts", "../index.ts"],
    ["src/tensor/scope.ts", "../layers/relu.ts"],
    ["src/tensor/scope.ts", "../losses/loss.ts"],
    ["src/tensor/scope.ts", "../../build/core.js"],
    ["src/tensor/scope.ts", "../../assembly/simd.ts"],
    ["src/layers/affine.ts", "../nn/sequential.ts"],
    ["src/layers/affine.ts", "../index.ts"],
    ["src/layers/affine.ts", "../../build/index.js"],
    ["src/nn/sequential.ts", "../cli/train.ts"],
    ["src/nn/training/fit.ts", "../../io/checkpoint.ts"],
    ["src/nn/training/fit.ts", "../../trainer.ts"],
    ["src/nn/sequential.ts", "../../build/limits.wasm"],
    ["src/cli/train.ts", "../index.ts"],
    ["src/cli/train.ts", "../nn/sequential.ts"],
    ["src/cli/bench.ts", "../../build/core.wasm"],
    ["src/index.ts", "./cli/train.ts"],
    ["src/index.ts", "../test/support/core.ts"],
    ["src/tensor/scope.ts", "@assemblyscript/loader"],
    ["src/runtime/core.ts", "fast-check"],
    ["src/runtime/hosts/node.ts", "node:fs"],
    ["src/nn/sequential.ts", "../../build/layers.ts"],
    ["src/new/file.ts", "./other.ts"],
    ["src/layers/affine.ts", "../new/file.ts"],
    ["examples/mnist/index.js", "../../src/index.ts"],
    ["examples/mnist/index.js", "../../build/index.js"],
    ["assembly/simd.ts", "./math/exp"],
    ["assembly/threads/queue.ts", "../blas/gemm"],
    ["assembly/math/exp.ts", "../layers/relu"],
    ["assembly/blas/gemm.ts", "../losses/svm"],
    ["assembly/blas/gemm.ts", "../predict"],
    ["assembly/layers/relu.ts", "../../src/tensor/shape"],
    ["assembly/layers/relu.ts", "assemblyscript/std/math"],
    ["assembly/new/file.ts", "../simd"],
    ["assembly/layers/relu.ts", "../../build/assembly/operations"],
    ["assembly/predict.ts", "../build/assembly/index"],
  ])("finds an import of %s from %s", (file, specifier) => {
    expect(offence(file, specifier)).toBeTypeOf("string");
  });

  test.each([
    ["src/runtime/core.ts", "../../build/core.js"],
    ["src/runtime/wasm.ts", "./hosts/node.ts"],
    ["src/runtime/hosts/node.ts", "../wasm.ts"],
    ["src/nn/layers/all.ts", "../../../build/layers.ts"],
    ["src/layers/affine.ts", "../runtime/errors.ts"],
    ["src/layers/affine.ts", "../losses/loss.ts"],
    ["src/io/checkpoint.ts", "../nn/training/fit.ts"],
    ["src/index.ts", "./nn/sequential.ts"],
    ["src/predict.ts", "./runtime/core.ts"],
    ["src/cli/train.ts", "lamella"],
    ["src/cli/train.ts", "./data.ts"],
    ["src/cli/bench.ts", "../../build/limits.wasm"],
    ["src/cli/train.ts", "node:fs"],
    ["examples/mnist/index.js", "lamella"],
    ["examples/mnist/index.js", "./terminal.js"],
    ["assembly/layers/relu.ts", "../simd"],
    ["assembly/layers/dropout.ts", "../random/philox"],
    ["assembly/losses/softmax.ts", "../math/exp"],
    ["assembly/predict.ts", "./layers/relu"],
    ["assembly/predict.ts", "../build/assembly/operations"],
  ])("lets an import of %s from %s pass", (file, specifier) => {
    expect(offence(file, specifier)).toBeUndefined();
  });

  test.each([
    ["two files", ["a/x.ts a/y.ts", "a/y.ts a/x.ts"], ["a: x.ts → y.ts → x.ts"]],
    [
      "three files, from wherever it is entered",
      ["a/w.ts a/z.ts", "a/z.ts a/x.ts", "a/x.ts a/y.ts", "a/y.ts a/z.ts"],
      ["a: x.ts → y.ts → z.ts → x.ts"],
    ],
    [
      "two folders without one of files",
      ["a/b/x.ts a/c/x.ts", "a/c/y.ts a/b/y.ts"],
      ["a: b → c → b"],
    ],
    ["folders at different depths", ["a/b/d/x.ts a/c/x.ts", "a/c/y.ts a/b/y.ts"], ["a: b → c → b"]],
    ["a file and a folder beside it", ["a/x.ts a/b/y.ts", "a/b/z.ts a/x.ts"], ["a: b → x.ts → b"]],
  ])("finds a circle of %s", (_, imports, found) => {
    expect(circles(imports.map((pair) => pair.split(" ") as [string, string]))).toEqual(found);
  });

  test.each([
    ["two ways to one file", ["a/x.ts a/y.ts", "a/x.ts a/z.ts", "a/y.ts a/z.ts"]],
    ["a folder that files are above and below of", ["a/x.ts a/b/y.ts", "a/b/y.ts a/z.ts"]],
  ])("takes %s for no circle", (_, imports) => {
    expect(circles(imports.map((pair) => pair.split(" ") as [string, string]))).toEqual([]);
  });

  test("finds every way to import", () => {
    const text = `
      import "./a.ts"; import b from "./b.ts"; import type { C } from "./c.ts"; import * as d from './d.ts';
      export * from "./e.ts"; export { f } from "./f.ts"; export type { G } from "./g.ts";
      const h = await import("./h.ts"); type I = import("./i.ts").I; const j = require("./j.js");
    `;
    const found = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
    expect(
      found
        .map((name) => name[2])
        .sort()
        .join(""),
    ).toBe("abcdefghij");
  });

  test("finds every inexact function", () => {
    for (const [text, found] of [
      ["Math.cos(1)", ["cos"]],
      ["globalThis.Math.exp(1)", ["Math itself"]],
      ["const { sin } = Math", ["Math itself"]],
      ["Math['pow'](2, 3)", ["Math itself"]],
      ["[1].map(Math.log)", ["log"]],
      ["a ** 2", ["**"]],
      ["2 ** a", ["**"]],
      ["2 ** 0.5", ["**"]],
      ["a **= 2", ["**="]],
      ["Math.random() + Math.hypot(1, 2)", ["random", "hypot"]],
      ["2 ** 31 + Math.sqrt(Math.imul(2, 3))", []],
      ["// Math.cos ** 2\n`Math.cos`", []],
    ] as const) {
      expect(inexact("a.ts", text), text).toEqual(found);
    }
  });
});
