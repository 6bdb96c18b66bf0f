import { describe, expect, test } from "vitest";
import {
  AliasError,
  adam,
  constant,
  createRuntimeSync,
  type FloatDType,
  loadModel,
  numericalGradient,
  prelu,
  preluBackward,
  preluForward,
  Sequential,
  ShapeError,
  saveModel,
  type Tensor,
  Trainer,
} from "../../src/index.ts";
import { loadPredictorSync } from "../../src/predict.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { configurations, goldenError, offsets, sizes, values } from "./common.ts";

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type, dtype }) => {
  const { array, suffix } = type;
  const exports = core.exports as unknown as Record<string, (...given: number[]) => void>;

  test("are the plain twin for every number of channels and elements, and write no other byte", () => {
    const random = seeded(81);
    for (const [N, L] of [
      [3, 1],
      [2, 5],
      [1, 9],
      [0, 1],
    ] as const) {
      for (const C of sizes) {
        for (const offset of offsets) {
          core.reset();
          const n = N * C * L;
          const x = array.from(reference.normals(n, random));
          if (n > 2) x.set([0, Number.NaN]);
          const dout = array.from(reference.normals(n, random));
          const slope = array.from(reference.normals(C, random));
          const place = { offset };
          const [xAt, slopeAt] = [core.input(x, place).address, core.input(slope, place).address];
          const doutAt = core.inout(dout, place);
          const out = core.output(array, n, place);
          const [dx, dslope] = [core.output(array, n, place), core.output(array, C, place)];
          exports[`prelu_forward_${suffix}`]!(out.address, xAt, slopeAt, N, C, L);
          const backward = exports[`prelu_backward_${suffix}`]!;
          backward(dx.address, dslope.address, doutAt.address, xAt, slopeAt, N, C, L);
          backward(0, 0, doutAt.address, xAt, slopeAt, N, C, L);
          const gradient = dx.values();
          backward(doutAt.address, 0, doutAt.address, xAt, slopeAt, N, C, L);
          core.checkGuards();
          const round = (values: number[]) => Array.from(array.from(values));
          expect(Array.from(out.values())).toEqual(round(reference.preluForward(x, slope, L)));
          const expected = reference.preluBackward(dout, x, slope, L);
          expect(Array.from(gradient)).toEqual(round(expected.dx));
          expect(Array.from(doutAt.values())).toEqual(Array.from(gradient));
          // Sums of up to 15 products, in float64.
          const bound = dtype === "float32" ? 1e-6 : 1e-14;
          expect(reference.deviation(dslope.values(), expected.dslope, 4)).toBeLessThan(bound);
        }
      }
    }
  });
});

describe.each(dtypes)("the calls in $dtype", ({ dtype }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: number[], shape = [data.length]) =>
    runtime.tensor(data, shape, dtype) as Tensor<FloatDType>;

  test("channels are x's second axis, and one slope serves all of them", () => {
    const x = tensor([-1, -2, -3, -4, 5, 6, -7, 8], [2, 2, 2]);
    expect(values(preluForward(x, tensor([0.5, 2])).out)).toEqual([-0.5, -1, -6, -8, 5, 6, -14, 8]);
    expect(values(preluForward(x, tensor([0.5])).out)).toEqual([-0.5, -1, -1.5, -2, 5, 6, -3.5, 8]);
    expect(values(preluForward(tensor([-4, 4]), tensor([0.25])).out)).toEqual([-1, 4]);
    expect(values(preluForward(tensor([-4], []), tensor([0.25])).out)).toEqual([-1]);
  });

  test("at 0 the gradient is the slope; each result may be left out", () => {
    const { cache } = preluForward(tensor([0, -2, 3], [1, 3]), tensor([0.5]));
    const ones = tensor([1, 1, 1], [1, 3]);
    const { dx, dslope } = preluBackward(ones, cache);
    expect([values(dx!), values(dslope!)]).toEqual([[0.5, 0.5, 1], [-2]]);
    expect(preluBackward(ones, cache, { dx: false }).dx).toBeUndefined();
    expect(preluBackward(ones, cache, { dslope: false }).dslope).toBeUndefined();
    expect(values(preluBackward(ones, cache, { dx: ones }).dx!)).toEqual([0.5, 0.5, 1]);
  });

  test("a slope of another shape, and destinations that share data, are refused", () => {
    const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    for (const slope of [tensor([1, 2]), tensor([1, 2, 3], [1, 3]), tensor([1], [])]) {
      expect(() => preluForward(x, slope)).toThrow(ShapeError);
      expect(() => preluForward(x, slope)).toThrow(
        `preluForward: slope must have shape (3,) or (1,), as x has shape (2, 3), got (${slope.shape.join(", ")}`,
      );
    }
    const slope = tensor([1, 2, 3]);
    expect(() => preluForward(x, slope, { out: x })).toThrow(AliasError);
    const { cache } = preluForward(x, slope);
    expect(() => preluBackward(x, cache, { dslope: slope })).toThrow(AliasError);
  });
});

