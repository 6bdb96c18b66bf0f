// Models in the containers of Keras and TensorFlow.js, made by test/golden/make_keras.py with what
// PyTorch gives for them; and files that are damaged, hostile or of something else.

import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import {
  createRuntime,
  FormatError,
  loadModel,
  saveModel,
  sgd,
  Trainer,
  UnsupportedError,
} from "lamella";
import { describe, expect, test } from "vitest";
import { converters } from "../../../src/io/importers/keras_layers.ts";
import { loadKeras } from "../../../src/keras.ts";
import { loadTfjs } from "../../../src/tfjs.ts";
import { fuzz } from "../../support/mutations.ts";

interface Fixture {
  x: number[];
  shape: number[];
  out: number[];
  outShape: number[];
  h5: string;
  keras: string;
  [tfjs: `tfjs_${string}`]: { json: string; weights: string };
}

const golden = new URL("../../golden/keras.json", import.meta.url);
const models: Record<string, Fixture> = JSON.parse(readFileSync(golden, "utf8")).models;
const bytesOf = (text: string) => Uint8Array.from(inflateSync(Buffer.from(text, "base64")));
const runtime = await createRuntime();

const loaders = {
  h5: (model: Fixture) => loadKeras(runtime, bytesOf(model.h5)),
  keras: (model: Fixture) => loadKeras(runtime, bytesOf(model.keras)),
  ...Object.fromEntries(
    ["float32", "float16", "uint8"].map((stored) => [
      `tfjs_${stored}`,
      (model: Fixture) => {
        const { json, weights } = model[`tfjs_${stored}`] as { json: string; weights: string };
        return loadTfjs(runtime, json, Uint8Array.from(Buffer.from(weights, "base64")));
      },
    ]),
  ),
};

/** float16 has 11 bits, and a scale of 255 steps 8, of weights around 0.4 through a few layers. */
const tolerances: Record<string, number> = { tfjs_float16: 5e-3, tfjs_uint8: 0.15 };

describe.each(Object.keys(models))("the model %s", (name) => {
  const model = models[name] as Fixture;

  test.each(Object.keys(loaders))("gives in %s what PyTorch gives", (format) => {
    runtime.scope(() => {
      const loaded = loaders[format as "h5"](model);
      const x = Float32Array.from(model.x);
      const out = loaded.predict(runtime.tensor(x, model.shape) as never);
      expect(out.shape).toEqual(model.outShape);
      const worst = out.data.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - (model.out[i] as number))),
        0,
      );
      expect(worst).toBeLessThan(tolerances[format] ?? 2e-6); // float32 through ten layers
      loaded.dispose();
    });
  });

  test("is saved, loaded and trained on as any other", () => {
    runtime.scope(() => {
      const loaded = loadKeras(runtime, bytesOf(model.h5));
      const x = runtime.tensor(Float32Array.from(model.x), model.shape);
      const again = loadModel(runtime, saveModel(loaded as never));
      expect(again.predict(x as never).data).toEqual(loaded.predict(x as never).data);
      const trainer = new Trainer(loaded as never, {
        loss: "mse",
        optimizer: sgd({ learningRate: 0.01 }),
      });
      const target = runtime.zeros(model.outShape);
      const losses = Array.from({ length: 3 }, () => trainer.step(x as never, target).loss);
      expect(losses[2]).toBeLessThan(losses[0] as number);
      again.dispose();
      loaded.dispose();
    });
  });
});

test("hard_sigmoid is another function in Keras 3", () => {
  const source = { config: { activation: "hard_sigmoid" }, shape: [3], weights: [] };
  const made = [2, 3].map((version) => converters.Activation?.({ ...source, version })[0]?.layer);
  expect(made).toEqual([
    { kind: "hardSigmoid", alpha: 0.2, beta: 0.5 },
    { kind: "hardSigmoid" }, // x/6 + 1/2, as here
  ]);
});

test("slopes and upper bounds of ReLU are settings", () => {
  const made = (kind: string, config: object) =>
    converters[kind]?.({ config: config as never, shape: [3], weights: [], version: 2 })[0]?.layer;
  expect(made("LeakyReLU", { alpha: 0.25 })).toEqual({ kind: "leakyRelu", negativeSlope: 0.25 });
  expect(made("LeakyReLU", { negative_slope: 0.5 })).toMatchObject({ negativeSlope: 0.5 });
  expect(made("LeakyReLU", {})).toMatchObject({ negativeSlope: 0.3 });
  expect(made("ReLU", { negative_slope: 0.1 })).toEqual({ kind: "leakyRelu", negativeSlope: 0.1 });
  expect(made("ReLU", { max_value: 6 })).toEqual({ kind: "relu6" });
  expect(made("ReLU", {})).toEqual({ kind: "relu" });
});

