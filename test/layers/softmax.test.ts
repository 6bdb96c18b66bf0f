import { describe, expect, test } from "vitest";
import {
  AliasError,
  createRuntimeSync,
  numericalGradient,
  softmaxBackward,
  softmaxForward,
  softmaxLoss,
} from "../../src/index.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import {
  configurations,
  GOLDEN_BOUND,
  GRADIENT_BOUND,
  goldenError,
  gradientSizes,
  numbers,
  offsets,
  reportErrors,
  sizes,
  track,
  values,
} from "./common.ts";

reportErrors();

const { deviation, normals } = reference;

// exp's 1.1 ULP, the sum's reciprocal and the product; all values are at most 1. Backward: the mean
// and two roundings, of gradients up to 4.
const bounds = { float32: 4e-7, float64: 8e-16 };
const backwardBounds = { float32: 1e-6, float64: 2e-15 };

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, dtype } = type;
  const forward = core.exports[`softmax_forward_${suffix}`];
  const backward = core.exports[`softmax_backward_${suffix}`];

  test("is the plain twin at every length and address, in place too, and writes no other byte", () => {
    const random = seeded(81);
    const places = [
      ...offsets.map((offset) => () => ({ offset })),
      ...["x", "dout", "out", "dx"].map((last) => (name: string) => ({ last: name === last })),
    ];
    for (const N of [0, 1, 3]) {
      for (const C of sizes) {
        for (const place of places) {
          core.reset();
          const x = array.from(normals(N * C, random).map((v) => 3 * v));
          const dout = array.from(normals(N * C, random));
          const out = core.output(array, N * C, place("out"));
          const dx = core.output(array, N * C, place("dx"));
          forward(out.address, core.input(x, place("x")).address, N, C, 1);
          const doutAt = core.input(dout, place("dout")).address;
          backward(dx.address, doutAt, out.address, N, C, 1);
          const inPlace = core.inout(x);
          forward(inPlace.address, inPlace.address, N, C, 1);
          const gradient = core.inout(dout);
          backward(gradient.address, gradient.address, out.address, N, C, 1);
          core.checkGuards();
          const expected = reference.softmaxForward(x, [N, C]);
          expect(deviation(out.values(), expected, 1)).toBeLessThan(bounds[dtype]);
          const twin = reference.softmaxBackward(dout, out.values(), C);
          expect(deviation(dx.values(), twin, 1)).toBeLessThan(backwardBounds[dtype]);
          expect(numbers(inPlace.values())).toEqual(numbers(out.values()));
          expect(numbers(gradient.values())).toEqual(numbers(dx.values()));
        }
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, array, epsilon }) => {
  const runtime = createRuntimeSync();
  const random = seeded(82);
  const tensor = (data: ArrayLike<number>, shape: readonly number[]) =>
    runtime.tensor(array.from(data), shape, dtype);

  test("takes the last axis of any rank from 1 up, and keeps the shape", () => {
    for (const shape of [
      [5],
      [3, 7],
      [2, 3, 4],
      [2, 1, 3, 33],
      [2, 1000],
      [0, 3],
      [3, 0],
      [0],
      [1],
    ]) {
      const n = shape.reduce((a, b) => a * b, 1);
      const C = shape.at(-1)!;
      const [x, dout] = [tensor(normals(n, random), shape), tensor(normals(n, random), shape)];
      const { out, cache } = softmaxForward(x);
      const dx = softmaxBackward(dout, cache);
      expect([out.shape, out.dtype, dx.shape, dx.dtype]).toEqual([shape, dtype, shape, dtype]);
      const expected = reference.softmaxForward(x.data, [C && n / C, C]);
      const error = deviation(out.data, expected, reference.absolute(expected));
      // The sum of many terms, which the twin takes one by one.
      const bound = bounds[dtype] + (C > 100 ? 1e-15 : 0);
      expect(track(`softmax ${dtype} forward, relative`, error)).toBeLessThan(bound);
      const twin = reference.softmaxBackward(dout.data, out.data, C);
      const backwardError = track(`softmax ${dtype} backward`, deviation(dx.data, twin, 1));
      expect(backwardError).toBeLessThan(backwardBounds[dtype]);
    }
  });

  test("the rows sum to 1, and those of the gradient to 0", () => {
    for (const C of [1, 2, 10, 1000]) {
      const x = tensor(
        normals(3 * C, random).map((v) => 5 * v),
        [3, C],
      );
      const { out, cache } = softmaxForward(x);
      const dx = softmaxBackward(tensor(normals(3 * C, random), [3, C]), cache);
      for (let n = 0; n < 3; n++) {
        const sum = (row: number[]) => row.slice(n * C, n * C + C).reduce((a, b) => a + b, 0);
        expect(Math.abs(sum(values(out)) - 1)).toBeLessThan(2 * epsilon + C * 2 ** -53);
        // Rounded products of the probabilities with values of up to 4.
        expect(Math.abs(sum(values(dx)))).toBeLessThan(16 * epsilon);
      }
    }
  });

  test("shifting all scores of a row by a constant changes nothing, and ±1e4 lose nothing", () => {
    const x = [0.5, -1, 2, 0.25];
    const plain = values(softmaxForward(tensor(x, [1, 4])).out);
    for (const shift of [1024, -1024, 8192]) {
      const moved = tensor(
        x.map((v) => v + shift),
        [1, 4],
      );
      expect(values(softmaxForward(moved).out)).toEqual(plain);
    }
    expect(values(softmaxForward(tensor([1e4, -1e4], [2])).out)).toEqual([1, 0]);
  });

  test.each([
    [
      [1, -Infinity, 1],
      [0.5, 0, 0.5],
    ],
    [
      [-Infinity, -Infinity, 3],
      [0, 0, 1],
    ],
    [
      [1, Infinity, 2],
      [NaN, NaN, NaN],
    ],
    [
      [1, NaN, 2],
      [NaN, NaN, NaN],
    ],
    [
      [-Infinity, -Infinity, -Infinity],
      [NaN, NaN, NaN],
    ],
  ])("a row of %o gives %o, and touches no other", (row, expected) => {
    const { out } = softmaxForward(tensor([...row, 0, 0, 0], [2, 3]));
    expect(values(out).slice(0, 3)).toEqual(expected);
    const third = 1 / 3;
    expect(deviation(values(out).slice(3), [third, third, third])).toBeLessThan(epsilon);
  });

  test("with softmaxLoss's upstream it gives softmaxLoss's gradient", () => {
    const x = tensor(normals(20, random), [4, 5]);
    const y = [0, 4, 2, 2];
    const { out, cache } = softmaxForward(x);
    const dout = runtime.zeros([4, 5], dtype);
    for (const [n, label] of y.entries()) {
      dout.data[n * 5 + label] = -1 / (4 * out.data[n * 5 + label]!);
    }
    const dx = softmaxBackward(dout, cache);
    const bound = 8 * epsilon; // a quotient and its product, of values up to ¼
    expect(deviation(dx.data, softmaxLoss(x, y).dx.data, 1)).toBeLessThan(bound);
  });

  test("writes into destinations, but never onto an operand", () => {
    const [x, dout] = [tensor([1, 2, 3], [3]), tensor([1, 0, 2], [3])];
    const [out, dx] = [runtime.zeros([3], dtype), runtime.zeros([3], dtype)];
    const result = softmaxForward(x, { out });
    expect(result.out).toBe(out);
    expect(values(out)).toEqual(values(softmaxForward(x).out));
    expect(softmaxBackward(dout, result.cache, { dx })).toBe(dx);
    expect(() => softmaxForward(x, { out: x })).toThrow(AliasError);
    expect(() => softmaxBackward(dout, result.cache, { dx: dout })).toThrow(AliasError);
    expect(() => softmaxBackward(dout, result.cache, { dx: out })).toThrow(AliasError);
  });
});

test("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { x, dout, out, dx } = golden("layers").softmaxLayer;
  const result = softmaxForward(fromGolden(runtime, x));
  const error = track("softmax against PyTorch: out", goldenError(result.out, out));
  expect(error).toBeLessThan(GOLDEN_BOUND);
  const gradient = softmaxBackward(fromGolden(runtime, dout), result.cache);
  expect(track("softmax against PyTorch: dx", goldenError(gradient, dx))).toBeLessThan(
    GOLDEN_BOUND,
  );
});

test("float64 gradients agree with central differences", () => {
  const runtime = createRuntimeSync();
  const random = seeded(83);
  for (const N of gradientSizes) {
    for (const C of gradientSizes) {
      runtime.scope(() => {
        const x = runtime.tensor(normals(N * C, random), [N, C], "float64");
        const dout = runtime.tensor(normals(N * C, random), [N, C], "float64");
        const dx = softmaxBackward(dout, softmaxForward(x).cache);
        // The step errs by h² / 6 = 2e-9 of the third derivative, which is below 1.
        const expected = numericalGradient((x) => softmaxForward(x).out, x, dout, 1e-4);
        const error = deviation(dx.data, expected.data, 1);
        expect(track("softmax gradient dx float64", error)).toBeLessThan(GRADIENT_BOUND);
      });
    }
  }
});
