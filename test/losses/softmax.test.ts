import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AliasError,
  createRuntimeSync,
  type Labels,
  numericalGradient,
  relativeError,
  softmaxLoss,
} from "../../src/index.ts";
import {
  configurations,
  float64Of,
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
} from "../layers/common.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { testClassWeights } from "./class_weights.ts";

const { deviation, normals } = reference;

reportErrors();

// The exponentials are computed in the dtype: 1.1 ULP each, one rounding of the sum's reciprocal
// and one of the product. dx is at most 1 / N, and the loss's error is that of the exponentials'
// sum.
const bounds = { float32: 4e-7, float64: 8e-16 };

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, dtype } = type;
  const { exports } = core;

  test("is the plain twin at any length and address, with dx and without, and writes no other byte", () => {
    const random = seeded(71);
    const places = [
      ...offsets.map((offset) => () => ({ offset })),
      ...["x", "y", "dx", "work"].map((last) => (name: string) => ({ last: name === last })),
    ];
    for (const N of [1, 2, 5]) {
      for (const C of sizes) {
        if (C === 0) continue; // no label is in range
        for (const place of places) {
          core.reset();
          const x = array.from(normals(N * C, random).map((v) => 3 * v));
          const y = Int32Array.from({ length: N }, () => Math.floor(C * random()));
          const xAt = core.input(x, place("x")).address;
          const yAt = core.input(y, place("y")).address;
          const dx = core.output(array, N * C, place("dx"));
          const bytes = exports[`softmax_loss_work_bytes_${suffix}`](C);
          const work = core.work(bytes, place("work")).address;
          const loss = exports[`softmax_loss_${suffix}`](dx.address, xAt, yAt, 0, 0, N, C, N);
          const alone = exports[`softmax_loss_${suffix}`](0, xAt, yAt, 0, work, N, C, N);
          core.checkGuards();
          const expected = reference.softmaxLoss(x, y, [N, C]);
          expect(alone).toBe(loss);
          expect(deviation([loss], [expected.loss], 1 + expected.loss)).toBeLessThan(bounds[dtype]);
          expect(deviation(dx.values(), expected.dx, 1 / N)).toBeLessThan(bounds[dtype]);
        }
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, array, epsilon }) => {
  const runtime = createRuntimeSync();
  const random = seeded(72);
  const tensor = (data: ArrayLike<number>, shape: readonly number[]) =>
    runtime.tensor(array.from(data), shape, dtype);
  const bound = bounds[dtype];

  test("gives the twin's loss and gradient, also for 1,000 classes", () => {
    for (const [N, C] of [
      [1, 1],
      [1, 2],
      [3, 10],
      [64, 10],
      [7, 1000],
      [200, 3],
    ] as const) {
      const x = tensor(
        normals(N * C, random).map((v) => 2 * v),
        [N, C],
      );
      const y = Int32Array.from({ length: N }, () => Math.floor(C * random()));
      const { loss, dx } = softmaxLoss(x, y);
      const expected = reference.softmaxLoss(x.data, y, [N, C]);
      expect([dx.shape, dx.dtype]).toEqual([[N, C], dtype]);
      const lossError = deviation([loss], [expected.loss], 1 + expected.loss);
      expect(track(`softmax ${dtype}: loss`, lossError)).toBeLessThan(bound);
      const error = deviation(dx.data, expected.dx, 1 / N);
      expect(track(`softmax ${dtype}: dx`, error)).toBeLessThan(bound);
    }
  });

  test("equal scores give log C, and one class alone gives 0 and no gradient", () => {
    for (const C of [1, 2, 10, 1000]) {
      const { loss, dx } = softmaxLoss(runtime.full([3, C], 7, dtype), [0, C - 1, C >> 1]);
      expect(deviation([loss], [Math.log(C)])).toBeLessThan(1e-15); // float64 for either dtype
      expect(Math.abs(dx.data[0]! - (1 / C - 1) / 3)).toBeLessThan(epsilon);
    }
    const { loss, dx } = softmaxLoss(tensor([5, -1e4], [2, 1]), [0, 0]);
    expect(loss).toBe(0);
    expect(values(dx)).toEqual([0, 0]);
  });

  test("shifting all scores of a row by a constant leaves the loss and the gradient unchanged", () => {
    // 64ths up to ±10,100, which both dtypes hold and shift without rounding.
    const score = fc.integer({ min: -6400, max: 6400 }).map((k) => k / 64);
    const shift = fc.integer({ min: -10_000, max: 10_000 });
    const rows = fc.array(fc.tuple(fc.array(score, { minLength: 5, maxLength: 5 }), shift), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(rows, (rows) =>
        runtime.scope(() => {
          const shape = [rows.length, 5];
          const y = rows.map((_, i) => i % 5);
          const plain = softmaxLoss(
            tensor(
              rows.flatMap(([row]) => row),
              shape,
            ),
            y,
          );
          const moved = rows.flatMap(([row, shift]) => row.map((value) => value + shift));
          const shifted = softmaxLoss(tensor(moved, shape), y);
          expect(shifted.loss).toBe(plain.loss);
          expect(values(shifted.dx)).toEqual(values(plain.dx));
        }),
      ),
      { seed: 1 },
    );
  });

  test("the rows of the gradient sum to 0, and none of its values is above 1 / N", () => {
    for (const [N, C, scale] of [
      [1, 1, 1],
      [5, 3, 1],
      [9, 10, 20],
      [3, 1000, 5],
    ] as const) {
      const x = tensor(
        normals(N * C, random).map((v) => scale * v),
        [N, C],
      );
      const y = Array.from({ length: N }, () => Math.floor(C * random()));
      const { loss, dx } = softmaxLoss(x, y);
      expect(loss).toBeGreaterThanOrEqual(0);
      for (let n = 0; n < N; n++) {
        const row = values(dx).slice(n * C, n * C + C);
        // The roundings of probabilities that sum to 1 / N, of the label's and of the common
        // factor; and this sum's own C float64 roundings.
        const bound = (2 * epsilon + C * 2 ** -53) / N;
        expect(Math.abs(row.reduce((a, b) => a + b, 0))).toBeLessThan(bound);
        for (const [j, value] of row.entries()) {
          expect(value * (j === y[n] ? -1 : 1)).toBeGreaterThanOrEqual(0);
          expect(Math.abs(value)).toBeLessThanOrEqual((1 + epsilon) / N);
        }
      }
    }
  });

  test("scores of ±1e4 lose nothing", () => {
    const x = tensor([1e4, -1e4, 0, -1e4, -1e4, -1e4, 1e4, 1e4, -1e4, 1e4, 9999, 9998], [4, 3]);
    const { loss, dx } = softmaxLoss(x, [1, 2, 0, 0]);
    const three = Math.log(1 + Math.exp(-1) + Math.exp(-2));
    const expected = (20_000 + Math.log(3) + Math.log(2) + three) / 4;
    expect(deviation([loss], [expected])).toBeLessThan(dtype === "float32" ? 1e-11 : 1e-15);
    const [e1, e2] = [Math.exp(-1), Math.exp(-2)];
    const sum = 1 + e1 + e2;
    const twin = [1, -1, 0, 1 / 3, 1 / 3, -2 / 3, -0.5, 0.5, 0, 1 / sum - 1, e1 / sum, e2 / sum];
    expect(
      deviation(
        dx.data,
        twin.map((value) => value / 4),
        1 / 4,
      ),
    ).toBeLessThan(bound);
  });

  test("where the label's score is far above the others, its gradient keeps its digits", () => {
    for (const gap of [8, 12, 16]) {
      const { loss, dx } = softmaxLoss(tensor([gap, 0, 0], [1, 3]), [0]);
      const others = 2 * Math.exp(-gap);
      // The exponentials' own error; and what is lost where their sum, 1 + 2e-7 or more, is rounded
      // to float64.
      const limit = dtype === "float32" ? 4e-7 : 1e-9;
      expect(deviation([loss], [Math.log1p(others)])).toBeLessThan(limit);
      expect(deviation([dx.data[0]!], [-others / (1 + others)])).toBeLessThan(limit);
    }
  });

  // NumPy 1.24.2 on the module's formulas: scores, label → the loss, and the row's gradient times
  // 2. A second row is ordinary.
  const lost = [NaN, NaN, NaN];
  test.each([
    [[1, Infinity, 2], 0, NaN, lost],
    [[1, Infinity, 2], 1, NaN, lost],
    [[Infinity, Infinity, 1], 2, NaN, lost],
    [[Infinity, -Infinity, 0], 1, NaN, lost],
    [[-Infinity, -Infinity, -Infinity], 0, NaN, lost],
    [[1, NaN, 2], 0, NaN, lost],
    [[1, NaN, 2], 1, NaN, lost],
    [[NaN, NaN, NaN], 2, NaN, lost],
    [[NaN, 1, Infinity], 2, NaN, lost],
    [[1, -Infinity, 2], 0, 0.8604338259813016, [-0.7310585786300049, 0, 0.7310585786300049]],
    [[1, -Infinity, 2], 1, Infinity, [0.2689414213699951, -1, 0.7310585786300049]],
  ] as const)(
    "scores of %o with label %i give the loss %d, as NumPy does, and touch no other row",
    (row, label, loss, gradient) => {
      const x = tensor([...row, 1, 2, 3], [2, 3]);
      const result = softmaxLoss(x, [label, 2]);
      expect(deviation([result.loss], [loss])).toBeLessThan(bound);
      const ordinary = [0.09003057317038045, 0.24472847105479764, -0.3347590442251782];
      const expected = [...gradient, ...ordinary].map((value) => value / 2);
      expect(deviation(result.dx.data, expected, 1 / 2)).toBeLessThan(bound);
      expect(softmaxLoss(x, [label, 2], { dx: false }).loss).toEqual(result.loss);
    },
  );

  test("labels serve as number[], Int32Array, other whole-number arrays and int32 tensors alike", () => {
    const x = tensor(normals(40, random), [4, 10]);
    const y = [3, 0, 9, 3];
    const { loss, dx } = softmaxLoss(x, y);
    const others: Labels[] = [
      Int32Array.from(y),
      Uint8Array.from(y),
      runtime.tensor(y, [4], "int32"),
    ];
    for (const labels of others) {
      const other = softmaxLoss(x, labels);
      expect(other.loss).toBe(loss);
      expect(values(other.dx)).toEqual(values(dx));
    }
    expect(y).toEqual([3, 0, 9, 3]);
  });

  test("dx: false gives the same loss and no gradient, and leaves nothing in memory", () => {
    const x = tensor(normals(33 * 17, random), [33, 17]);
    const y = Array.from({ length: 33 }, (_, n) => n % 17);
    const { loss } = softmaxLoss(x, y);
    const { bytesLive, tensors } = runtime.memory;
    const without = softmaxLoss(x, y, { dx: false });
    expect(without.loss).toBe(loss);
    expect(without.dx).toBeUndefined();
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });

  test("dx: false takes a workspace of one row, and a call with dx none", () => {
    const C = 50_000;
    const bytes = (options: { dx?: false }) => {
      const own = createRuntimeSync();
      const x = own.zeros([2, C], dtype);
      softmaxLoss(x, [0, 1], options);
      return own.memory.bytesPeak - x.data.byteLength;
    };
    const row = C * (dtype === "float32" ? 4 : 8);
    // The labels take a block of 64 bytes besides; each block is rounded up to as many.
    expect(bytes({ dx: false })).toBeLessThan(row + 192);
    expect(bytes({ dx: false })).toBeGreaterThanOrEqual(row);
    expect(bytes({})).toBeLessThan(2 * row + 192);
  });

  test("labels get room for each of many rows, and leave what lies behind it alone", () => {
    const own = createRuntimeSync();
    const N = 1000;
    const x = own.zeros([N, 2], dtype);
    const dx = own.zeros([N, 2], dtype);
    const hole = own.zeros([1], dtype);
    const behind = own.full([N], 7, dtype);
    hole.dispose(); // where too small a room would be found
    const { bytesLive } = own.memory;
    const y = Array.from({ length: N }, (_, n) => n % 2);
    softmaxLoss(x, y, { dx });
    expect(values(behind)).toEqual(new Array(N).fill(7));
    expect(own.memory.bytesPeak - bytesLive).toBeGreaterThanOrEqual(4 * N);
  });

  test("writes into a destination, over what it held, and never onto x", () => {
    const x = tensor(normals(15, random), [3, 5]);
    const before = values(x);
    const plain = softmaxLoss(x, [0, 1, 2]);
    const dx = runtime.full([3, 5], NaN, dtype);
    const result = softmaxLoss(x, [0, 1, 2], { dx });
    expect(result.dx).toBe(dx);
    expect(values(dx)).toEqual(values(plain.dx));
    expect(() => softmaxLoss(x, [0, 1, 2], { dx: x })).toThrow(AliasError);
    expect(values(x)).toEqual(before);
  });

  test("x serves any number of calls, and what they made is all there is to dispose", () => {
    const { bytesLive, tensors } = runtime.memory;
    const x = tensor(normals(15, random), [3, 5]);
    const [first, second] = [softmaxLoss(x, [0, 1, 2]), softmaxLoss(x, [0, 1, 2])];
    expect(second.loss).toBe(first.loss);
    expect(values(second.dx)).toEqual(values(first.dx));
    for (const handle of [x, first.dx, second.dx]) handle.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });
});

test("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { x, y, ...expected } = golden("layers").softmax;
  const { loss, dx } = softmaxLoss(fromGolden(runtime, x), y.data);
  const lossError = deviation([loss], [expected.loss]);
  expect(track("softmax against PyTorch: loss", lossError)).toBeLessThan(GOLDEN_BOUND);
  const error = goldenError(dx, expected.dx);
  expect(track("softmax against PyTorch: dx", error)).toBeLessThan(GOLDEN_BOUND);
});

