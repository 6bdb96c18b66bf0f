// What a model or a training is filled with: tensors by their names, from a file or another model.

import { quote, ShapeError } from "../runtime/errors.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";
import type { Network } from "./network.ts";

/** Of a tensor, or the bytes of a generator's state. */
type Numbers = Float32Array | Float64Array | Uint8Array;

/** A tensor by its name, wherever it comes from. */
export interface StateEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Ours, or a file's. */
  readonly dtype: string;
  copyTo(target: Numbers): void;
}

/** What wants to be filled. */
export interface Target {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  data(): Numbers;
}

/**
 * Checks what a model is to be filled with before its tensors are made, and gives what fills them.
 */
export type StateSource = (network: Network) => () => void;

/** The dtypes of files that are read into tensors of either float dtype. */
export const fileFloats = ["F64", "F32", "F16", "BF16"];

/** The tensors of a model; they need not be there yet. */
export function targetsOf({ slots, dtype }: Network): Target[] {
  return slots.map((slot) => ({
    name: slot.name,
    shape: slot.shape,
    dtype,
    data: () => slot.value.data,
  }));
}

/** The list of tensors in a message ends after this many characters. */
const MOST_CHARACTERS = 1200;

/** A name as it is, where it is one that a line of a message can show; else in quotes. */
export const nameOf = (name: string) => (/^[ -~]{1,60}$/.test(name) ? name : quote(name));

/** Entries by their names, which are those of the targets; else lists all that does not fit. */
export function checkState(
  operation: string,
  targets: readonly Omit<Target, "data">[],
  entries: readonly StateEntry[],
  alsoTaken: readonly string[] = [],
): Map<string, StateEntry> {
  const given = new Map(entries.map((entry) => [entry.name, entry]));
  // A file may name any number of tensors that are not due: the message has the first of them, and
  // how many more there are.
  let lines = "";
  let more = 0;
  const problem = (line: string) => {
    if (lines.length < MOST_CHARACTERS) lines += `\n  ${line}`;
    else more++;
  };
  for (const { name, shape, dtype } of targets) {
    const entry = given.get(name);
    if (!entry) {
      problem(`missing: ${name} ${formatShape(shape)}`);
    } else if (!sameShape(entry.shape, shape)) {
      problem(`shape: ${name} must be ${formatShape(shape)}, got ${formatShape(entry.shape)}`);
    } else if (entry.dtype !== dtype && !alsoTaken.includes(entry.dtype)) {
      problem(`dtype: ${name} must be ${dtype}, got ${entry.dtype}`);
    }
  }
  const names = new Set(targets.map(({ name }) => name));
  for (const { name, shape } of entries) {
    if (!names.has(name)) problem(`extra: ${nameOf(name)} ${formatShape(shape)}`);
  }
  if (lines) {
    const rest = more > 0 ? `\n  … and ${more} more` : "";
    throw new ShapeError(`${operation}: the tensors are not those that are due${lines}${rest}`);
  }
  return given;
}

/** As checkState, and gives what copies the entries into the targets. */
export function matchState(
  operation: string,
  targets: readonly Target[],
  entries: readonly StateEntry[],
  alsoTaken?: readonly string[],
): () => void {
  const given = checkState(operation, targets, entries, alsoTaken);
  return () => {
    for (const { name, data } of targets) (given.get(name) as StateEntry).copyTo(data());
  };
}
