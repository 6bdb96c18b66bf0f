// Softmax and its logarithm along any axis, and what they have in common.

import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  type FloatDType,
  logSoftmaxBackward,
  logSoftmaxForward,
  numericalGradient,
  softmaxBackward,
  softmaxForward,
  type Tensor,
} from "../../src/index.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import {
  configurations,
  goldenError,
  offsets,
  reportErrors,
  sizes,
  track,
  values,
} from "./common.ts";

reportErrors();

const calls = {
  softmax: [softmaxForward, softmaxBackward, reference.softmaxForward, reference.softmaxBackward],
  logSoftmax: [
    logSoftmaxForward,
    logSoftmaxBackward,
    reference.logSoftmaxForward,
    reference.logSoftmaxBackward,
  ],
} as const;
const names = Object.keys(calls) as (keyof typeof calls)[];
const bounds = { float32: 2e-6, float64: 4e-15 } as const; // C = 33 terms, and exp's 1.1 ULP

/** The places of rows along an axis: the elements of each, in order. */
function rowsAlong(shape: readonly number[], axis: number): number[][] {
  const C = shape[axis]!;
  const S = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const size = shape.reduce((a, b) => a * b, 1);
  const rows: number[][] = [];
  for (let i = 0; i < size; i++) {
    if (Math.floor(i / S) % C === 0) rows.push(Array.from({ length: C }, (_, c) => i + c * S));
  }
  return rows;
}

/** A twin of rows, along an axis. */
function along(
  shape: readonly number[],
  axis: number,
  twin: (row: number[], i: readonly number[]) => number[],
  x: ArrayLike<number>,
): number[] {
  const out = new Array<number>(x.length);
  for (const row of rowsAlong(shape, axis)) {
    twin(
      row.map((i) => x[i]!),
      row,
    ).forEach((value, c) => {
      out[row[c]!] = value;
    });
  }
  return out;
}

const scaleOf = (expected: readonly number[]) => expected.map((v) => 1 + Math.abs(v));

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type, dtype }) => {
  const { array, suffix } = type;
  const exports = core.exports as unknown as Record<string, (...given: number[]) => void>;

  test.each([
    ["softmax", "softmax"],
    ["logSoftmax", "log_softmax"],
  ] as const)(
    "%s is the twin along rows of every stride, and writes no other byte",
    (name, file) => {
      const [, , forwardTwin, backwardTwin] = calls[name];
      const random = seeded(71);
      for (const S of [1, 2, 3, 5]) {
        for (const C of sizes) {
          for (const offset of offsets) {
            core.reset();
            const shape = [2, C, S];
            const n = 2 * C * S;
            const x = array.from(reference.normals(n, random).map((v) => 3 * v));
            const dout = array.from(reference.normals(n, random));
            const out = core.output(array, n, { offset });
            const dx = core.output(array, n, { offset });
            const place = { offset };
            const lengths = [2 * S, C, S] as const;
            exports[`${file}_forward_${suffix}`]!(
              out.address,
              core.input(x, place).address,
              ...lengths,
            );
            const doutAt = core.inout(dout, place);
            exports[`${file}_backward_${suffix}`]!(
              dx.address,
              doutAt.address,
              out.address,
              ...lengths,
            );
            const gradient = dx.values();
            exports[`${file}_backward_${suffix}`]!(
              doutAt.address,
              doutAt.address,
              out.address,
              ...lengths,
            );
            core.checkGuards();
            expect(Array.from(doutAt.values())).toEqual(Array.from(gradient));
            const expected = along(shape, 1, (row) => forwardTwin(row, [1, C]), x);
            const error = reference.deviation(out.values(), expected, scaleOf(expected));
            expect(track(`${name} ${dtype}`, error)).toBeLessThan(bounds[dtype]);
            const results = out.values();
            const expectedGradient = along(
              shape,
              1,
              (row, at) =>
                backwardTwin(
                  row,
                  at.map((i) => results[i]!),
                  C,
                ),
              dout,
            );
            const off = reference.deviation(gradient, expectedGradient, 1 + C);
            expect(track(`${name} ${dtype} backward`, off)).toBeLessThan(bounds[dtype]);
          }
        }
      }
    },
  );
});