describe("gradients", () => {
  const runtime = createRuntimeSync();
  const random = seeded(73);
  const draw = <D extends "float32" | "float64">(dtype: D, N: number, C: number) => ({
    x: runtime.tensor(normals(N * C, random), [N, C], dtype),
    y: Array.from({ length: N }, () => Math.floor(C * random())),
  });

  test("float64 agrees with central differences", () => {
    for (const N of gradientSizes) {
      for (const C of gradientSizes) {
        runtime.scope(() => {
          const { x, y } = draw("float64", N, C);
          const { dx } = softmaxLoss(x, y);
          // The third derivative is no larger than the first here, so the step errs by h² / 6 =
          // 2e-9 of it; the loss's own rounding by 2e-16 / h = 2e-12.
          const loss = (x: typeof dx) => softmaxLoss(x, y, { dx: false }).loss;
          const expected = numericalGradient(loss, x, undefined, 1e-4);
          const error = track("softmax gradient dx float64", relativeError(dx, expected));
          expect(error).toBeLessThan(GRADIENT_BOUND);
        });
      }
    }
  });

  test("float32 is close to float64 on the same inputs", () => {
    for (const N of gradientSizes) {
      for (const C of gradientSizes) {
        runtime.scope(() => {
          const { x, y } = draw("float32", N, C);
          const { dx } = softmaxLoss(x, y);
          const { dx: dx64 } = softmaxLoss(float64Of(runtime, x), y);
          const error = deviation(numbers(dx.data), dx64.data, 1 / N);
          expect(track("softmax gradient dx float32", error)).toBeLessThan(bounds.float32);
        });
      }
    }
  });
});

testClassWeights({
  name: "softmax_loss",
  loss: softmaxLoss,
  twin: reference.softmaxLoss,
  golden: golden("layers").softmaxWeighted,
  bounds,
});
