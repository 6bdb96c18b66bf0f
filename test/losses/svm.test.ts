import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AliasError,
  createRuntimeSync,
  type Labels,
  numericalGradient,
  relativeError,
  svmLoss,
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

// Margins and sums are float64 for either dtype; dx is rounded once.
const LOSS_BOUND = 1e-14; // up to 1,000 terms of one sign
const bounds = { float32: 6e-8, float64: 1e-14 };

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, dtype } = type;
  const { exports } = core;

  test("is the plain twin at any length and address, with dx and without, and writes no other byte", () => {
    const random = seeded(81);
    const places = [
      ...offsets.map((offset) => () => ({ offset })),
      ...["x", "y", "dx"].map((last) => (name: string) => ({ last: name === last })),
    ];
    for (const N of [1, 2, 5]) {
      for (const C of sizes) {
        if (C === 0) continue; // no label is in range
        for (const place of places) {
          core.reset();
          const x = array.from(normals(N * C, random));
          const y = Int32Array.from({ length: N }, () => Math.floor(C * random()));
          const xAt = core.input(x, place("x")).address;
          const yAt = core.input(y, place("y")).address;
          const dx = core.output(array, N * C, place("dx"));
          const loss = exports[`svm_loss_${suffix}`](dx.address, xAt, yAt, 0, N, C, N);
          const alone = exports[`svm_loss_${suffix}`](0, xAt, yAt, 0, N, C, N);
          core.checkGuards();
          const expected = reference.svmLoss(x, y, [N, C]);
          expect(alone).toBe(loss);
          expect(deviation([loss], [expected.loss])).toBeLessThan(LOSS_BOUND);
          expect(deviation(dx.values(), expected.dx)).toBeLessThan(bounds[dtype]);
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

  test("gives the twin's loss and gradient, also for 1,000 classes", () => {
    for (const [N, C] of [
      [1, 1],
      [1, 2],
      [3, 10],
      [64, 10],
      [7, 1000],
      [200, 3],
    ] as const) {
      const x = tensor(normals(N * C, random), [N, C]);
      const y = Int32Array.from({ length: N }, () => Math.floor(C * random()));
      const { loss, dx } = svmLoss(x, y);
      const expected = reference.svmLoss(x.data, y, [N, C]);
      expect([dx.shape, dx.dtype]).toEqual([[N, C], dtype]);
      const lossError = deviation([loss], [expected.loss]);
      expect(track(`svm ${dtype}: loss`, lossError)).toBeLessThan(LOSS_BOUND);
      const error = deviation(dx.data, expected.dx);
      // The twin adds 1 / N up to 1,000 times.
      expect(track(`svm ${dtype}: dx`, error)).toBeLessThan(dtype === "float32" ? 6e-8 : 1e-13);
    }
  });

  test("gives what the formula gives", () => {
    const { loss, dx } = svmLoss(tensor([3, 2.5, 4, 0, 5, 1], [2, 3]), [0, 1]);
    expect(loss).toBe((0.5 + 2) / 2);
    expect(values(dx)).toEqual([-1, 0.5, 0.5, 0, 0, 0]);
  });

  test("one class alone gives 0 and no gradient", () => {
    const { loss, dx } = svmLoss(tensor([5, -1e4, Infinity], [3, 1]), [0, 0, 0]);
    expect(loss).toBe(0);
    expect(values(dx)).toEqual([0, 0, 0]);
  });

  test("a margin of exactly 0 gives no gradient, and one just above it does", () => {
    const { loss, dx } = svmLoss(tensor([1, 0, -1, 1, epsilon, 0], [2, 3]), [0, 0]);
    expect(loss).toBe(epsilon / 2);
    expect(values(dx)).toEqual([0, 0, 0, -0.5, 0.5, 0]);
  });

  test("equal scores give C − 1", () => {
    for (const C of [1, 2, 10, 1000]) {
      expect(svmLoss(runtime.full([3, C], 0.1, dtype), [0, C - 1, C >> 1]).loss).toBe(C - 1);
    }
  });

  test("shifting all scores of a row by a constant leaves the loss and the gradient unchanged", () => {
    // 64ths up to ±10,100, which both dtypes hold and shift without rounding.
    const score = fc.integer({ min: -200, max: 200 }).map((k) => k / 64);
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
          const plain = svmLoss(
            tensor(
              rows.flatMap(([row]) => row),
              shape,
            ),
            y,
          );
          const moved = rows.flatMap(([row, shift]) => row.map((value) => value + shift));
          const shifted = svmLoss(tensor(moved, shape), y);
          expect(shifted.loss).toBe(plain.loss);
          expect(values(shifted.dx)).toEqual(values(plain.dx));
        }),
      ),
      { seed: 1 },
    );
  });

  test("the rows of the gradient sum to 0", () => {
    for (const [N, C] of [
      [1, 1],
      [5, 3],
      [9, 10],
      [3, 1000],
    ] as const) {
      const x = tensor(normals(N * C, random), [N, C]);
      const y = Array.from({ length: N }, () => Math.floor(C * random()));
      const dx = values(svmLoss(x, y).dx);
      for (let n = 0; n < N; n++) {
        const row = dx.slice(n * C, n * C + C);
        // Of up to C / N: 1 / N is rounded once, count / N once, and this sum C times in float64.
        const bound = (C / N) * (epsilon + C * 2 ** -53);
        expect(Math.abs(row.reduce((a, b) => a + b, 0))).toBeLessThan(bound);
      }
    }
  });

  test("scores of ±1e4 lose nothing", () => {
    const x = tensor([1e4, -1e4, 0, -1e4, 9999.5, 1e4], [2, 3]);
    const { loss, dx } = svmLoss(x, [1, 2]);
    expect(loss).toBe((20_001 + 10_001 + 0.5) / 2);
    expect(values(dx)).toEqual([0.5, -1, 0.5, 0, 0.5, -0.5]);
  });

  // NumPy 1.24.2 on the module's formulas: scores, label → the loss, and the row's gradient. A
  // second row has no loss.
  test.each([
    [[1, Infinity, 2], 0, Infinity, [-1, 0.5, 0.5]],
    [[1, Infinity, 2], 1, 0, [0, 0, 0]],
    [[1, -Infinity, 2], 0, 1, [-0.5, 0, 0.5]],
    [[1, -Infinity, 2], 1, Infinity, [0.5, -1, 0.5]],
    [[-Infinity, -Infinity, -Infinity], 0, NaN, [0, 0, 0]],
    [[Infinity, Infinity, 1], 2, Infinity, [0.5, 0.5, -1]],
    [[1, NaN, 2], 0, NaN, [-0.5, 0, 0.5]],
    [[1, NaN, 2], 1, NaN, [0, 0, 0]],
    [[Infinity, -Infinity, 0], 0, 0, [0, 0, 0]],
    [[Infinity, -Infinity, 0], 1, Infinity, [0.5, -1, 0.5]],
  ] as const)(
    "scores of %o with label %i give the loss %d, as NumPy does, and touch no other row",
    (row, label, loss, gradient) => {
      const x = tensor([...row, 1, 2, 3], [2, 3]);
      const result = svmLoss(x, [label, 2]);
      expect(result.loss).toBe(loss);
      expect(values(result.dx)).toEqual([...gradient, 0, 0, 0]);
      expect(svmLoss(x, [label, 2], { dx: false }).loss).toBe(loss);
    },
  );

  test("labels serve as number[], Int32Array, other whole-number arrays and int32 tensors alike", () => {
    const x = tensor(normals(40, random), [4, 10]);
    const y = [3, 0, 9, 3];
    const { loss, dx } = svmLoss(x, y);
    const others: Labels[] = [
      Int32Array.from(y),
      Uint8Array.from(y),
      runtime.tensor(y, [4], "int32"),
    ];
    for (const labels of others) {
      const other = svmLoss(x, labels);
      expect(other.loss).toBe(loss);
      expect(values(other.dx)).toEqual(values(dx));
    }
  });

  test("dx: false gives the same loss and no gradient, and leaves nothing in memory", () => {
    const x = tensor(normals(33 * 17, random), [33, 17]);
    const y = Array.from({ length: 33 }, (_, n) => n % 17);
    const { loss } = svmLoss(x, y);
    const { bytesLive, tensors } = runtime.memory;
    const without = svmLoss(x, y, { dx: false });
    expect(without.loss).toBe(loss);
    expect(without.dx).toBeUndefined();
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });

  test("writes into a destination, over what it held, and never onto x", () => {
    const x = tensor(normals(15, random), [3, 5]);
    const before = values(x);
    const plain = svmLoss(x, [0, 1, 2]);
    const dx = runtime.full([3, 5], NaN, dtype);
    const result = svmLoss(x, [0, 1, 2], { dx });
    expect(result.dx).toBe(dx);
    expect(values(dx)).toEqual(values(plain.dx));
    expect(() => svmLoss(x, [0, 1, 2], { dx: x })).toThrow(AliasError);
    expect(values(x)).toEqual(before);
  });

  test("x serves any number of calls, and what they made is all there is to dispose", () => {
    const { bytesLive, tensors } = runtime.memory;
    const x = tensor(normals(15, random), [3, 5]);
    const [first, second] = [svmLoss(x, [0, 1, 2]), svmLoss(x, [0, 1, 2])];
    expect(second.loss).toBe(first.loss);
    expect(values(second.dx)).toEqual(values(first.dx));
    for (const handle of [x, first.dx, second.dx]) handle.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });
});

