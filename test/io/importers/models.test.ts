// Other people's models of every format that is read: the results are within the tolerance that
// each states, or the refusal names what is not supported.

import { readdirSync } from "node:fs";
import {
  createRuntime,
  loadModel,
  type Model,
  type Sequential,
  saveModel,
  UnsupportedError,
} from "lamella";
import { describe, expect, test } from "vitest";
import { loadKeras } from "../../../src/keras.ts";
import { loadTfjs } from "../../../src/tfjs.ts";
import { loadTflite } from "../../../src/tflite.ts";
import {
  differenceOf,
  expectedOf,
  hasModels,
  inputOf,
  modelBytes,
  modelsFolder,
} from "../../support/models.ts";

const runtime = await createRuntime();

type Loaded = Sequential<"float32"> | Model<"float32">;

function loadFolder(name: string): Loaded {
  const files = readdirSync(`${modelsFolder}/${name}`).filter((file) => file !== "model.json");
  const shards = Object.fromEntries(files.map((file) => [file, modelBytes(`${name}/${file}`)]));
  return loadTfjs(runtime, modelBytes(`${name}/model.json`), shards);
}

const readers: Record<string, (name: string) => Loaded> = {
  h5: (name) => loadKeras(runtime, modelBytes(name)),
  keras: (name) => loadKeras(runtime, modelBytes(name)),
  tfjs: loadFolder,
  tflite: (name) => loadTflite(runtime, modelBytes(name)),
};

const formatOf = (name: string) =>
  name.startsWith("tfjs_") ? "tfjs" : (name.split(".").at(-1) as string);

const names = hasModels
  ? readdirSync(`${modelsFolder}/expected`).flatMap((file) => {
      const name = file.replace(/\.json$/, "");
      const isModel = file.endsWith(".json") && Object.hasOwn(readers, formatOf(name));
      return isModel ? [name] : [];
    })
  : [];

/** The outputs of a case, by name or as the one that there is. */
function outputsOf(
  model: Loaded,
  inputs: Record<string, { shape: number[] }>,
): ArrayLike<number>[] {
  const tensors = Object.entries(inputs).map(([name, input]) => {
    const values = inputOf(input as never);
    return [name, runtime.tensor(values, input.shape)] as const;
  });
  const x = tensors.length === 1 ? tensors[0]?.[1] : Object.fromEntries(tensors);
  const out = model.predict(x as never) as unknown as { data?: ArrayLike<number> };
  // Copies: the next call may move the memory.
  const results = out.data ? [out] : Object.values(out);
  return results.map((each) => Float32Array.from((each as { data: ArrayLike<number> }).data));
}

/** What is refused so far, each by a message that says why. */
const refusals: Record<string, RegExp> = {
  "mediapipe_selfie.tflite": /custom operator "Convolution2DTransposeBias"/,
  "mlperf_kws_int8.tflite": /of int8: activations are not quantised here/,
  "mlperf_resnet8_int8.tflite": /of int8: activations are not quantised here/,
  "tflm_hello_world_int8.tflite": /of int8: activations are not quantised here/,
  // An axis of any length.
  "rtneural_gru.h5": /an input of shape \[,,1\]/,
};

describe.skipIf(!hasModels)("a model that others made", () => {
  test("is there for every format that is read here", () => {
    expect([...new Set(names.map(formatOf))].sort()).toEqual(Object.keys(readers).sort());
  });

  test.each(Object.entries(refusals))("%s is refused, and nothing is allocated", (name, reason) => {
    const load = readers[formatOf(name)] as (name: string) => Loaded;
    const before = runtime.memory.bytesLive;
    expect(() => load(name)).toThrow(UnsupportedError);
    expect(() => load(name)).toThrow(reason);
    expect(runtime.memory.bytesLive).toBe(before);
  });

  const taken = names.filter((name) => !Object.hasOwn(refusals, name));
  test.each(taken)("%s gives what it gave there, also when it is saved and loaded", (name) => {
    const expected = expectedOf(name);
    const load = readers[formatOf(name)] as (name: string) => Loaded;
    runtime.scope(() => {
      let model: Loaded;
      try {
        model = load(name);
      } catch (error) {
        // Some may be refused, if the error names what is the matter.
        const named = expected.refusal_or_optional?.must_name_one_of;
        if (!named) throw error;
        expect((error as Error).name).toBe("UnsupportedError");
        expect(named.some((word) => (error as Error).message.includes(word))).toBe(true);
        return;
      }
      const again = loadModel(runtime, saveModel(model as never));
      for (const { inputs, outputs } of expected.cases ?? []) {
        const results = outputsOf(model, inputs as never);
        Object.values(outputs).forEach((output, i) => {
          const difference = differenceOf(results[i] as ArrayLike<number>, output);
          expect(difference).toBeLessThanOrEqual(expected.suggested_abs_tolerance as number);
        });
        expect(outputsOf(again as never, inputs as never)).toEqual(results);
      }
      model.dispose();
      again.dispose();
    });
  });
});