describe.each(dtypes)("the calls in $dtype", ({ dtype, array }) => {
  const runtime = createRuntimeSync();
  const random = seeded(72);

  test.each(names)("%s takes every axis, from the front and from the end", (name) => {
    const [forward, backward, twin] = calls[name];
    for (const shape of [[5], [3, 4], [2, 3, 4], [2, 3, 2, 3], [0, 3], [2, 0, 3]]) {
      const n = shape.reduce((a, b) => a * b, 1);
      const data = array.from(reference.normals(n, random));
      const x = runtime.tensor(data, shape, dtype) as Tensor<FloatDType>;
      for (let axis = 0; axis < shape.length; axis++) {
        const { out, cache } = forward(x, { axis });
        expect(cache.axis).toBe(axis);
        const expected = along(shape, axis, (row) => twin(row, [1, row.length]), data);
        expect(out.shape).toEqual(shape);
        expect(reference.deviation(out.data, expected, scaleOf(expected))).toBeLessThan(
          bounds[dtype],
        );
        const fromEnd = forward(x, { axis: axis - shape.length });
        expect(values(fromEnd.out)).toEqual(values(out));
        const dx = backward(x, cache as never);
        expect(values(backward(x, fromEnd.cache as never))).toEqual(values(dx));
      }
    }
  });

  test.each(names)("%s refuses an axis that is none, or that the shape has not", (name) => {
    const [forward] = calls[name];
    const x = runtime.ones([2, 3], dtype);
    for (const axis of [0.5, Number.NaN, Infinity, "1" as never]) {
      expect(() => forward(x, { axis })).toThrow(RangeError);
      expect(() => forward(x, { axis })).toThrow(
        `${name}Forward: axis must be a whole number, got`,
      );
    }
    for (const axis of [2, -3]) {
      expect(() => forward(x, { axis })).toThrow(
        `${name}Forward: axis must be one of shape (2, 3), got ${axis}`,
      );
    }
  });

  test("the logarithm of large scores loses nothing, where log(softmax) is −∞", () => {
    const x = runtime.tensor([1e4, 0, -1e4, -Infinity], [1, 4], dtype);
    expect(values(logSoftmaxForward(x).out)).toEqual([0, -1e4, -2e4, -Infinity]);
  });

  test("a row with NaN or +∞, or of −∞ alone, is NaN throughout, and no other row is", () => {
    const rows = [
      [1, Number.NaN, 2],
      [1, Infinity, 2],
      [-Infinity, -Infinity, -Infinity],
    ];
    for (const row of rows) {
      for (const axis of [0, 1]) {
        const both = axis === 1 ? [...row, 1, 2, 3] : row.flatMap((v, i) => [v, i + 1]);
        const x = runtime.tensor(both, axis === 1 ? [2, 3] : [3, 2], dtype);
        const out = values(logSoftmaxForward(x, { axis }).out);
        const lost = out.map(Number.isNaN);
        const expected = axis === 1 ? [0, 1, 2] : [0, 2, 4];
        expect(lost).toEqual(Array.from({ length: 6 }, (_, i) => expected.includes(i)));
      }
    }
  });
});

test("gives what PyTorch gives, along the last axis and the first", () => {
  const runtime = createRuntimeSync();
  const goldens = golden("activations");
  for (const [name, axis, { x, dout, out, dx }] of [
    ["logSoftmax", -1, goldens.logSoftmax],
    ["logSoftmax", 0, goldens.logSoftmaxFirst],
    ["softmax", 0, goldens.softmaxFirst],
  ] as const) {
    const [forward, backward] = calls[name];
    const result = forward(fromGolden(runtime, x), { axis });
    expect(goldenError(result.out, out)).toBeLessThan(1e-12);
    const gradient = backward(fromGolden(runtime, dout), result.cache as never);
    expect(reference.deviation(gradient.data, dx.data, 1)).toBeLessThan(1e-12);
  }
});

test.each(names)("%s: float64 agrees with central differences along each axis", (name) => {
  const [forward, backward] = calls[name];
  const runtime = createRuntimeSync();
  const random = seeded(73);
  for (const axis of [0, 1, 2]) {
    runtime.scope(() => {
      const shape = [2, 3, 4];
      const x = runtime.tensor(reference.normals(24, random), shape, "float64");
      const dout = runtime.tensor(reference.normals(24, random), shape, "float64");
      const dx = backward(dout, forward(x, { axis }).cache as never);
      const expected = numericalGradient((x) => forward(x, { axis }).out, x, dout, 1e-4);
      expect(reference.deviation(dx.data, expected.data, 1)).toBeLessThan(1e-7);
    });
  }
});