describe("what is not supported", () => {
  const json = (layers: object[]) =>
    JSON.stringify({
      modelTopology: { model_config: { class_name: "Sequential", config: { name: "m", layers } } },
      weightsManifest: [{ paths: ["w"], weights: [] }],
    });
  const enter = {
    class_name: "InputLayer",
    config: { name: "in", batch_input_shape: [null, 4, 4, 2] },
  };
  const refusal = (layers: object[]): Error => {
    const before = runtime.memory.bytesLive;
    try {
      loadTfjs(runtime, json(layers), new Uint8Array(0));
    } catch (error) {
      expect(runtime.memory.bytesLive).toBe(before);
      return error as Error;
    }
    throw new Error("it was not refused");
  };

  test("is one error with every layer and its name, before anything is allocated", () => {
    const error = refusal([
      enter,
      { class_name: "Lambda", config: { name: "mine" } },
      { class_name: "Masking", config: { name: "mask" } },
    ]);
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error.message).toMatch(
      /2 layers that are not supported: Lambda \("mine"\); Masking \("mask"\)/,
    );
    expect(error.message).toMatch(/Supported are .*Conv2D.*Dense/);
  });

  test.each([
    [
      "channels first",
      "Conv2D",
      { data_format: "channels_first", filters: 1, kernel_size: [1, 1] },
      /data_format is "channels_first"/,
    ],
    [
      "another activation",
      "Activation",
      { activation: "exponential" },
      /the activation "exponential"/,
    ],
    [
      "bilinear upsampling",
      "UpSampling2D",
      { interpolation: "bilinear" },
      /interpolation is "bilinear"/,
    ],
    ["a ReLU with an upper bound", "ReLU", { max_value: 4 }, /max_value is 4/],
    ["a normalisation of rows", "BatchNormalization", { axis: 1 }, /axis is 1/],
    ["a stateful LSTM", "LSTM", { units: 2, stateful: true }, /stateful is true/],
  ])("%s is named with its setting", (_, class_name, config, message) => {
    const error = refusal([enter, { class_name, config: { name: "a", ...config } }]);
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error.message).toMatch(message);
  });

  test("a graph model is told by what it is", () => {
    const graph = { format: "graph-model", modelTopology: { node: [] }, weightsManifest: [] };
    expect(() => loadTfjs(runtime, graph, new Uint8Array(0))).toThrow(/is a graph model/);
  });
});

describe("a file", () => {
  const {
    h5,
    keras,
    tfjs_float32: tfjs,
  } = models.directions as Fixture & {
    tfjs_float32: { json: string; weights: string };
  };

  test.each([
    ["Keras 2", bytesOf(h5)],
    ["Keras 3", bytesOf(keras)],
  ])("of %s that is cut is a FormatError", (_, bytes) => {
    for (let length = 0; length < bytes.length; length += 61) {
      expect(() => loadKeras(runtime, bytes.subarray(0, length)), `${length}`).toThrow(FormatError);
    }
  });

  test("may lie anywhere in a buffer, as small files that Node reads do", () => {
    for (const file of [bytesOf(h5), bytesOf(keras)]) {
      const pool = Buffer.alloc(file.length + 100, 0x40);
      pool.set(file, 52);
      loadKeras(runtime, pool.subarray(52, 52 + file.length)).dispose();
    }
  });

  test.each([
    ["text", Buffer.from("hello"), /expected an HDF5 file \(\.h5\) or a ZIP archive/],
    ["an empty file", new Uint8Array(0), /got 0 bytes/],
  ])("that is %s is told", (_, bytes, message) => {
    expect(() => loadKeras(runtime, bytes)).toThrow(FormatError);
    expect(() => loadKeras(runtime, bytes)).toThrow(message);
  });

  test("of TensorFlow.js whose weights are missing or cut is told", () => {
    const weights = Uint8Array.from(Buffer.from(tfjs.weights, "base64"));
    expect(() => loadTfjs(runtime, tfjs.json, { other: weights })).toThrow(
      /"group1-shard1of1.bin", got "other"/,
    );
    expect(() => loadTfjs(runtime, tfjs.json, weights.subarray(0, 100))).toThrow(FormatError);
    expect(() => loadTfjs(runtime, "{", weights)).toThrow(/json is not JSON/);
    expect(() => loadTfjs(runtime, "{}", weights)).toThrow(/modelTopology/);
    expect(() => loadTfjs(runtime, tfjs.json, 5 as never)).toThrow(TypeError);
  });

  const runs = Number(process.env.LAMELLA_FUZZ_RUNS ?? 1000);
  const seed = Number(process.env.LAMELLA_FUZZ_SEED ?? 21);
  /** A damaged configuration may ask for what is not here, or for more memory than there is. */
  const allowed = (error: unknown) =>
    [
      "UnsupportedError",
      "ShapeError",
      "RangeError",
      "MemoryError",
      "TypeError",
      "DTypeError",
    ].includes((error as Error).name);
  const disposing = (load: () => { dispose(): void }) => load().dispose();

  test(`${runs} mutations of each format (seed ${seed}) are read or refused, and leave no memory held`, () => {
    const before = runtime.memory.bytesLive;
    for (const file of [h5, keras]) {
      const seeds = [bytesOf(file)];
      fuzz({
        runs,
        seed,
        seeds,
        allowed,
        read: (bytes) => disposing(() => loadKeras(runtime, bytes)),
      });
    }
    const weights = Uint8Array.from(Buffer.from(tfjs.weights, "base64"));
    const seeds = [Uint8Array.from(Buffer.from(tfjs.json))];
    fuzz({
      runs,
      seed,
      seeds,
      allowed,
      read: (json) => disposing(() => loadTfjs(runtime, json, weights)),
    });
    expect(runtime.memory.bytesLive).toBe(before);
  });
});