test("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { x, y, ...expected } = golden("layers").svm;
  const { loss, dx } = svmLoss(fromGolden(runtime, x), y.data);
  const lossError = deviation([loss], [expected.loss]);
  expect(track("svm against PyTorch: loss", lossError)).toBeLessThan(GOLDEN_BOUND);
  const error = goldenError(dx, expected.dx);
  expect(track("svm against PyTorch: dx", error)).toBeLessThan(GOLDEN_BOUND);
});

describe("gradients", () => {
  const runtime = createRuntimeSync();
  const random = seeded(83);
  const draw = <D extends "float32" | "float64">(dtype: D, N: number, C: number) => {
    const y = Array.from({ length: N }, () => Math.floor(C * random()));
    // Whole numbers and a third: every margin is at least 1/3 away from the kink at 0.
    const scores = Array.from({ length: N * C }, (_, i) => {
      const own = i % C === y[Math.floor(i / C)];
      return Math.floor(5 * random()) + (own ? 1 / 3 : 0);
    });
    return { x: runtime.tensor(scores, [N, C], dtype), y };
  };

  test("float64 agrees with central differences", () => {
    for (const N of gradientSizes) {
      for (const C of gradientSizes) {
        runtime.scope(() => {
          const { x, y } = draw("float64", N, C);
          const { dx } = svmLoss(x, y);
          // Linear between the kinks: a large step loses no accuracy, and rounding weighs less in
          // it.
          const loss = (x: typeof dx) => svmLoss(x, y, { dx: false }).loss;
          const expected = numericalGradient(loss, x, undefined, 2 ** -4);
          const error = track("svm gradient dx float64", relativeError(dx, expected));
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
          const { dx } = svmLoss(x, y);
          const { dx: dx64 } = svmLoss(float64Of(runtime, x), y);
          const error = deviation(numbers(dx.data), dx64.data);
          expect(track("svm gradient dx float32", error)).toBeLessThan(bounds.float32);
        });
      }
    }
  });
});

testClassWeights({
  name: "svm_loss",
  loss: svmLoss,
  twin: reference.svmLoss,
  golden: golden("layers").svmWeighted,
  bounds: { float32: 3e-7, float64: 1e-14 }, // margins of C classes, rounded once
});
