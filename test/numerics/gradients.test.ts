// Every layer, loss and option in float64 against central differences: as a call where there is
// one, and in a Sequential.

import { beforeEach, describe, expect, test } from "vitest";
import * as lamella from "../../src/index.ts";
import {
  affine,
  affineBackward,
  affineForward,
  type BatchnormSpec,
  batchnorm,
  batchnormBackward,
  batchnormForward,
  bceWithLogitsLoss,
  type Cache,
  createRuntimeSync,
  dropout,
  dropoutBackward,
  dropoutForward,
  flatten,
  type LayerSpec,
  leakyRelu,
  leakyReluBackward,
  leakyReluForward,
  mseLoss,
  normalize,
  normalizeBackward,
  normalizeForward,
  numericalGradient,
  relu,
  Sequential,
  sgd,
  softmaxLoss,
  svmLoss,
  type Tensor,
  Trainer,
  tanh,
} from "../../src/index.ts";
import { unary as calls, layers as everyLayer } from "../nn/every.ts";
import { seeded } from "../support/core.ts";

type Float64 = Tensor<"float64">;
// biome-ignore lint/suspicious/noExplicitAny: the calls of each kind are found by name
const api = lamella as any;

/**
 * h² / 6 of a third derivative is 2e-11 at h = 1e-5, and rounding 2e-16 / h; the rest is a sum of a
 * few dozen of either.
 */
const BOUND = 1e-7;

const runtime = createRuntimeSync();
let random = seeded(401);
// A test's numbers are its own, whatever stands before it in the list of kinds.
beforeEach(() => {
  random = seeded(401);
});

/**
 * A tenth and more away from 0, where some have a kink, and from each other's distance of 1, where
 * the SVM loss has one.
 */
const draw = (...shape: number[]): Float64 => {
  const n = shape.reduce((a, b) => a * b, 1);
  const values = Array.from(
    { length: n },
    () => (random() < 0.5 ? -1 : 1) * (0.1 + 1.5 * random()),
  );
  return runtime.tensor(values, shape, "float64");
};
const positive = (...shape: number[]): Float64 => {
  const tensor = draw(...shape);
  tensor.data.forEach((v, i) => {
    tensor.data[i] = 0.3 + Math.abs(v);
  });
  return tensor;
};

/**
 * The largest difference, relative to the largest gradient of that operand, or to 1e-2: a bias
 * before batch normalisation has gradient 0.
 */
function compare(name: string, actual: Float64, numeric: Float64): void {
  const scale = Math.max(1e-2, ...Array.from(numeric.data, Math.abs));
  const error = Math.max(0, ...Array.from(actual.data, (v, i) => Math.abs(v - numeric.data[i]!)));
  expect(actual.shape, name).toEqual(numeric.shape);
  expect(error / scale, name).toBeLessThan(BOUND);
}

type Forward = () => { out: Float64; cache: Cache };

/**
 * All gradients that a backward gives for one dout, against those of the forward by each operand.
 */
function check(
  operands: Record<string, Float64>,
  forward: Forward,
  backward: (dout: Float64, cache: never) => Record<string, Float64>,
): void {
  const { out, cache } = forward();
  const dout = draw(...out.shape);
  const gradients = backward(dout, cache as never);
  expect(Object.keys(gradients).sort()).toEqual(
    Object.keys(operands)
      .map((key) => `d${key}`)
      .sort(),
  );
  for (const [name, operand] of Object.entries(operands)) {
    const numeric = numericalGradient(() => forward().out, operand, dout);
    compare(name, gradients[`d${name}`]!, numeric);
  }
}

