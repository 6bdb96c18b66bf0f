// A network for serving: its operations stand in memory, one after the other, and one call runs
// them.

import { packBytesOf, packWeights, runOperation, workBytesOf } from "../build/assembly/operations";
import { Operation } from "./abi/operation";

/** Runs `count` operations, one after the other in memory, on a batch of N. @kernel @serving */
export function predict<T extends number>(operations: usize, count: usize, N: usize): void {
  const end = operations + count * offsetof<Operation>();
  for (; operations != end; operations += offsetof<Operation>()) {
    runOperation<T>(changetype<Operation>(operations), N);
  }
}

/**
 * Returns how many bytes of workspace an operation needs for batches of up to N.
 *
 * @kernel @serving
 */
export function predictWorkBytes<T extends number>(operation: usize, N: usize): usize {
  return workBytesOf<T>(changetype<Operation>(operation), N);
}

/**
 * Returns how many bytes an operation's weights take as it reads them; 0 if it reads them as they
 * are in a model's file, or has none.
 *
 * @kernel @serving
 */
export function predictPackBytes<T extends number>(operation: usize): usize {
  return packBytesOf<T>(changetype<Operation>(operation));
}

/**
 * Writes the weights w of a model's file to the field `a` of an operation, as it reads them.
 *
 * @kernel @serving
 */
export function predictPack<T extends number>(operation: usize, w: usize): void {
  packWeights<T>(changetype<Operation>(operation), w);
}
