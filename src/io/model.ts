// Models as safetensors files: the tensors by PyTorch's names, affine weights as (D, M), and in the metadata what they are.
//
//   format        "lamella"
//   kind          "model", or "checkpoint" of a trainer
//   version       "1": a reader refuses what is newer than itself
//   weight_layout "in,out": affine weights are (features in, features out)
//   architecture  JSON: {"input": [784], "dtype": "float32", "layers": [{"kind": "affine", "units": 10}, …]}

import type { Network } from "../nn/network.ts";
import {
  networkOf,
  type Sequential,
  type SequentialOptions,
  sequentialFrom,
} from "../nn/sequential.ts";
import { fileFloats, matchState, type StateEntry, targetsOf } from "../nn/state.ts";
import { FormatError, show } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { readSafetensors, type SafetensorsFile, writeSafetensors } from "./safetensors.ts";

const VERSION = 1;

/** The metadata of a file of this kind that holds such a network. */
export function metadataOf(kind: string, network: Network): Record<string, string> {
  return {
    format: "lamella",
    kind,
    version: String(VERSION),
    weight_layout: "in,out",
    architecture: JSON.stringify(network.architecture),
  };
}

/** A file of ours of this kind, or FormatError with the name of the call that reads what it is. */
export function readOurs(
  operation: string,
  bytes: Uint8Array | ArrayBuffer,
  kind: string,
): SafetensorsFile {
  const file = readSafetensors(bytes);
  const { metadata } = file;
  if (metadata.get("format") !== "lamella") {
    throw new FormatError(
      `${operation}: not a file of this package, whose metadata say format "lamella"; loadTorch reads a state_dict of PyTorch`,
    );
  }
  const given = metadata.get("kind");
  if (given !== kind) {
    const reader = { model: "loadModel", checkpoint: "Trainer.resume" }[given ?? ""];
    throw new FormatError(
      `${operation}: expected a ${kind}, got ${show(given)}${reader ? `, which ${reader} reads` : ""}`,
    );
  }
  const version = metadata.get("version");
  if (version !== String(VERSION)) {
    throw new FormatError(
      `${operation}: expected version ${VERSION} of the file, got ${show(version)}`,
    );
  }
  return file;
}

/** An object in the metadata. */
export function jsonOf(
  operation: string,
  { metadata }: SafetensorsFile,
  key: string,
): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(metadata.get(key) ?? "");
  } catch {
    // Said below.
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new FormatError(`${operation}: expected an object in JSON as the metadata's ${key}`);
  }
  return value as Record<string, unknown>;
}

/** The tensors of a file. */
export function entriesOf({ tensors }: SafetensorsFile): StateEntry[] {
  return [...tensors].map(([name, entry]) => ({
    name,
    dtype: entry.dtype,
    shape: entry.shape,
    copyTo: (target) => entry.copyTo(target),
  }));
}

/** The model of a file's architecture, with these of its tensors. */
export function modelFrom(
  operation: string,
  runtime: Runtime,
  file: SafetensorsFile,
  entries: readonly StateEntry[],
): Sequential<FloatDType> {
  const architecture = jsonOf(operation, file, "architecture");
  const { input, layers, dtype } = architecture as unknown as SequentialOptions;
  return sequentialFrom(runtime, { input, layers, dtype }, (network) =>
    matchState(operation, targetsOf(network), entries, fileFloats),
  );
}

/**
 * A model as the bytes of a safetensors file: its tensors, and its architecture in the metadata, so that loadModel
 * needs nothing else. Initializers are not kept.
 */
export function saveModel(model: Sequential<FloatDType>): Uint8Array<ArrayBuffer> {
  const network = networkOf("saveModel", model);
  const tensors = network.slots.map(({ name, value }) => [name, value] as const);
  return writeSafetensors(tensors, metadataOf("model", network));
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
  const file = readOurs(operation, bytes, "model");
  return modelFrom(operation, runtime, file, entriesOf(file));
}
