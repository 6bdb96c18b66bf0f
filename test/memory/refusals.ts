// Ways to have no memory.

import { MemoryError, type Runtime } from "../../src/index.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";

/**
 * Runs fn with its k-th allocation refused; undefined where that was thrown, else what fn gives,
 * which made fewer.
 */
export function refuse<T>(runtime: Runtime, k: number, fn: () => T): T | undefined {
  const { linear } = runtime as LamellaRuntime;
  const refusal = new MemoryError("out of memory: by this test", 1, linear.bytesLive);
  let left = k;
  linear.allocate = (bytes) => {
    if (--left === 0) throw refusal;
    return Object.getPrototypeOf(linear).allocate.call(linear, bytes);
  };
  try {
    const result = fn();
    if (left <= 0) throw new Error("a refusal was swallowed");
    return result;
  } catch (error) {
    if (error !== refusal) throw error;
    return undefined;
  } finally {
    // The prototype's again.
    delete (linear as Partial<typeof linear>).allocate;
  }
}

/** Takes all that is free without growth, block by block; what comes back gives it back. */
export function fill(runtime: Runtime): () => void {
  const { linear } = runtime as LamellaRuntime;
  const free = [...linear.blocks()].filter((block) => block.free);
  const taken = free.map(({ bytes }) => bytes).sort((a, b) => b - a);
  // The largest first, so that each finds the block that is as large as it.
  const blocks = taken.map((bytes) => linear.allocate(bytes));
  return () => {
    for (const block of blocks) linear.release(block);
  };
}
