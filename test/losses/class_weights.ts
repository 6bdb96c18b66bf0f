// What class weights do to a loss of labels, tried on each by its own test file.

import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  type FloatDType,
  type LabelLossOptions,
  type Labels,
  type LossResult,
  numericalGradient,
  relativeError,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import {
  configurations,
  GOLDEN_BOUND,
  GRADIENT_BOUND,
  goldenError,
  offsets,
  track,
  values,
} from "../layers/common.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, type GoldenArray } from "../support/golden.ts";
import { deviation, type Numbers, normals } from "../support/reference.ts";

interface LabelLoss {
  name: "softmax_loss" | "svm_loss";
  loss<D extends FloatDType, X extends Tensor<D> | false = Tensor<D>>(
    x: Tensor<D>,
    y: Labels,
    options?: LabelLossOptions<X>,
  ): LossResult<D, X>;
  twin(
    x: Numbers,
    y: Numbers,
    shape: readonly [number, number],
    classWeights?: Numbers,
  ): { loss: number; dx: number[] };
  golden: Record<"x" | "y" | "dx" | "classWeights", GoldenArray> & { loss: number };
  /** Of the loss and of the gradient, whose values are up to the number of classes. */
  bounds: Record<"float32" | "float64", number>;
}

/** Whose sums are not exact, with a class that is left out. */
const WEIGHTS = [0.1, 3, 0, 1 / 3, 7];
const C = WEIGHTS.length;

