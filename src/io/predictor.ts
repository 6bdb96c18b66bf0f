import { checkFloatDType, checkInput } from "../nn/architecture.ts";
import { blueprintsOf } from "../nn/graph/blueprints.ts";
import { chain } from "../nn/graph/graph.ts";
import { programOf } from "../nn/graph/program.ts";
import { records } from "../nn/layers/all.ts";
import { CompiledPredictor, type Predictor } from "../nn/predictor.ts";
import { checkState } from "../nn/state.ts";
import { PredictCore, predictBuild } from "../runtime/predict_core.ts";
import { loadModule, loadModuleSync, type WasmSource } from "../runtime/wasm.ts";
import { typedArrays } from "../tensor/dtype.ts";
import { checkCount } from "../tensor/numbers.ts";
import { checkKeys } from "../tensor/options.ts";
import { sizeOf } from "../tensor/shape.ts";
import { classesOf, entriesOf, jsonOf, modelDTypes, readModelFile } from "./model_file.ts";
import { bytesOf, type StoredTensor } from "./safetensors.ts";

export interface LoadPredictorOptions {
  /** The most examples that go through at once, from 1 up; default 1. */
  maxBatch?: number | undefined;
  /**
   * The build of the predictor's core (lamella/predict.wasm), in place of the one that comes with
   * the package: a WebAssembly.Module, bytes, a Response or a URL; of several, the first that this
   * host can compile.
   */
  wasm?: WasmSource | readonly WasmSource[] | undefined;
}

/** The options, each read once. */
function checkOptions(operation: string, options: LoadPredictorOptions) {
  checkKeys(operation, "options", options, ["maxBatch", "wasm"]);
  const { maxBatch = 1, wasm } = options;
  return { maxBatch: checkCount(operation, "maxBatch", maxBatch), wasm };
}

/** Checks everything but the module; what comes back makes the predictor with it. */
function prepare(
  operation: string,
  bytes: Uint8Array | ArrayBuffer,
  maxBatch: number,
): (module: WebAssembly.Module) => Predictor {
  const file = readModelFile(operation, bytes);
  const architecture = jsonOf(operation, file, "architecture");
  const dtype = checkFloatDType(operation, architecture.dtype ?? "float32");
  const input = checkInput(operation, architecture.input);
  const layers = blueprintsOf(operation, architecture.layers, input, records);
  const targets = layers.flatMap(({ tensors }, i) =>
    Object.entries(tensors).map(([key, shape]) => ({ name: `${i}.${key}`, shape, dtype })),
  );
  checkState(operation, targets, entriesOf(file), modelDTypes);
  const operations = programOf(chain(layers), (name) => {
    const entry = file.tensors.get(name) as StoredTensor;
    const { data, size } = entry;
    // As they lie in the file, so that they are copied once; their alignment there is the caller's.
    if (entry.dtype === "F32" && data.byteOffset % 4 === 0) {
      return new Float32Array(data.buffer, data.byteOffset, size);
    }
    // By way of the model's dtype, as loadModel takes it.
    const values = new typedArrays[dtype](size);
    entry.copyTo(values);
    return values;
  });
  const { outShape } = layers[layers.length - 1] as (typeof layers)[number];
  const classes = classesOf(operation, file, sizeOf(outShape));
  return (module) =>
    new CompiledPredictor(
      new PredictCore(operation, module),
      "float32",
      operations,
      input,
      outShape,
      maxBatch,
      file.metadata,
      classes,
    );
}

/**
 * The model in a file that saveModel wrote, compiled for serving in a small memory of its own. It
 * computes in float32, to which a float64 model is converted; of a float32 model the scores are
 * those of `loadModel(…).compile()`, to the bit.
 *
 * @throws FormatError for bytes that are no such file; ShapeError with a list of all tensors that
 *   are missing, extra or of another shape or dtype, and where layers do not fit each other;
 *   TypeError for a layer of no known kind and for a `wasm` that is none; RangeError for another
 *   maxBatch; MemoryError
 */
export async function loadPredictor(
  bytes: Uint8Array | ArrayBuffer,
  options: LoadPredictorOptions = {},
): Promise<Predictor> {
  const operation = "loadPredictor";
  const { maxBatch, wasm } = checkOptions(operation, options);
  const file = bytesOf(operation, bytes);
  // What is waited for gives the caller a turn, in which the bytes may change: then a copy is read.
  if (wasm !== undefined) {
    const finish = prepare(operation, file.slice(), maxBatch);
    return finish(await loadModule(operation, predictBuild, wasm));
  }
  return prepare(operation, file, maxBatch)(loadModuleSync(operation, predictBuild, wasm));
}

/** As loadPredictor, at once: `wasm` must be a WebAssembly.Module or bytes. */
export function loadPredictorSync(
  bytes: Uint8Array | ArrayBuffer,
  options: LoadPredictorOptions = {},
): Predictor {
  const operation = "loadPredictorSync";
  const { maxBatch, wasm } = checkOptions(operation, options);
  return prepare(operation, bytes, maxBatch)(loadModuleSync(operation, predictBuild, wasm));
}
