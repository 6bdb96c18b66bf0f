// The properties that the losses of targets share, tried on each by its own test file.

import { describe, expect, test } from "vitest";
import {
  AliasError,
  createRuntimeSync,
  type FloatDType,
  type LossResult,
  numericalGradient,
  type Tensor,
} from "../../src/index.ts";
import {
  configurations,
  GOLDEN_BOUND,
  GRADIENT_BOUND,
  goldenError,
  gradientSizes,
  offsets,
  sizes,
  track,
  values,
} from "../layers/common.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, type GoldenArray } from "../support/golden.ts";
import { deviation, type Numbers, normals } from "../support/reference.ts";

export interface TargetLoss {
  /** Of the kernel. */
  name: "bce_with_logits_loss" | "mse_loss";
  loss<D extends FloatDType, X extends Tensor<D> | false = Tensor<D>>(
    x: Tensor<D>,
    y: Tensor<D>,
    options?: { dx?: X },
  ): LossResult<D, X>;
  twin(x: Numbers, y: Numbers): { loss: number; dx: number[] };
  golden: { x: GoldenArray; y: GoldenArray; dx: GoldenArray; loss: number };
}

// float64 throughout and dx rounded once: half a unit of values up to 20 / n.
const bounds = { float32: 1e-6, float64: 4e-15 };

export function testTargetLoss({ name, loss, twin, golden }: TargetLoss): void {
  describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
    const { array, suffix, dtype } = type;
    const kernel = core.exports[`${name}_${suffix}` as const];

    test("is the plain twin at every length and address, with dx and without, and writes no other byte", () => {
      const random = seeded(101);
      const places = [
        ...offsets.map((offset) => () => ({ offset })),
        ...["x", "y", "dx"].map((last) => (name: string) => ({ last: name === last })),
      ];
      for (const n of sizes) {
        if (n === 0) continue; // no mean
        for (const place of places) {
          core.reset();
          const x = array.from(normals(n, random).map((v) => 3 * v));
          const y = array.from({ length: n }, random);
          const xAt = core.input(x, place("x")).address;
          const yAt = core.input(y, place("y")).address;
          const dx = core.output(array, n, place("dx"));
          const result = kernel(dx.address, xAt, yAt, n);
          const alone = kernel(0, xAt, yAt, n);
          core.checkGuards();
          expect(alone).toBe(result);
          const expected = twin(x, y);
          const error = deviation([result], [expected.loss], 1 + expected.loss);
          expect(track(`${name} ${dtype}: loss`, error)).toBeLessThan(1e-14);
          const gradientError = deviation(dx.values(), expected.dx, 1 / n);
          expect(track(`${name} ${dtype}: dx`, gradientError)).toBeLessThan(bounds[dtype]);
        }
      }
    });
  });

  describe.each(dtypes)("the facade in $dtype", ({ dtype, array }) => {
    const runtime = createRuntimeSync();
    const random = seeded(102);
    const draw = (shape: number[]) => {
      const n = shape.reduce((a, b) => a * b, 1);
      return {
        x: runtime.tensor(array.from(normals(n, random)), shape, dtype),
        y: runtime.tensor(array.from({ length: n }, random), shape, dtype),
      };
    };

    test("takes any shape, and is the mean over all elements", () => {
      for (const shape of [[], [1], [7], [4, 1], [3, 5], [2, 3, 4]]) {
        const { x, y } = draw(shape);
        const result = loss(x, y);
        expect([result.dx.shape, result.dx.dtype]).toEqual([shape, dtype]);
        const expected = twin(x.data, y.data);
        expect(deviation([result.loss], [expected.loss], 1)).toBeLessThan(1e-14);
        expect(deviation(result.dx.data, expected.dx, 1 / x.size)).toBeLessThan(bounds[dtype]);
      }
    });

    test("dx: false gives the same loss and no gradient, and leaves nothing in memory", () => {
      const { x, y } = draw([5, 3]);
      const whole = loss(x, y);
      const { bytesLive, tensors } = runtime.memory;
      const without = loss(x, y, { dx: false });
      expect(without.loss).toBe(whole.loss);
      expect(without.dx).toBeUndefined();
      expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    });

    test("writes into a destination, over what it held, and never onto x or y", () => {
      const { x, y } = draw([5, 3]);
      const before = [values(x), values(y)];
      const plain = loss(x, y);
      const dx = runtime.full([5, 3], NaN, dtype);
      expect(loss(x, y, { dx }).dx).toBe(dx);
      expect(values(dx)).toEqual(values(plain.dx));
      for (const each of [x, y]) expect(() => loss(x, y, { dx: each })).toThrow(AliasError);
      expect([values(x), values(y)]).toEqual(before);
    });
  });

  test("gives what PyTorch gives", () => {
    const runtime = createRuntimeSync();
    const result = loss(fromGolden(runtime, golden.x), fromGolden(runtime, golden.y));
    const error = track(`${name} against PyTorch: loss`, deviation([result.loss], [golden.loss]));
    expect(error).toBeLessThan(GOLDEN_BOUND);
    const gradientError = track(`${name} against PyTorch: dx`, goldenError(result.dx, golden.dx));
    expect(gradientError).toBeLessThan(GOLDEN_BOUND);
  });

  test("float64 gradients agree with central differences", () => {
    const runtime = createRuntimeSync();
    const random = seeded(103);
    for (const N of gradientSizes) {
      for (const D of gradientSizes) {
        runtime.scope(() => {
          const x = runtime.tensor(normals(N * D, random), [N, D], "float64");
          const y = runtime.tensor(Array.from({ length: N * D }, random), [N, D], "float64");
          const { dx } = loss(x, y);
          // The step errs by h² / 6 of the third derivative, 2e-10; rounding by 2e-16 / h = 2e-12.
          const f = (x: Tensor<"float64">) => loss(x, y, { dx: false }).loss;
          const error = deviation(dx.data, numericalGradient(f, x, undefined, 1e-4).data, 1);
          expect(track(`${name} gradient dx float64`, error)).toBeLessThan(GRADIENT_BOUND);
        });
      }
    }
  });
}