describe("calls", () => {
  const sizes: [number, number][] = [
    [1, 1],
    [2, 5],
    [7, 3],
    [9, 4],
  ];

  describe.each(sizes)("N = %d, D = %d", (N, D) => {
    test.each(["none", "relu"] as const)("affine, activation %s", (activation) => {
      const [x, w, b] = [draw(N, D), draw(D, 6), draw(6)];
      const options = activation === "relu" ? { activation } : {};
      check({ x, w, b }, () => affineForward(x, w, b, options), affineBackward as never);
    });

    test("affine of examples of rank 3", () => {
      const [x, w, b] = [draw(N, D, 2), draw(2 * D, 3), draw(3)];
      check({ x, w, b }, () => affineForward(x, w, b), affineBackward as never);
    });

    const unary: [string, (x: Float64) => { out: Float64; cache: Cache }, unknown][] = [
      ...calls.map((kind): (typeof unary)[number] => [
        kind,
        api[`${kind}Forward`],
        api[`${kind}Backward`],
      ]),
      ...[undefined, 0, 0.3, 1, 2.5].map((negativeSlope): (typeof unary)[number] => [
        `leaky ReLU, negativeSlope ${negativeSlope}`,
        (x) => leakyReluForward(x, { negativeSlope }),
        leakyReluBackward,
      ]),
      ...(["train", "test"] as const).flatMap((mode) =>
        [0, 0.2, 0.9].map((p): (typeof unary)[number] => [
          `dropout, p ${p}, ${mode} mode`,
          (x) => dropoutForward(x, { p, mode, seed: 7 }),
          dropoutBackward,
        ]),
      ),
    ];
    test.each(unary)("%s", (_, forward, backward) => {
      const x = draw(N, D);
      const dx = backward as (dout: Float64, cache: never) => Float64;
      check(
        { x },
        () => forward(x),
        (dout, cache) => ({ dx: dx(dout, cache) }),
      );
    });

    test("normalisation by constants", () => {
      const [x, mean, std] = [draw(N, D), draw(D), positive(D)];
      check(
        { x },
        () => normalizeForward(x, mean, std),
        (dout, cache) => ({ dx: normalizeBackward(dout, cache) }),
      );
    });

    for (const mode of ["train", "test"] as const) {
      for (const eps of [1e-5, 1e-3, 1]) {
        for (const momentum of [0, 0.9]) {
          if (N === 1 && mode === "train") continue; // out is beta, whatever x is
          test(`batch normalisation, ${mode} mode, eps ${eps}, momentum ${momentum}`, () => {
            const [x, gamma, beta] = [draw(N, D), draw(D), draw(D)];
            // Each call has running values of its own, so that a training call does not move the
            // next one's.
            const [mean, variance] = [draw(D), positive(D)];
            const forward = () => {
              const param = { mode, eps, momentum };
              const runningMean = runtime.tensor(mean.data, [D], "float64");
              const runningVar = runtime.tensor(variance.data, [D], "float64");
              return batchnormForward(x, gamma, beta, { ...param, runningMean, runningVar });
            };
            // Two rows are xNorm = ±1 but for eps: gradients of the size of eps, by cancellation.
            check({ x, gamma, beta }, forward, batchnormBackward as never);
          });
        }
      }
    }

    test.each([
      ["softmax loss", softmaxLoss],
      ["SVM loss", svmLoss],
    ] as const)("%s", (_, loss) => {
      const x = draw(N, D);
      const y = Array.from({ length: N }, () => Math.floor(D * random()));
      const classWeights = Array.from({ length: D }, () => 0.1 + random());
      for (const options of [{}, { classWeights }]) {
        compare(
          "x",
          loss(x, y, options).dx,
          numericalGradient(() => loss(x, y, { ...options, dx: false }).loss, x),
        );
      }
    });

    test.each([
      ["binary cross-entropy", bceWithLogitsLoss],
      ["mean squared error", mseLoss],
    ] as const)("%s", (_, loss) => {
      const [x, y] = [draw(N, D), draw(N, D)];
      y.data.forEach((v, i) => {
        y.data[i] = Math.min(1, Math.abs(v) / 1.6); // a target of either: in [0, 1]
      });
      compare(
        "x",
        loss(x, y).dx,
        numericalGradient(() => loss(x, y, { dx: false }).loss, x),
      );
    });
  });
});

describe("in a Sequential, between two affine layers", () => {
  const seedOf = (p: number) => ({ seed: Math.round(100 * p) });
  const batchnorms: BatchnormSpec[] = [
    {},
    { eps: 1 },
    { momentum: 0 },
    { eps: 1e-3, momentum: 0.5 },
  ].map((options) => batchnorm(options));
  const between: [string, LayerSpec[]][] = [
    ["nothing", []],
    ...calls.map((kind): [string, LayerSpec[]] => [kind, [everyLayer[kind]!()]]),
    ["flatten", [flatten()]],
    ...[0, 0.01, 0.3, 2].map((slope): [string, LayerSpec[]] => [
      `leakyRelu ${slope}`,
      [leakyRelu(slope)],
    ]),
    ...[0, 0.4].map((p): [string, LayerSpec[]] => [`dropout ${p}`, [dropout(p, seedOf(p))]]),
    ["normalize", [normalize({ mean: 0.2, std: 1.5 })]],
    ...batchnorms.map((spec): [string, LayerSpec[]] => [JSON.stringify(spec), [spec]]),
    ["batchnorm, relu, dropout", [batchnorm(), relu(), dropout(0.3, { seed: 2 })]],
  ];

  describe.each(between)("%s", (_, layers) => {
    test.each([
      ["train", true],
      ["train", false],
      ["test", true],
      ["test", false],
    ] as const)("%s mode, bias %s: parameters and dx", (mode, useBias) => {
      runtime.scope(() => {
        const model = new Sequential(runtime, {
          input: [2, 3],
          layers: [affine(5, { useBias }), ...layers, affine(3, { useBias })],
          dtype: "float64",
          seed: 3,
        });
        model.forward(draw(8, 2, 3), { mode: "train" }); // running values that are not 0 and 1
        const x = draw(7, 2, 3);
        const { shape } = model.forward(x, { mode });
        const dout = draw(...shape);
        const { dx } = model.backward(dout, { dx: true });
        const gradients = model.parameters().map(({ gradient }) => gradient.toTypedArray());
        const forward = () => model.forward(x, { mode });
        compare("x", dx, numericalGradient(forward, x, dout));
        for (const [i, { name, value }] of model.parameters().entries()) {
          const own = runtime.tensor(gradients[i]!, value.shape, "float64");
          compare(name, own, numericalGradient(forward, value, dout));
        }
        model.dispose();
      });
    });
  });

  test.each(["softmax", "svm", "bce", "mse"] as const)(
    "the Trainer's loss %s with l2: the gradients it leaves are those of the loss it tells",
    (loss) => {
      const labels = loss === "softmax" || loss === "svm";
      const x = draw(6, 4);
      const y = labels ? [0, 1, 2, 2, 1, 0] : Array.from({ length: 18 }, random);
      const make = () =>
        new Sequential(runtime, {
          input: [4],
          layers: [affine(5), tanh(), affine(3)],
          dtype: "float64",
          seed: 5,
        });
      // A rate of 0: the step tells the loss and leaves the weights.
      const model = make();
      const options = { loss, optimizer: sgd({ learningRate: 0 }), l2: 0.1 };
      const trainer = new Trainer(model, options);
      const step = () => trainer.step(x, y).loss;
      step();
      const gradients = model.parameters().map(({ gradient }) => gradient.toTypedArray());
      for (const [i, { name, value }] of model.parameters().entries()) {
        const own = runtime.tensor(gradients[i]!, value.shape, "float64");
        compare(name, own, numericalGradient(step, value));
      }
    },
  );
});
