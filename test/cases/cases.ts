// What the three files of cases have in common: where they lie, which of them are run and which are
// not, how far a result may be from what is expected, and the operations of other libraries spelled
// in this one's calls.

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import {
  affineForward,
  createRuntimeSync,
  type FloatDType,
  type Runtime,
  softmaxForward,
  softmaxLoss,
} from "../../src/index.ts";

export type Numbers = ArrayLike<number>;

/** Numbers as the files hold them: JSON has no NaN and no infinities. */
export type Encoded = number | null | "inf" | "-inf";

/** An array, row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: Numbers;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = process.env.LAMELLA_CASES || "../shared/cases";

function decode(value: unknown): unknown {
  return value === null
    ? Number.NaN
    : value === "inf"
      ? Infinity
      : value === "-inf"
        ? -Infinity
        : value;
}

/** Numbers out of a file. */
export function decoded<V extends { data: readonly Encoded[] }>(
  values: V,
): Omit<V, "data"> & { data: number[] } {
  return { ...values, data: values.data.map(decode) as number[] };
}

/**
 * Makes a test of every case in a file of the folder, and one that they were all there. A file that
 * is not there makes one skipped test, whose name says so.
 *
 * @param atLeast how many cases the file is known to hold
 * @param operation a case's own name for what it tries
 * @param run by operation: throws where the result is not the expected one
 * @param missing by operation: why it is not run
 */
export function testCases<C extends { name: string }>(
  file: string,
  atLeast: number,
  operation: (testCase: C) => string,
  run: Record<string, (testCase: C, runtime: Runtime) => void>,
  missing: Record<string, string> = {},
): void {
  const path = resolve(root, folder, file);
  if (!existsSync(path)) {
    const message = `cases not run: ${folder}/${file} is not there`;
    // Reporters leave out the names of skipped tests.
    console.warn(message);
    test.skip(message);
    return;
  }

  const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: C[] };
  const runtime = createRuntimeSync();
  afterAll(() => runtime.dispose());
  const count = { run: 0, skipped: 0 };
  describe(file, () => {
    for (const testCase of cases) {
      const kind = operation(testCase);
      const reason = missing[kind];
      if (reason !== undefined) {
        count.skipped++;
        test.skip(`${testCase.name}, skipped: ${reason}`);
        continue;
      }
      count.run++;
      test(testCase.name, () => {
        const check = run[kind];
        if (!check) throw new Error(`no test knows the operation ${kind}`);
        runtime.scope(() => check(testCase, runtime));
        expect(runtime.memory.bytesLive, "bytes that the case left in use").toBe(0);
      });
    }

    test(`every case of ${file} is either run or skipped with a reason`, () => {
      if (count.skipped > 0) {
        const reasons = new Set(Object.values(missing));
        const why = [...reasons].join(", ");
        console.warn(`${file}: ${count.run} cases run, ${count.skipped} skipped: ${why}`);
      }
      expect(cases.length).toBeGreaterThanOrEqual(atLeast);
      expect(count.run + count.skipped).toBe(cases.length);
    });
  });
}

const largest = new Map<string, number>();

/**
 * Fails where the deviation is more than the tolerance; LAMELLA_REPORT=1 prints the largest of each
 * kind.
 */
export function checkDeviation(kind: string, deviation: number, tolerance: number): void {
  largest.set(kind, Math.max(largest.get(kind) ?? 0, deviation));
  expect(deviation, kind).toBeLessThanOrEqual(tolerance);
}

/** Called once in a file. */
export function reportDeviations(unit: string): void {
  afterAll(() => {
    if (!process.env.LAMELLA_REPORT) return;
    console.info([...largest].map(([kind, value]) => `${kind}: ${value} ${unit}`).join("\n"));
  });
}

/** The largest of a measure over two arrays of one shape; NaN agrees with NaN alone. */
export function largestDeviation(
  actual: Values,
  expected: Values,
  measure: (actual: number, expected: number) => number,
): number {
  expect(actual.shape, "shape").toEqual(expected.shape);
  expect(actual.data.length).toBe(expected.data.length);
  let most = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const [a, e] = [actual.data[i]!, expected.data[i]!];
    if (Number.isNaN(a) && Number.isNaN(e)) continue;
    const deviation = measure(a, e);
    // Math.max would do, but that a NaN must be the largest of all.
    if (!(deviation <= most)) most = Number.isNaN(deviation) ? Infinity : deviation;
  }
  return most;
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** A float32's rank among all float32: neighbours are 1 apart, and +0 and −0 are both 0. */
function rank(value: number): number {
  float[0] = value;
  const pattern = bits[0]!;
  return pattern < 0 ? -(pattern & 0x7fffffff) : pattern;
}

/** How many float32 steps two numbers are apart; NaN equals NaN, and nothing else. */
export function ulpDistance(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : Infinity;
  return Math.abs(rank(a) - rank(b));
}

function product(lengths: readonly number[]): number {
  return lengths.reduce((size, length) => size * length, 1);
}

/**
 * The same elements with the axes in another order: axis i of the result is axis order[i] of the
 * source.
 */
export function transpose({ shape, data }: Values, order: readonly number[]): Values {
  const stride = (axis: number) => product(shape.slice(axis + 1));
  const newShape = order.map((axis) => shape[axis]!);
  const out = new Array<number>(data.length);
  for (let i = 0; i < out.length; i++) {
    let rest = i;
    let from = 0;
    for (let k = order.length - 1; k >= 0; k--) {
      from += (rest % newShape[k]!) * stride(order[k]!);
      rest = Math.floor(rest / newShape[k]!);
    }
    out[i] = data[from]!;
  }
  return { shape: newShape, data: out };
}

