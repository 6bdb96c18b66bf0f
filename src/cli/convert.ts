// `lamella convert` makes a file of this package of a model that another library wrote, and checks
// it: the model and the file must give the same scores.

import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  createRuntime,
  FormatError,
  type Model,
  type Runtime,
  type Sequential,
  saveModel,
  UnsupportedError,
} from "lamella";
import { loadKeras } from "lamella/keras";
import { loadPredictor } from "lamella/predict";
import { loadTfjs } from "lamella/tfjs";
import { loadTflite } from "lamella/tflite";
import { Fault, visible, visibleLines } from "./fault.ts";
import { readInput } from "./files.ts";
import { measure, median } from "./measure.ts";
import { Output } from "./output.ts";
import { bytes, json, plural, print, printToStandardError, short } from "./terminal.ts";
import type { TrainOptions } from "./train.ts";

export interface ConvertOptions {
  out: string;
  weights: TrainOptions["weights"];
  force?: boolean;
  json?: boolean;
}

type Loaded = Sequential<"float32"> | Model<"float32">;

/** The examples by which the file is compared with the model. */
const EXAMPLES = 8;
/** The time of a prediction is measured for this many seconds. */
const SECONDS = 1;

/** Reads the weights that a model.json names, which lie beside it. */
function shardsOf(path: string, text: string): Record<string, Uint8Array> {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text).weightsManifest;
  } catch (error) {
    throw new Fault(`${visible(path)}: not JSON: ${visible((error as Error).message)}`);
  }
  const names = (Array.isArray(manifest) ? manifest : []).flatMap(({ paths }) =>
    Array.isArray(paths) ? paths.map(String) : [],
  );
  return Object.fromEntries(
    names.map((name) => {
      const file = join(dirname(path), name);
      // A manifest may name no file outside its folder.
      if (/(^|[\\/])\.\.([\\/]|$)|^[\\/]/.test(name) || !existsSync(file)) {
        throw new Fault(`${visible(path)}: its weights ${visible(name)} do not lie beside it`);
      }
      return [name, readFileSync(file)];
    }),
  );
}

/** Loads a model of whatever format the file is. */
async function load(runtime: Runtime, path: string): Promise<{ model: Loaded; format: string }> {
  const file = await readInput(path);
  try {
    const begin = new TextDecoder().decode(file.subarray(0, 64)).trimStart();
    if (begin.startsWith("{")) {
      const text = new TextDecoder().decode(file);
      const model = loadTfjs(runtime, text, shardsOf(path, text));
      return { model, format: "TensorFlow.js" };
    }
    if (file[0] === 0x80 || (file[0] === 0x50 && /\.(pt|pth|bin)$/.test(path))) {
      throw new Fault(
        `${visible(path)}: a file of PyTorch has weights and no layers: in a program, loadTorch(runtime, readTorch(bytes), { input, layers }) makes a model of it`,
      );
    }
    if (String.fromCharCode(...file.subarray(4, 8)) === "TFL3") {
      return { model: loadTflite(runtime, file), format: "TFLite" };
    }
    return { model: loadKeras(runtime, file), format: file[0] === 0x50 ? "Keras 3" : "Keras 2" };
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof UnsupportedError)) throw error;
    throw new Fault(`${visible(path)}: ${visibleLines(error.message.replace(/^\w+: /, ""))}`);
  }
}

export async function convert(path: string, options: ConvertOptions): Promise<void> {
  const output = new Output("--out", options.out, { inputs: [path], force: options.force });
  if (output.isStandardOutput) printToStandardError();
  const runtime = await createRuntime();
  const { model, format } = await load(runtime, path);
  const file = saveModel(model, { weights: options.weights });
  const predictor = await loadPredictor(file);

  const random = runtime.random(1);
  let largest = 0;
  let score = 0;
  for (let example = 0; example < EXAMPLES; example++) {
    const given = Object.entries(predictor.inputs).map(([name, view]) => {
      // From −1 to 1.
      const { data } = random.rand(view.length);
      view.set(data.map((value) => 2 * value - 1));
      return [name, view.slice()] as const;
    });
    const x = given.length === 1 ? (given[0] as [string, unknown])[1] : Object.fromEntries(given);
    const before = model.predict(x as never) as unknown;
    predictor.run(1);
    const results = Object.values(predictor.outputs);
    const expected = "data" in (before as object) ? [before] : Object.values(before as object);
    expected.forEach((tensor, k) => {
      const { data } = tensor as { data: Float32Array };
      const after = results[k] as Float32Array;
      for (let i = 0; i < data.length; i++) {
        largest = Math.max(largest, Math.abs((data[i] as number) - (after[i] as number)));
        score = Math.max(score, Math.abs(data[i] as number));
      }
    });
  }
  const times = measure([{ name: "prediction", call: () => predictor.run(1) }], SECONDS);
  const microseconds = median(times.get("prediction") ?? []) * 1e6;
  const kinds = new Map<string, number>();
  for (const { kind } of model.layers) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  output.write(file);

  const size = path === "-" ? undefined : statSync(path).size;
  const parameters = model.parameters().reduce((sum, { value }) => sum + value.size, 0);
  if (options.json) {
    print(
      json({
        ...{ format, layers: Object.fromEntries(kinds), parameters, bytesBefore: size ?? null },
        ...{ bytes: file.length, weights: options.weights, examples: EXAMPLES },
        ...{ largestDifference: largest, largestScore: score, microseconds, file: options.out },
      }),
    );
    return;
  }
  const list = [...kinds]
    .map(([kind, count]) => (count > 1 ? `${count} ${kind}` : kind))
    .join(", ");
  print(`${format}: ${plural(model.layers.length, "layer")} (${list}), ${parameters} parameters`);
  print(
    `the file's scores differ from the model's by at most ${short(largest)} over ${EXAMPLES} examples, whose largest score is ${short(score)}`,
  );
  print(`one prediction takes ${short(microseconds)} µs`);
  print(
    `${visible(output.isStandardOutput ? "-" : options.out)}: ${bytes(file.length)}${size === undefined ? "" : `, the original has ${bytes(size)}`}`,
  );
}
