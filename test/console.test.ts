import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  adam,
  affine,
  batchnorm,
  createRuntimeSync,
  loadModel,
  relu,
  reluForward,
  Sequential,
  saveModel,
  Trainer,
} from "../src/index.ts";
import { loadPredictorSync } from "../src/predict.ts";

const runtime = createRuntimeSync();
const layers = [affine(16), batchnorm(), relu(), affine(3)];
const model = new Sequential(runtime, { input: [4], layers });
const trainer = new Trainer(model, { loss: "softmax", optimizer: adam({ learningRate: 0.01 }) });
trainer.step([[1, 2, 3, 4]], [0]);

/** What each object says of itself when it is printed. */
const said: Record<string, [object, RegExp]> = {
  runtime: [runtime, /^Runtime: strict, 1 thread, \d+ tensors, \d+ bytes live of \d+$/],
  tensor: [runtime.ones([2, 3]), /^Tensor \(2, 3\) float32 Float32Array\(6\) \[/],
  cache: [reluForward(runtime.ones([2, 3])).cache, /^Cache of reluForward .*\(2, 3\) float32$/],
  model: [model, /batchnorm[\s\S]*\n163 parameters, float32/],
  trainer: [trainer, /^Trainer: loss softmax, adam, 1 step taken; its model:\n[\s\S]*affine\(16\)/],
  "compiled predictor": [model.compile(), /^Predictor \(N, 4\) → \(N, 3\), float32, N up to 1$/],
  "loaded predictor": [loadPredictorSync(saveModel(model)), /^Predictor \(N, 4\)/],
};

describe("what console.log prints of an object is a summary of a few lines", () => {
  test.each(Object.entries(said))("of a %s, in Node and Bun", (_, [object, text]) => {
    const printed = inspect(object);
    expect(printed).toMatch(text);
    expect(printed.split("\n").length).toBeLessThan(12);
  });

  test.each(Object.entries(said))("of a %s, in Deno", (_, [object, text]) => {
    const method = (object as Record<symbol, (...given: unknown[]) => string>)[
      Symbol.for("Deno.customInspect")
    ]!;
    expect(method.call(object, inspect, {})).toMatch(text);
  });

  test("of what was disposed says so, and throws nothing", () => {
    const own = createRuntimeSync();
    const small = new Sequential(own, { input: [2], layers: [affine(2)] });
    const things = [
      ...[own.ones([2]), small.compile(), small],
      new Trainer(small, { loss: "mse", optimizer: adam({ learningRate: 0.1 }) }),
    ];
    for (const thing of things) thing.dispose();
    own.dispose();
    for (const thing of [...things, own]) expect(inspect(thing)).toContain("(disposed)");
  });
});

describe("a model of very many layers", () => {
  const many = 123_000;
  const deep = new Sequential(runtime, { input: [2], layers: new Array(many).fill(relu()) });

  test("is summarised, printed, computed and kept in a file", () => {
    const summary = deep.summary();
    expect(summary.split("\n").length).toBe(104);
    expect(summary).toContain("… 122,900 more layers");
    expect(summary).toContain("122999  relu");
    expect(String(deep)).toBe(summary);
    expect(deep.predict([[1, -1]]).toTypedArray()).toEqual(new Float32Array([1, 0]));
    expect(deep.compile().predict([1, -1])).toEqual(new Float32Array([1, 0]));
    expect(loadModel(runtime, saveModel(deep)).layers.length).toBe(many);
  });
});
