// A network for serving: its operations stand in memory, one after the other, and one call runs
// them.

import { runOperation } from "../build/assembly/operations";
import { Operation } from "./abi/operation";

/** Runs `count` operations, one after the other in memory, on a batch of N. @kernel @serving */
export function predict<T extends number>(operations: usize, count: usize, N: usize): void {
  const end = operations + count * offsetof<Operation>();
  for (; operations != end; operations += offsetof<Operation>()) {
    runOperation<T>(changetype<Operation>(operations), N);
  }
}
