// Models to files and back; model_file.ts tells what is in one.

import { everyKind } from "../nn/layers/all.ts";
import { checkNames } from "../nn/names.ts";
import {
  type AnyModel,
  networkOf,
  type SequentialOptions,
  sequentialFrom,
} from "../nn/sequential.ts";
import { fileFloats, matchState, type StateEntry, targetsOf } from "../nn/state.ts";
import { isLoss } from "../nn/training/losses.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { checkOurs, classesOf, entriesOf, jsonOf, metadataOf } from "./model_file.ts";
import { readFloats, type StoredFile, writeSafetensors } from "./safetensors.ts";

/** The model of a file's architecture, with these of its tensors; `taken` are the file's dtypes that they may be of. */
export function modelFrom(
  operation: string,
  runtime: Runtime,
  file: StoredFile,
  entries: readonly StateEntry[],
  taken: (dtype: FloatDType) => readonly string[],
): AnyModel {
  const architecture = jsonOf(operation, file, "architecture");
  const { input, layers, dtype } = architecture as unknown as SequentialOptions;
  return sequentialFrom<FloatDType, number | string>(
    runtime,
    { input, layers, dtype },
    (network) => {
      const loss = file.metadata.get("loss");
      network.loss = isLoss(loss) ? loss : undefined;
      network.classes = classesOf(operation, file, network.outSize);
      return matchState(operation, targetsOf(network), entries, taken(network.dtype));
    },
    everyKind(),
  );
}

/**
 * A model as the bytes of a safetensors file: its tensors, and in the metadata its architecture, the loss that it was trained
 * with and the names of its classes, so that loadModel needs nothing else. Initializers are not kept.
 *
 * @param options.classes the names of the classes, one a score, by which classify then answers and which a predictor has; a
 *   model of one score, trained with "bce", takes two. Default those that the model was loaded with
 * @throws TypeError and RangeError for classes that are no such names; DisposedError
 */
export function saveModel(
  model: AnyModel,
  options: { classes?: readonly string[] | undefined } = {},
): Uint8Array<ArrayBuffer> {
  const operation = "saveModel";
  const network = networkOf(operation, model);
  checkKeys(operation, "options", options, ["classes"]);
  const { architecture, loss, outSize } = network;
  const given = options.classes;
  const classes =
    given === undefined ? network.classes : checkNames(operation, "classes", given, outSize);
  const tensors = network.slots.map(({ name, value }) => [name, value] as const);
  return writeSafetensors(tensors, metadataOf("model", { architecture, loss, classes }));
}

/**
 * The model in a file that saveModel wrote, in its dtype. Tensors of another float dtype (float64, float32, float16,
 * bfloat16) are converted to it. Everything is checked before anything is allocated.
 *
 * @throws FormatError for bytes that are no such file; ShapeError with a list of all tensors that are missing, extra or
 *   of another shape or dtype; as Sequential for layers that do not fit each other; MemoryError
 */
export function loadModel(runtime: Runtime, bytes: Uint8Array | ArrayBuffer): AnyModel {
  const operation = "loadModel";
  const file = readFloats(operation, bytes);
  checkOurs(operation, file, "model");
  return modelFrom(operation, runtime, file, entriesOf(file), () => fileFloats);
}