export function testClassWeights({ name, loss, twin, golden, bounds }: LabelLoss): void {
  describe.each(configurations)("the weights of the kernel in $dtype, $build core", (given) => {
    const { core, type } = given;
    const { array, suffix, dtype } = type;
    const kernel =
      (dx: number, x: number, y: number, weights: number, work: number, N: number) =>
      (W: number): number =>
        name === "svm_loss"
          ? core.exports[`svm_loss_${suffix}`](dx, x, y, weights, N, C, W)
          : core.exports[`softmax_loss_${suffix}`](dx, x, y, weights, work, N, C, W);

    test("count each row as the plain twin does, at any address, and nothing else is written", () => {
      const random = seeded(171);
      const places = [
        ...offsets.map((offset) => () => ({ offset })),
        ...["x", "y", "dx", "weights"].map((last) => (name: string) => ({ last: name === last })),
      ];
      for (const N of [1, 2, 5, 64]) {
        for (const place of places) {
          core.reset();
          const x = array.from(normals(N * C, random).map((v) => 3 * v));
          const y = Int32Array.from({ length: N }, () => Math.floor(C * random()));
          const rows = Float64Array.from(y, (label) => WEIGHTS[label]!);
          const W = rows.reduce((a, b) => a + b, 0);
          const [xAt, yAt] = [core.input(x, place("x")), core.input(y, place("y"))];
          const weights = core.input(rows, place("weights")).address;
          const dx = core.output(array, N * C, place("dx"));
          const work = core.work(core.exports[`softmax_loss_work_bytes_${suffix}`](C), {});
          const both = [xAt.address, yAt.address, weights, work.address, N] as const;
          const result = kernel(dx.address, ...both)(W);
          const alone = kernel(0, ...both)(W);
          core.checkGuards();
          expect(alone).toBe(result);
          const expected = twin(x, y, [N, C], WEIGHTS);
          const error = deviation([result], [expected.loss], 1 + expected.loss);
          expect(track(`weighted ${name} ${dtype}: loss`, error)).toBeLessThan(bounds[dtype]);
          const gradientError = deviation(dx.values(), expected.dx, 1);
          expect(track(`weighted ${name} ${dtype}: dx`, gradientError)).toBeLessThan(bounds[dtype]);
        }
      }
    });
  });

  describe.each(dtypes)("class weights in $dtype", ({ dtype, array }) => {
    const runtime = createRuntimeSync();
    const random = seeded(172);
    const draw = (N: number) => ({
      x: runtime.tensor(array.from(normals(N * C, random)), [N, C], dtype),
      y: Array.from({ length: N }, () => Math.floor(C * random())),
    });

    test("give the weighted mean of the rows' losses, as the twin does, and its gradient", () => {
      for (const N of [1, 3, 40, 1000]) {
        const { x, y } = draw(N);
        const { loss: result, dx } = loss(x, y, { classWeights: WEIGHTS });
        const expected = twin(x.data, y, [N, C], WEIGHTS);
        expect(deviation([result], [expected.loss], 1 + expected.loss)).toBeLessThan(bounds[dtype]);
        expect(deviation(dx.data, expected.dx, 1)).toBeLessThan(bounds[dtype]);
        const weights = y.map((label) => WEIGHTS[label]!);
        const sum = weights.reduce((a, b) => a + b, 0);
        const rows = y.map(
          (label, n) =>
            loss(runtime.tensor(x.data.slice(n * C, n * C + C), [1, C], dtype), [label]).loss *
            weights[n]!,
        );
        const mean = sum && rows.reduce((a, b) => a + b, 0) / sum;
        expect(deviation([result], [mean], 1)).toBeLessThan(1e-13); // float64, 1,000 terms
      }
    });

    test("of one value for all give the bits of none at all, whatever the value", () => {
      const { x, y } = draw(37);
      const plain = loss(x, y);
      for (const value of [1, 2, 0.1, 1e-320, Number.MAX_VALUE]) {
        const { loss: result, dx } = loss(x, y, { classWeights: Array(C).fill(value) });
        expect(result).toBe(plain.loss);
        expect(values(dx)).toEqual(values(plain.dx));
      }
    });

    test("are shares: a common factor changes nothing, and none is too large for the sums", () => {
      const { x, y } = draw(37);
      const plain = loss(x, y, { classWeights: WEIGHTS });
      for (const factor of [2, 2 ** 1020, 2 ** -1000]) {
        const classWeights = WEIGHTS.map((weight) => weight * factor);
        const scaled = loss(x, y, { classWeights });
        expect(scaled.loss).toBe(plain.loss);
        expect(values(scaled.dx)).toEqual(values(plain.dx));
      }
    });

    test("of 0 leave rows out, whatever their scores; where all are, loss and gradient are 0", () => {
      const odd = [NaN, Infinity, -Infinity, 1, 2];
      const x = runtime.tensor(array.from([...odd, 1, 2, 3, 4, 5]), [2, C], dtype);
      const alone = loss(runtime.tensor([1, 2, 3, 4, 5], [1, C], dtype), [1]);
      const result = loss(x, [2, 1], { classWeights: WEIGHTS });
      expect(result.loss).toBe(alone.loss);
      expect(values(result.dx)).toEqual([0, 0, 0, 0, 0, ...values(alone.dx)]);
      const dx = runtime.full([2, C], NaN, dtype);
      for (const classWeights of [WEIGHTS, Array(C).fill(0)]) {
        expect(loss(x, [2, 2], { classWeights, dx }).loss).toBe(0);
        expect(values(dx)).toEqual(Array(2 * C).fill(0));
        expect(loss(x, [2, 2], { classWeights, dx: false }).loss).toBe(0);
      }
    });

    test("may be typed arrays; dx: false gives the same loss; nothing of it stays in memory", () => {
      const { x, y } = draw(9);
      const { loss: expected } = loss(x, y, { classWeights: [1, 2, 3, 4, 5] });
      const { bytesLive, tensors } = runtime.memory;
      for (const Type of [Float32Array, Float64Array, Uint8Array]) {
        const classWeights = Type.of(1, 2, 3, 4, 5) as Float64Array;
        expect(loss(x, y, { classWeights, dx: false }).loss).toBe(expected);
      }
      expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    });

    test("that are none are refused by index and value, and nothing has changed then", () => {
      const { x, y } = draw(3);
      const dx = runtime.full([3, C], 7, dtype);
      const { memory } = runtime;
      const operation = name === "svm_loss" ? "svmLoss" : "softmaxLoss";
      for (const wrong of [-1, -1e-300, NaN, Infinity, "1", null, undefined, 1n]) {
        const call = () => loss(x, y, { classWeights: [1, 2, wrong, 4, 5] as never, dx });
        expect(call).toThrow(RangeError);
        const shown = typeof wrong === "string" ? '"1"' : String(wrong);
        expect(call).toThrow(
          `${operation}: classWeights[2] is ${shown}, expected a number from 0 up`,
        );
      }
      for (const wrong of [[], [1, 2, 3, 4], Float32Array.of(1, 2, 3, 4, 5, 6)]) {
        const call = () => loss(x, y, { classWeights: wrong, dx });
        expect(call).toThrow(ShapeError);
        expect(call).toThrow(
          `${operation}: classWeights has ${wrong.length} numbers, expected 5, one a class`,
        );
      }
      for (const [wrong, given] of [
        [3, "number"],
        [null, "null"],
        ["balanced", "string"],
        [{ 0: 1, 1: 2 }, "Object"],
      ] as const) {
        const call = () => loss(x, y, { classWeights: wrong as never, dx });
        expect(call).toThrow(TypeError);
        expect(call).toThrow(
          `classWeights must be an array of 5 numbers, one a class, got ${given}`,
        );
      }
      expect(values(dx)).toEqual(Array(3 * C).fill(7));
      expect(runtime.memory).toMatchObject({
        bytesLive: memory.bytesLive,
        tensors: memory.tensors,
      });
    });
  });

  test("class weights give what PyTorch gives", () => {
    const runtime = createRuntimeSync();
    const x = fromGolden(runtime, golden.x);
    const result = loss(x, golden.y.data, { classWeights: golden.classWeights.data });
    const error = deviation([result.loss], [golden.loss]);
    expect(track(`weighted ${name} against PyTorch: loss`, error)).toBeLessThan(GOLDEN_BOUND);
    const gradientError = goldenError(result.dx, golden.dx);
    expect(track(`weighted ${name} against PyTorch: dx`, gradientError)).toBeLessThan(GOLDEN_BOUND);
  });

  test("with class weights float64 gradients agree with central differences", () => {
    const runtime = createRuntimeSync();
    const random = seeded(173);
    for (const N of [1, 3, 8]) {
      runtime.scope(() => {
        const y = Array.from({ length: N }, () => Math.floor(C * random()));
        // Whole numbers and a third: every margin is at least 1/3 away from the SVM loss's kink at
        // 0.
        const scores = Array.from(
          { length: N * C },
          (_, i) => Math.floor(5 * random()) + (i % C === y[Math.floor(i / C)] ? 1 / 3 : 0),
        );
        const x = runtime.tensor(scores, [N, C], "float64");
        const { dx } = loss(x, y, { classWeights: WEIGHTS });
        const f = (x: Tensor<"float64">) => loss(x, y, { classWeights: WEIGHTS, dx: false }).loss;
        const error = relativeError(dx, numericalGradient(f, x, undefined, 1e-4));
        expect(track(`weighted ${name} gradient`, error)).toBeLessThan(GRADIENT_BOUND);
      });
    }
  });
}
