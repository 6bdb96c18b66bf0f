// The inside of a runtime with a pool, for tests alone.

import type { Runtime } from "../../src/index.ts";
import { CoreConstants } from "../../src/runtime/abi.ts";
import type { Block } from "../../src/runtime/allocator.ts";

interface Inside {
  readonly pool: {
    readonly running: { readonly group: { readonly workers: readonly { terminate(): void }[] } };
  };
  readonly linear: {
    readonly wasm: WebAssembly.Memory;
    allocate(bytes: number): Block;
    release(block: Block): void;
  };
  readonly core: {
    readonly instance: { readonly exports: { heap_base(): number } };
    readonly exports: object;
  };
}

export const inside = (runtime: Runtime) => runtime as unknown as Inside;

/** The queue lies before what is given out: assembly/threads/queue.ts has its layout. */
const QUEUE_BYTES = CoreConstants.queueTerms + 8 * CoreConstants.queueMostTerms;
export const queueOf = (runtime: Runtime) =>
  inside(runtime).core.instance.exports.heap_base() - QUEUE_BYTES;

/** The words of the last job: assembly/threads/split.ts. */
export function jobOf(runtime: Runtime): Uint32Array {
  return new Uint32Array(
    inside(runtime).linear.wasm.buffer,
    queueOf(runtime) + CoreConstants.queueWords,
    3,
  );
}