test("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { x, weight, dout, out, dx, dweight } = golden("activations").prelu;
  const result = preluForward(fromGolden(runtime, x), fromGolden(runtime, weight));
  expect(goldenError(result.out, out)).toBe(0);
  const gradients = preluBackward(fromGolden(runtime, dout), result.cache);
  expect(goldenError(gradients.dx!, dx)).toBe(0);
  expect(goldenError(gradients.dslope!, dweight)).toBeLessThan(1e-12);
});

test("float64 agrees with central differences, in x and in the slope", () => {
  const runtime = createRuntimeSync();
  const random = seeded(82);
  const shape = [2, 3, 4];
  const x = runtime.tensor(
    reference.normals(24, random).map((v) => v + Math.sign(v) * 0.1),
    shape,
    "float64",
  );
  const dout = runtime.tensor(reference.normals(24, random), shape, "float64");
  const slope = runtime.tensor([0.3, -0.2, 1.5], [3], "float64");
  const { dx, dslope } = preluBackward(dout, preluForward(x, slope).cache);
  const inX = numericalGradient((x) => preluForward(x, slope).out, x, dout, 1e-4);
  const inSlope = numericalGradient((slope) => preluForward(x, slope).out, slope, dout, 1e-4);
  expect(reference.deviation(dx!.data, inX.data, 1)).toBeLessThan(1e-7);
  expect(reference.deviation(dslope!.data, inSlope.data, 1)).toBeLessThan(1e-7);
});

describe("in a model", () => {
  const runtime = createRuntimeSync();
  const x = [
    [-1, 2, -3],
    [4, -5, 6],
  ];

  test("has a slope for each channel of the last axis, or one, and begins with 0.25", () => {
    for (const [layer, count] of [
      [prelu(), 3],
      [prelu({ shared: true }), 1],
    ] as const) {
      const model = new Sequential(runtime, { input: [3], layers: [layer] });
      expect(model.parameters().map(({ name, value }) => [name, values(value)])).toEqual([
        ["0.weight", Array(count).fill(0.25)],
      ]);
      expect(values(model.predict(x))).toEqual([-0.25, 2, -0.75, 4, -1.25, 6]);
    }
  });

  test("is learned, and l2 leaves it alone", () => {
    const weight = constant(0.5);
    const model = new Sequential(runtime, { input: [3], layers: [prelu({ weight })] });
    const y = Float32Array.of(-0.1, 2, -0.3, 4, -0.5, 6);
    const trainer = new Trainer(model, {
      loss: "mse",
      optimizer: adam({ learningRate: 0.01 }),
      l2: 0,
    });
    const targets = runtime.tensor(y, [2, 3]);
    for (let i = 0; i < 500; i++) trainer.step(x, targets);
    for (const slope of values(model.parameters()[0]!.value)) expect(slope).toBeCloseTo(0.1, 3);
    const decayed = new Sequential(runtime, { input: [3], layers: [prelu()] });
    const still = new Trainer(decayed, { loss: "mse", optimizer: adam(), l2: 0.5 });
    still.step(x, decayed.predict(x));
    expect(values(decayed.parameters()[0]!.value)).toEqual([0.25, 0.25, 0.25]);
  });

  test("goes to a file and back, and to a predictor, to the bit", () => {
    for (const shared of [false, true]) {
      const weight = constant(0.3);
      const model = new Sequential(runtime, { input: [2, 3], layers: [prelu({ shared, weight })] });
      const file = saveModel(model);
      const scores = values(model.predict([x] as never));
      expect(values(loadModel(runtime, file).predict([x] as never))).toEqual(scores);
      expect(Array.from(loadPredictorSync(file).predict([x] as never))).toEqual(scores);
      expect(Array.from(model.compile().predict([x] as never))).toEqual(scores);
    }
  });

  test("refuses a weight that is no initializer", () => {
    expect(
      () => new Sequential(runtime, { input: [3], layers: [prelu({ weight: 0.25 as never })] }),
    ).toThrow("Sequential: layer 0 (prelu): weight must be an initializer, as constant(0.25)");
  });
});
