// This file writes models to files and reads them; model_file.ts tells what is in such a file.

import { everyKind } from "../nn/layers/all.ts";
import { modelFromDescription } from "../nn/model.ts";
import { checkNames } from "../nn/names.ts";
import { type AnyModel, type GivenModel, networkOf } from "../nn/network_model.ts";
import { type SequentialOptions, sequentialFrom } from "../nn/sequential.ts";
import { matchState, type StateEntry, type StateSource, targetsOf } from "../nn/state.ts";
import { isLoss } from "../nn/training/losses.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { graphFrom, isGraph } from "./graph_description.ts";
import {
  classesOf,
  entriesOf,
  jsonOf,
  metadataOf,
  modelDTypes,
  readModelFile,
} from "./model_file.ts";
import { type StoredFile, writeSafetensors } from "./safetensors.ts";
import { checkWeights, storedWeights, type WeightsName } from "./stored_weights.ts";

/**
 * Makes the model of a file's architecture and fills it with these tensors.
 * @param taken gives the file's dtypes that the tensors may have
 */
export function modelFrom(
  operation: string,
  runtime: Runtime,
  file: StoredFile,
  entries: readonly StateEntry[],
  taken: (dtype: FloatDType) => readonly string[],
): AnyModel {
  const architecture = jsonOf(operation, file, "architecture");
  const fill: StateSource = (network) => {
    const loss = file.metadata.get("loss");
    network.loss = isLoss(loss) ? loss : undefined;
    network.classes = classesOf(operation, file, network.outSize);
    return matchState(operation, targetsOf(network), entries, taken(network.dtype));
  };
  if (!isGraph(architecture)) {
    const { input, layers, dtype } = architecture as unknown as SequentialOptions;
    const options = { input, layers, dtype };
    return sequentialFrom<FloatDType, number | string>(runtime, options, fill, everyKind());
  }
  const { dtype, description } = graphFrom(operation, architecture);
  const model = modelFromDescription(runtime, dtype, description, fill, everyKind());
  return model as unknown as AnyModel;
}

export interface SaveModelOptions {
  /**
   * The names of the classes, one for each score: classify answers by them, and a predictor has
   * them. A model of one score that was trained with "bce" takes two. By default they are those
   * that the model was loaded with.
   */
  classes?: readonly string[] | undefined;
  /**
   * How the file stores the weights of products, which are nearly all of it; biases, normalisation
   * and all else have the model's dtype. The model computes in its dtype as before, with the
   * numbers that were stored. By default they have the model's dtype.
   *
   * - "float32" and "float16" round each number to the nearest, ties to even.
   * - "int8" has one scale for each column of weights (…, M), max|w| / 127 in float32, beside the
   *   integers nearest to w / scale: a number is off by half a scale at most. Such a file has
   *   version 2, which readers before this option refuse.
   */
  weights?: WeightsName | undefined;
}

/**
 * Returns a model as the bytes of a safetensors file. The file has its tensors, and in the metadata
 * its architecture, the loss that it was trained with and the names of its classes, so that
 * loadModel needs nothing else. Initializers are not kept.
 *
 * @throws TypeError and RangeError for classes that are no such names; RangeError for a finite
 *   weight that the type would make infinite ("float16" from 65,520 up), and for one that is not
 *   finite where "int8" is wanted; DisposedError
 */
export function saveModel(
  model: GivenModel,
  options: SaveModelOptions = {},
): Uint8Array<ArrayBuffer> {
  const operation = "saveModel";
  const network = networkOf(operation, model);
  checkKeys(operation, "options", options, ["classes", "weights"]);
  const { architecture, loss, outSize } = network;
  const { classes: given, weights } = options;
  const classes =
    given === undefined ? network.classes : checkNames(operation, "classes", given, outSize);
  const type = weights === undefined ? undefined : checkWeights(operation, weights);
  const tensors = network.slots.flatMap((slot) => {
    const { name, value } = slot;
    const isStored = type !== undefined && slot.is("decays");
    return isStored ? storedWeights(operation, type, name, value) : [[name, value] as const];
  });
  const isNew = !network.isChain || tensors.some(([, { dtype }]) => dtype === "I8");
  const version = isNew ? "2" : "1";
  return writeSafetensors(tensors, metadataOf("model", { architecture, loss, classes }, version));
}

/**
 * Returns the model in a file that saveModel wrote: a Sequential, or a Model where the file has a
 * graph, of which several outputs are an object of tensors. It computes in the dtype that the file
 * names; tensors that are stored as another one (float64, float32, float16, bfloat16, or int8 with
 * scales) are converted to it. Everything is checked before anything is allocated.
 *
 * @throws FormatError for bytes that are no such file; ShapeError with a list of all tensors that
 *   are missing, extra or of another shape or dtype; as Sequential for layers that do not fit each
 *   other; MemoryError
 */
export function loadModel(runtime: Runtime, bytes: Uint8Array | ArrayBuffer): AnyModel {
  const operation = "loadModel";
  const file = readModelFile(operation, bytes);
  return modelFrom(operation, runtime, file, entriesOf(file), () => modelDTypes);
}