/** Applies fn with one axis moved last, (rows, length of the axis), and moves it back. */
export function alongAxis(x: Values, axis: number, fn: (rows: Values) => Numbers): Values {
  const rank = x.shape.length;
  const last = axis < 0 ? axis + rank : axis;
  const order = [...Array(rank).keys()].filter((i) => i !== last).concat(last);
  const moved = transpose(x, order);
  const length = x.shape[last]!;
  const data = fn({ shape: [x.data.length / length, length], data: moved.data });
  const back = order.map((_, i) => order.indexOf(i));
  return transpose({ shape: moved.shape, data }, back);
}

/** a (n, d) · b (d, m) + bias, a row (m,) or nothing, by affineForward. */
export function product2d(
  runtime: Runtime,
  dtype: FloatDType,
  a: Values,
  b: Values,
  bias: Numbers = new Float64Array(b.shape[1]!),
): number[] {
  const [x, w, row] = [
    runtime.tensor(Array.from(a.data), a.shape, dtype),
    runtime.tensor(Array.from(b.data), b.shape, dtype),
    runtime.tensor(Array.from(bias), undefined, dtype),
  ];
  return Array.from(affineForward(x, w, row).out.data);
}

/**
 * NumPy's matmul: vectors become matrices for the time of the product, and leading axes broadcast.
 */
export function matmul(runtime: Runtime, dtype: FloatDType, a: Values, b: Values): Values {
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [n, d, m] = [left.at(-2)!, left.at(-1)!, right.at(-1)!];
  const batches = [left.slice(0, -2), right.slice(0, -2)] as const;
  const rank = Math.max(batches[0].length, batches[1].length);
  const padded = batches.map((lengths) => [...Array(rank - lengths.length).fill(1), ...lengths]);
  const batch = padded[0]!.map((length, i) => (length === 1 ? padded[1]![i]! : length) as number);

  const data: number[] = [];
  for (let i = 0; i < product(batch); i++) {
    // The slice of each operand, an axis of length 1 standing still.
    const slice = (lengths: readonly number[]) => {
      let rest = i;
      let index = 0;
      let step = 1;
      for (let k = rank - 1; k >= 0; k--) {
        index += ((rest % batch[k]!) % lengths[k]!) * step;
        step *= lengths[k]!;
        rest = Math.floor(rest / batch[k]!);
      }
      return index;
    };
    const part = ({ data }: Values, rows: number, columns: number, index: number) => ({
      shape: [rows, columns],
      data: Array.from(data).slice(index * rows * columns, (index + 1) * rows * columns),
    });
    const [x, w] = [part(a, n, d, slice(padded[0]!)), part(b, d, m, slice(padded[1]!))];
    data.push(...product2d(runtime, dtype, x, w));
  }
  const rows = a.shape.length === 1 ? [] : [n];
  const columns = b.shape.length === 1 ? [] : [m];
  return { shape: [...batch, ...rows, ...columns], data };
}

/** Softmax along an axis, by softmaxForward, which takes the last. */
export function softmax(runtime: Runtime, dtype: FloatDType, x: Values, axis: number): Values {
  return alongAxis(x, axis, ({ shape, data }) => {
    const { out } = softmaxForward(runtime.tensor(Array.from(data), shape, dtype));
    return out.toTypedArray();
  });
}

/**
 * The same, read off softmaxLoss one row at a time: with N = 1, dx is softmax but for the label's
 * column, where 1 is taken off it. So each column is read with the label in another one; a row of
 * one column has no other, and there dx + 1 is exact.
 */
export function softmaxOfLoss(
  runtime: Runtime,
  dtype: FloatDType,
  x: Values,
  axis: number,
): Values {
  return alongAxis(x, axis, ({ shape: [rows, C], data }) => {
    const out: number[] = [];
    for (let n = 0; n < rows!; n++) {
      const row = Array.from(data).slice(n * C!, (n + 1) * C!);
      const scores = runtime.tensor(row, [1, C!], dtype);
      const read = (label: number) => Array.from(softmaxLoss(scores, [label]).dx.data);
      const values = read(0);
      values[0] = C! > 1 ? read(C! - 1)[0]! : values[0]! + 1;
      out.push(...values);
    }
    return out;
  });
}

/** An array as the files of ONNX and WebNN have it. */
export type Encodeds = { shape: number[]; data: Encoded[] };

// biome-ignore lint/suspicious/noExplicitAny: attributes as the files have them
export type Attributes = Record<string, any>;

/** A case of onnx-nodes.json. */
export interface OnnxCase {
  name: string;
  op?: string;
  graph?: boolean;
  attrs: Attributes;
  inputs: (Encodeds & { name: string })[];
  outputs: Encodeds[];
}

/** A case of wpt-conv.json. */
export interface WptCase {
  name: string;
  op: string;
  inputs: Record<string, Encodeds>;
  arguments: Attributes[];
  expected: Encodeds;
  tolerance: { metric: string; value: number };
}

const RTOL = 1e-5;
const ATOL = 1e-7;

/** Holds the first output; the others are no results of these calls. */
export function compareOnnx(testCase: OnnxCase, actual: Values): void {
  const deviation = largestDeviation(actual, decoded(testCase.outputs[0]!), (a, e) =>
    a === e ? 0 : Math.abs(a - e) / (ATOL + RTOL * Math.abs(e)),
  );
  checkDeviation(testCase.op!, deviation, 1);
}

/** Holds the expected array, within so many ULP as the case allows. */
export function compareWpt(testCase: WptCase, actual: Values): void {
  const { metric, value } = testCase.tolerance;
  expect(metric).toBe("ULP");
  const deviation = largestDeviation(actual, decoded(testCase.expected), ulpDistance);
  checkDeviation(testCase.op, deviation, value);
}
