// What the build makes of the declarations in assembly/: exports, the dispatch of operations, and
// what the facade knows.

import { describe, expect, test } from "vitest";
// @ts-expect-error: a script without types
import * as script from "../../scripts/build/abi.js";

interface Source {
  path: string;
  text: string;
}
type Output = "index" | "shared" | "predict" | "operations" | "facade";
const { abiOf, readCore } = script as {
  abiOf(files: Source[]): Record<Output, string>;
  readCore(): Source[];
};

const core = readCore();
const abi = abiOf(core);

/** The core with another file, and what is added to each output by it. */
function added(text: string, path = "assembly/layers/new.ts"): Record<Output, string[]> {
  const after = abiOf([...core, { path, text }]);
  return Object.fromEntries(
    Object.entries(after).map(([key, output]) => {
      const before = abi[key as Output].split("\n");
      return [key, output.split("\n").filter((line) => !before.includes(line))];
    }),
  ) as Record<Output, string[]>;
}

const elementwise = `
/** out = x · factor. @kernel @operation newLayer */
export function newLayerForward<T>(out: usize, x: usize, n: usize, factor: f64): void {}
`;

describe("a new elementwise kernel", () => {
  const { index, shared, predict, operations, facade } = added(elementwise);

  test("is exported for both dtypes, by every core but that for serving", () => {
    const names = ["new_layer_forward_f32", "new_layer_forward_f64"];
    for (const lines of [index, shared]) {
      const exported = lines.filter((line) => line.startsWith("export"));
      const signature = "(out: usize, x: usize, n: usize, factor: f64): void {";
      expect(exported).toEqual(names.map((name) => `export function ${name}${signature}`));
    }
    expect(index.join("\n")).toContain("layers_new.newLayerForward<f64>(out, x, n, factor);");
    expect(predict).toEqual([]);
  });

  test("is run by operations of its kind, whose number the facade has", () => {
    const text = operations.join("\n");
    expect(text).toContain("layers_new.newLayerForward<T>(out, x, N * D, value0);");
    const number = /newLayer: (\d+),/.exec(facade.join("\n"))?.[1];
    const { operations: whole } = abiOf([
      ...core,
      { path: "assembly/layers/new.ts", text: elementwise },
    ]);
    expect(whole).toContain(`    case ${number}:\n      layers_new.newLayerForward`);
  });
});

test("an operation takes its arguments by the names of the parameters", () => {
  const parameters = ["out", "x", "gamma", "beta", "mean", "work", "window", "N", "D", "M"];
  const list = parameters.map((name) => `${name}: usize`).join(", ");
  const tag = "/** @operation wide */";
  const { operations } = added(
    `${tag} export function wide<T>(${list}, low: f64, high: f64): void {}`,
  );
  expect(operations.join("\n")).toContain(
    "wide<T>(out, x, a, b, c, work, window, N, D, M, value0, value1);",
  );
  const rows = added("/** @operation rows */ export function rows<T>(N: usize, C: usize): void {}");
  expect(rows.operations.join("\n")).toContain("rows<T>((N * D) / M, M);");
});

test("a kernel with a name is exported by that name, and one that is @shared for shared memory alone", () => {
  const { index, shared } = added(
    "/** @kernel other_name @shared */ export function own(maySleep: bool): bool { return true; }",
  );
  expect(index).toEqual([]);
  expect(shared).toContain("export function other_name(may_sleep: bool): bool {");
  expect(shared).toContain("  return layers_new.own(may_sleep);");
});

test("the facade has the layout of the class, with a gap where a float64 needs one", () => {
  const operation = `@unmanaged class Operation { kind: u32; out: usize; x: usize; value: f64; }`;
  const files = core.map(({ path, text }) => ({
    path,
    text: path === "assembly/abi/operation.ts" ? operation : text,
  }));
  expect(abiOf(files).facade).toContain(
    "kind = 0,\n  out = 1,\n  x = 2,\n  value = 4,\n  length = 6,",
  );
});

test("each class in assembly/abi/ has its layout in the facade", () => {
  const { facade } = added(
    "@unmanaged export class Spot { x: u32; y: f64; }",
    "assembly/abi/spot.ts",
  );
  expect(facade.join("\n")).toContain("export const enum SpotWords {");
});

test.each([
  ["/** @kernal */ export function f(): void {}", "no tag is called @kernal"],
  ["/** @constant size */ const SIZE: usize = 2 * 4;", "size is no plain number"],
  [
    "/** @operation f */ export function f<T>(p: usize, q: usize, r: usize, s: usize): void {}",
    "there is no place for s",
  ],
  [
    "/** @operation f */ export function f<T>(p: f64, q: f64, r: f64): void {}",
    "there is no place for r",
  ],
  ["/** @operation f */ export function f<T>(out: usize, H: usize): void {}", "knows no count H"],
])("%s is refused", (text, message) => {
  expect(() => added(text)).toThrow(message);
});
