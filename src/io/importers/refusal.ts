// How importers refuse what this package cannot compute: each layer or operator says why it cannot
// be converted, and at the end one error has all of them.

import { UnsupportedError } from "lamella";
import { cut } from "../../runtime/errors.ts";

/** Why a layer or an operator cannot be converted. */
export class Unconvertible extends Error {}

export const refuse = (reason: string): never => {
  throw new Unconvertible(reason);
};

/**
 * Returns the one error for all that is not supported.
 * @param what says what the list is of, as "the model has 2 layers that are not supported"
 */
export const unsupported = (
  operation: string,
  what: string,
  refused: readonly string[],
  supported: readonly string[],
): UnsupportedError =>
  new UnsupportedError(
    `${operation}: ${what}: ${cut(refused.join("; "), 2000)}. Supported are ${supported.toSorted().join(", ")}`,
  );
