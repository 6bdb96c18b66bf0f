// A model's file is a safetensors file. Its tensors have PyTorch's names, affine weights are (D,
// M), and the metadata say what they are:
//
//   format        "lamella"
//   kind          "model", or "checkpoint" of a trainer
//   version       "1", or "2" of int8 weights or of a graph (graph_description.ts): a reader
//                 refuses what it does not know
//   weight_layout "in,out": affine weights are (features in, features out)
//   architecture  JSON: {"input": [784], "dtype": "float32",
//                 "layers": [{"kind": "affine", "units": 10}, …]}
//   loss          "softmax", "svm", "bce" or "mse", where the model was trained
//   classes       JSON: ["no", "yes"], the names of its classes, where it has any
//
// The architecture's dtype is what the model computes in. Its tensors may be stored as any of
// modelDTypes. An I8 tensor of shape (…, M), "0.weight", has its factors in "0.weight_scale", F32
// of shape (M,): the number in column j is the product of the integer and factor j.

import { checkNames } from "../nn/names.ts";
import { fileFloats, nameOf, type StateEntry } from "../nn/state.ts";
import { FormatError, rethrowUnless, show } from "../runtime/errors.ts";
import { formatShape } from "../tensor/shape.ts";
import { readFloats, type StoredFile } from "./safetensors.ts";

/** A model's file may store its tensors as these; those that are I8 have scales. */
export const modelDTypes = [...fileFloats, "I8"];
/** The name of a tensor's scales is its own with this at the end. */
export const SCALE = "_scale";
/** JSON in the metadata may be nested this deep; what we write has six levels. */
const MAX_DEPTH = 32;

/** Returns the metadata of a file of this kind that holds such a network. */
export function metadataOf(
  kind: string,
  { architecture, loss, classes }: Described,
  version = "1",
): Record<string, string> {
  return {
    format: "lamella",
    kind,
    version,
    weight_layout: "in,out",
    architecture: JSON.stringify(architecture),
    ...(loss && { loss }),
    ...(classes && { classes: JSON.stringify(classes) }),
  };
}

/** A file tells this of a network beside its tensors. */
interface Described {
  readonly architecture: object;
  readonly loss: string | undefined;
  readonly classes: readonly string[] | undefined;
}

/**
 * Returns the names of the classes in a file, and undefined where it has none; `lamella train`
 * keeps them in its description of the data.
 */
export function classesOf(
  operation: string,
  { metadata }: StoredFile,
  outSize: number,
): readonly string[] | undefined {
  const text = metadata.get("classes");
  try {
    const classes =
      text === undefined ? JSON.parse(metadata.get("data") ?? "{}")?.classes : JSON.parse(text);
    if (classes === undefined) return undefined;
    return checkNames(operation, "the metadata's classes", classes, outSize);
  } catch (error) {
    // Any program may have written what stands under "data".
    if (text === undefined && error instanceof SyntaxError) return undefined;
    throw new FormatError(
      error instanceof SyntaxError
        ? `${operation}: expected a list in JSON as the metadata's classes`
        : (error as Error).message,
    );
  }
}

/**
 * Refuses a file that is not ours or is of another kind by a FormatError, which names the call that
 * reads it.
 */
export function checkOurs(operation: string, { metadata }: StoredFile, kind: string): void {
  if (metadata.get("format") !== "lamella") {
    throw new FormatError(
      `${operation}: not a file of this package, whose metadata say format "lamella"; loadTorch reads a state_dict of PyTorch`,
    );
  }
  const given = metadata.get("kind");
  if (given !== kind) {
    let reader = "";
    if (given === "model") reader = ", which loadModel reads";
    if (given === "checkpoint") reader = ", which Trainer.resume reads";
    throw new FormatError(`${operation}: expected a ${kind}, got ${show(given)}${reader}`);
  }
  const version = metadata.get("version");
  const known = ["1", "2"];
  if (!known.includes(version as string)) {
    throw new FormatError(
      `${operation}: expected version ${known.join(" or ")} of the file, got ${show(version)}`,
    );
  }
}

/**
 * Reads a model's file, and gives its int8 tensors their scales; refuses any other by FormatError.
 */
export function readModelFile(operation: string, bytes: Uint8Array | ArrayBuffer): StoredFile {
  const file = readFloats(operation, bytes);
  checkOurs(operation, file, "model");
  const { tensors } = file;
  for (const [name, tensor] of tensors) {
    if (tensor.dtype !== "I8") continue;
    const key = name + SCALE;
    const scale = tensors.get(key);
    const due = `F32 ${formatShape(tensor.shape.slice(-1))}`;
    let given = scale ? `${scale.dtype} ${formatShape(scale.shape)}` : "none";
    if (scale && given === due) {
      const scales = new Float32Array(scale.size);
      scale.copyTo(scales);
      const wrong = scales.find((value) => !(value >= 0 && value < Infinity));
      if (wrong === undefined) {
        tensor.scales = scales;
        tensors.delete(key);
        continue;
      }
      given += ` with ${wrong}`;
    }
    throw new FormatError(
      `${operation}: expected ${nameOf(key)}, the scales of an I8 tensor, to be ${due} of numbers from 0 up, got ${given}`,
    );
  }
  return file;
}

/**
 * True if `value` nests objects deeper than `levels`; it protects recursive readers from stack
 * overflow.
 */
const isDeeper = (value: unknown, levels: number): boolean =>
  value !== null &&
  typeof value === "object" &&
  (levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1)));

/** Returns an object that stands as JSON in the metadata. */
export function jsonOf(
  operation: string,
  { metadata }: StoredFile,
  key: string,
): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(metadata.get(key) ?? "");
  } catch (error) {
    rethrowUnless("SyntaxError", error); // the FormatError below says so
  }
  if (
    value === null ||
    typeof value !== "object" ||
    Array.isArray(value) ||
    isDeeper(value, MAX_DEPTH)
  ) {
    throw new FormatError(`${operation}: expected an object in JSON as the metadata's ${key}`);
  }
  return value as Record<string, unknown>;
}

/** Returns the tensors of a file as what a model is filled with. */
export function entriesOf({ tensors }: StoredFile): StateEntry[] {
  return [...tensors].map(([name, entry]) => ({
    name,
    dtype: entry.dtype,
    shape: entry.shape,
    copyTo: (target) => entry.copyTo(target),
  }));
}
