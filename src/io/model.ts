// Models to files and back; model_file.ts tells what is in one.

import {
  networkOf,
  type Sequential,
  type SequentialOptions,
  sequentialFrom,
} from "../nn/sequential.ts";
import { fileFloats, matchState, type StateEntry, targetsOf } from "../nn/state.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { checkOurs, entriesOf, jsonOf, metadataOf } from "./model_file.ts";
import { readSafetensors, type StoredFile, writeSafetensors } from "./safetensors.ts";

/** The model of a file's architecture, with these of its tensors; `taken` are the file's dtypes that they may be of. */
export function modelFrom(
  operation: string,
  runtime: Runtime,
  file: StoredFile,
  entries: readonly StateEntry[],
  taken: (dtype: FloatDType) => readonly string[],
): Sequential<FloatDType> {
  const architecture = jsonOf(operation, file, "architecture");
  const { input, layers, dtype } = architecture as unknown as SequentialOptions;
  return sequentialFrom(runtime, { input, layers, dtype }, (network) =>
    matchState(operation, targetsOf(network), entries, taken(network.dtype)),
  );
}

/**
 * A model as the bytes of a safetensors file: its tensors, and its architecture in the metadata, so that loadModel
 * needs nothing else. Initializers are not kept.
 */
export function saveModel(model: Sequential<FloatDType>): Uint8Array<ArrayBuffer> {
  const network = networkOf("saveModel", model);
  const tensors = network.slots.map(({ name, value }) => [name, value] as const);
  return writeSafetensors(tensors, metadataOf("model", network.architecture));
}

/**
 * The model in a file that saveModel wrote, in its dtype. Tensors of another float dtype (float64, float32, float16,
 * bfloat16) are converted to it. Everything is checked before anything is allocated.
 *
 * @throws FormatError for bytes that are no such file; ShapeError with a list of all tensors that are missing, extra or
 *   of another shape or dtype; as Sequential for layers that do not fit each other; MemoryError
 */
export function loadModel(
  runtime: Runtime,
  bytes: Uint8Array | ArrayBuffer,
): Sequential<FloatDType> {
  const operation = "loadModel";
  const file = readSafetensors(bytes);
  checkOurs(operation, file, "model");
  return modelFrom(operation, runtime, file, entriesOf(file), () => fileFloats);
}
