// @ts-check
// The library under test, as built: bench/ is a package of its own, so its name does not resolve here.

import { readFileSync } from "node:fs";

export * from "../../build/index.js";

/** The core alone, on a memory of its own: what a kernel costs without the facade. */
export function openCore(bytes = 1 << 20) {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
  const wasm = readFileSync(new URL("../../build/core.wasm", import.meta.url));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory } });
  return {
    memory,
    kernels: /** @type {Record<string, (...args: number[]) => number>} */ (
      /** @type {unknown} */ (exports)
    ),
  };
}

export const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
);
