// The runtime of a worker: threads where the page is isolated, one where it is not.

import { createRuntime, type Runtime } from "lamella";
import shared from "lamella/wasm/shared";

/** One core is left to the page, which draws meanwhile. */
export const spareCores = Math.max(1, navigator.hardwareConcurrency - 1);

/**
 * What a worker may take at most. The page's own limits of a network keep it far below
 * (settings.ts).
 */
export const MOST_MEMORY = 2 ** 30;

export function runtimeFor(threads: number): Promise<Runtime> {
  return crossOriginIsolated && threads > 1
    ? createRuntime({ wasm: shared, threads, maxMemory: MOST_MEMORY })
    : createRuntime({ maxMemory: MOST_MEMORY });
}
