import { checkFloatDType, checkInput } from "../nn/architecture.ts";
import { graphOf } from "../nn/graph/blueprints.ts";
import type { Node } from "../nn/graph/graph.ts";
import { programOf } from "../nn/graph/program.ts";
import { checkStateful, streamed, withStates } from "../nn/graph/streaming.ts";
import { records } from "../nn/layers/all.ts";
import type { Port } from "../nn/ports.ts";
import { CompiledPredictor, type Predictor } from "../nn/predictor.ts";
import { checkState } from "../nn/state.ts";
import { PredictCore, predictBuild } from "../runtime/predict_core.ts";
import { loadModule, loadModuleSync, type WasmSource } from "../runtime/wasm.ts";
import { typedArrays } from "../tensor/dtype.ts";
import { checkCount } from "../tensor/numbers.ts";
import { checkKeys } from "../tensor/options.ts";
import { sizeOf } from "../tensor/shape.ts";
import { graphFrom, isGraph } from "./graph_description.ts";
import { classesOf, entriesOf, jsonOf, modelDTypes, readModelFile } from "./model_file.ts";
import { bytesOf, type StoredTensor } from "./safetensors.ts";

export interface LoadPredictorOptions {
  /** The most examples that one run takes, from 1 up; the default is 1. */
  maxBatch?: number | undefined;
  /**
   * True serves sequences step by step: each run takes one step (1, …) of up to maxBatch sequences,
   * and recurrent layers keep their states until `predictor.reset()`. The default is false: every
   * run begins from zeros.
   */
  stateful?: boolean | undefined;
  /**
   * The build of the predictor's core (lamella/predict.wasm) that takes the place of the package's
   * own: a WebAssembly.Module, bytes, a Response or a URL. Of several, the first that this host can
   * compile is taken.
   */
  wasm?: WasmSource | readonly WasmSource[] | undefined;
}

/** Reads each option once, and checks it. */
function checkOptions(operation: string, options: LoadPredictorOptions) {
  checkKeys(operation, "options", options, ["maxBatch", "stateful", "wasm"]);
  const { maxBatch = 1, stateful = false, wasm } = options;
  checkCount(operation, "maxBatch", maxBatch);
  return { maxBatch, stateful: checkStateful(operation, stateful), wasm };
}

/** Checks everything but the module, and returns a function that makes the predictor with one. */
function prepare(
  operation: string,
  bytes: Uint8Array | ArrayBuffer,
  maxBatch: number,
  stateful: boolean,
): (module: WebAssembly.Module) => Predictor {
  const file = readModelFile(operation, bytes);
  const architecture = jsonOf(operation, file, "architecture");
  const { dtype, description } = isGraph(architecture)
    ? graphFrom(operation, architecture)
    : {
        dtype: checkFloatDType(operation, architecture.dtype ?? "float32"),
        description: {
          inputs: [{ name: "input", shape: checkInput(operation, architecture.input) }],
          layers: architecture.layers as unknown[],
        },
      };
  const graph = graphOf(operation, description, dtype, records);
  const applied = new Map(graph.nodes.map(({ blueprint }) => [blueprint.layer, blueprint]));
  const targets = [...applied.values()].flatMap(({ tensors, name }) =>
    Object.entries(tensors).map(([key, shape]) => ({ name: `${name}.${key}`, shape, dtype })),
  );
  checkState(operation, targets, entriesOf(file), modelDTypes);
  const shown = stateful ? streamed(operation, graph) : graph;
  const inSizes = shown.given.map(({ shape }) => sizeOf(shape));
  const program = programOf(shown, inSizes, (name) => {
    const entry = file.tensors.get(name) as StoredTensor;
    const { data, size } = entry;
    // They are taken as they lie in the file, so that they are copied once, where they are aligned.
    if (entry.dtype === "F32" && data.byteOffset % 4 === 0) {
      return new Float32Array(data.buffer, data.byteOffset, size);
    }
    // They become numbers of the model's dtype first, as in loadModel.
    const values = new typedArrays[dtype](size);
    entry.copyTo(values);
    return values;
  });
  const { operations } = program;
  const served = stateful ? { ...program, operations: withStates(operations, maxBatch) } : program;
  const outputs = shown.outputs.map((value, i) => ({
    name: shown.names[i] as string,
    shape: (shown.nodes[value - shown.inputs] as Node).blueprint.outShape,
  }));
  const classes = classesOf(operation, file, sizeOf((outputs[0] as Port).shape));
  return (module) =>
    new CompiledPredictor(
      new PredictCore(operation, module),
      "float32",
      served,
      shown.given,
      outputs,
      maxBatch,
      file.metadata,
      classes,
    );
}

/**
 * Compiles the model in a file that saveModel wrote for serving, in a small memory of its own. The
 * predictor computes in float32, to which a float64 model is converted; the scores of a float32
 * model are those of `loadModel(…).compile()`, to the bit.
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
  const { maxBatch, stateful, wasm } = checkOptions(operation, options);
  const file = bytesOf(operation, bytes);
  // While the module is awaited the caller may change the bytes, so that a copy of them is read.
  if (wasm !== undefined) {
    const finish = prepare(operation, file.slice(), maxBatch, stateful);
    return finish(await loadModule(operation, predictBuild, wasm));
  }
  return prepare(
    operation,
    file,
    maxBatch,
    stateful,
  )(loadModuleSync(operation, predictBuild, wasm));
}

/** Does the same as loadPredictor at once: `wasm` must be a WebAssembly.Module or bytes. */
export function loadPredictorSync(
  bytes: Uint8Array | ArrayBuffer,
  options: LoadPredictorOptions = {},
): Predictor {
  const operation = "loadPredictorSync";
  const { maxBatch, stateful, wasm } = checkOptions(operation, options);
  return prepare(
    operation,
    bytes,
    maxBatch,
    stateful,
  )(loadModuleSync(operation, predictBuild, wasm));
}
