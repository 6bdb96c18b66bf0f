// Models of random layers: their passes, predictors, files and trainings against each other and
// against the calls by hand, which facade.test.ts holds to the float64 twins.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  adam,
  adamw,
  affine,
  batchnorm,
  createRuntimeSync,
  dropout,
  flatten,
  type LayerSpec,
  leakyRelu,
  loadModel,
  momentum,
  nesterov,
  type Optimizer,
  relu,
  rmsprop,
  Sequential,
  saveModel,
  sgd,
  Trainer,
} from "../../src/index.ts";
import { layers as everyLayer, unary } from "../nn/every.ts";
import { deviation, magnitude } from "../support/reference.ts";
import { Draw } from "./draw.ts";
import { runs, seed, Tally } from "./runs.ts";

const models = Math.ceil(runs / 50);
const runtime = createRuntimeSync();

function layersFrom(draw: Draw): LayerSpec[] {
  const each: (() => LayerSpec)[] = [
    () => affine(draw.dim(1), { useBias: draw.chance(0.7) }),
    () => affine(draw.dim(1)),
    () => batchnorm({ momentum: draw.pick([0, 0.5, 0.9]) }),
    relu,
    ...unary.map((kind) => everyLayer[kind]!),
    () => leakyRelu(0.1),
    () => dropout(draw.pick([0, 0.5]), draw.chance(0.5) ? { seed: 3 } : {}),
  ];
  return [flatten(), ...Array.from({ length: draw.int(0, 6) }, () => draw.pick(each)()), affine(3)];
}

const optimizers: (() => Optimizer)[] = [sgd, momentum, nesterov, rmsprop, adam, adamw];

function play(draw: Draw): string {
  const dtype = draw.pick(["float32", "float64"] as const);
  const input = [draw.dim(1), draw.int(1, 3)];
  const layers = layersFrom(draw);
  const model = new Sequential<"float32" | "float64">(runtime, {
    ...{ input, layers, dtype, seed: draw.int(0, 9) },
  });
  const size = input[0]! * input[1]!;
  const N = draw.dim(1);
  const x = Float64Array.from({ length: N * size }, () => Math.fround(draw.normal()));
  const y = Array.from({ length: N }, () => draw.int(0, 2));
  const options = {
    loss: draw.pick(["softmax", "svm"] as const),
    optimizer: draw.pick(optimizers)(),
    l2: draw.pick([0, 0.01]),
    clipNorm: draw.pick([undefined, 1]),
    classWeights: draw.pick([undefined, [0.1, 1, 3]]),
  };
  const trainer = new Trainer(model, options);
  const before = trainer.checkpoint();

  // What is refused changes nothing, and has SPEC's name.
  const wrong = draw.pick<readonly [() => unknown, string]>([
    [() => trainer.step(x, y.slice(1)), "ShapeError"],
    [() => trainer.step(x, [...y.slice(1), 3]), "RangeError"],
    [() => trainer.step([], []), "RangeError"],
    [() => model.predict(Float32Array.of(...x, 1, ...(size === 1 ? [NaN] : []))), "ShapeError"],
    [() => model.predict("x" as never), "TypeError"],
    [() => model.compile({ maxBatch: 0 }), "RangeError"],
    [() => model.loadStateDict({}), "ShapeError"],
    [() => model.forward(x, { mode: "Train" as never }), "RangeError"],
  ]);
  const { bytesLive, tensors } = runtime.memory;
  try {
    const result = wrong[0]() as { dispose(): void };
    // Of one feature any row of numbers is a batch.
    if (size !== 1) throw new Error(`expected ${wrong[1]}, got a result`);
    result.dispose();
  } catch (error) {
    if ((error as Error).name !== wrong[1]) throw error;
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  }
  if (Buffer.compare(before, trainer.checkpoint()) !== 0) throw new Error("a refusal changed it");

  // Two trainings from one checkpoint end with the same bits; a file gives the same scores.
  const other = Trainer.resume(runtime, before);
  for (let step = 0; step < 2; step++) {
    const { loss } = trainer.step(x, y);
    expect(
      other.step(
        runtime.scope(() => [...x]),
        Int32Array.from(y),
      ).loss,
    ).toBe(loss);
  }
  if (Buffer.compare(trainer.checkpoint(), other.checkpoint()) !== 0)
    throw new Error("a training that was resumed went elsewhere");
  const loaded = loadModel(runtime, saveModel(model));
  const [scores, again] = [model, loaded].map((each) =>
    runtime.scope(() => each.predict(x).toTypedArray()),
  ) as [Float64Array, Float64Array];
  expect(again).toEqual(scores);
  const forward = runtime.scope(() => model.forward(x).toTypedArray());
  expect(forward).toEqual(scores);
  const predictor = model.compile({ maxBatch: N });
  const served = predictor.predict(x);
  // Folding rounds otherwise, what it adds up is of size 1 where scores are small, and each batch
  // normalisation of a column without spread magnifies that by 1 / sqrt(eps), 316.
  const norms = layers.filter(({ kind }) => kind === "batchnorm").length;
  const bound = (dtype === "float32" ? 1e-5 : 1e-13) * 400 ** Math.max(norms, 1);
  const apart = deviation(served, scores, Math.max(1, magnitude(scores)));
  if (scores.every(Number.isFinite) && !(apart <= bound)) {
    throw new Error(`the predictor is ${apart} apart`);
  }
  predictor.dispose();
  for (const each of [trainer, other, other.model, loaded, model]) each.dispose();
  return dtype;
}

test(`${models} models (seed ${seed}) of random layers: refusals change nothing, trainings and files go on with the same bits, predictors agree`, {
  timeout: 0,
}, () => {
  const tally = new Tally("models", models);
  fc.assert(
    fc.property(
      fc.record({ seed: fc.nat(2 ** 31 - 1), most: fc.integer({ min: 1, max: 33 }) }),
      ({ seed, most }) => {
        // Not once for all: a case that fails leaves its tensors, and fast-check goes on to find a
        // smaller one.
        const { bytesLive, tensors } = runtime.memory;
        tally.count(play(new Draw(seed, most)));
        expect(runtime.memory).toMatchObject({ bytesLive, tensors });
      },
    ),
    { numRuns: models, seed },
  );
});
