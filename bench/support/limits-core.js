// @ts-check
// Compiles limits.ts and instantiates it: the yardsticks of all questions.

import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { local } from "./measure.js";

const PAGE = 65536;

/**
 * @typedef {object} LimitsCore
 * @property {(turns: number, factor: number) => number} multiply_add
 * @property {(address: number, bytes: number) => number} read
 * @property {(to: number, from: number, bytes: number) => void} copy By memory.copy
 * @property {(to: number, from: number, bytes: number) => void} copy_vectors By 128-bit loads and stores
 */

/**
 * Null where this host does not know the instructions.
 *
 * @param {"strict" | "relaxed"} variant
 * @param {number} bytes The size of its memory
 * @returns {Promise<LimitsCore | null>}
 */
export async function openLimitsCore(variant, bytes) {
  /** @type {Uint8Array<ArrayBuffer> | undefined} */
  let wasm;
  const { error, stderr } = await asc.main(
    [
      // Here, for the library's own asconfig.json is not for this.
      ...["limits.ts", "--baseDir", fileURLToPath(new URL(".", import.meta.url))],
      ...["--outFile", "limits.wasm", "-O3", "--noAssert", "--runtime", "stub", "--use", "abort="],
      ...["--enable", variant === "relaxed" ? "simd,relaxed-simd" : "simd"],
      ...["--initialMemory", String(Math.ceil(bytes / PAGE) + 1)],
    ],
    {
      writeFile(_name, contents) {
        wasm = new Uint8Array(/** @type {Uint8Array} */ (contents));
      },
    },
  );
  if (error || !wasm) throw new Error(`limits.ts: ${stderr.toString()}`);
  if (!WebAssembly.validate(wasm)) return null;
  const { instance } = await WebAssembly.instantiate(wasm);
  const { memory } = instance.exports;
  // What has never been written is one page of zeros that always lies in the first cache.
  if (memory instanceof WebAssembly.Memory) new Uint8Array(memory.buffer).fill(1);
  return /** @type {LimitsCore} */ (/** @type {unknown} */ (instance.exports));
}

const TURNS = 100_000;
export const PEAK_FLOP = TURNS * 96;

/**
 * PEAK_FLOP operations in twelve independent sums, as a contender.
 *
 * @param {LimitsCore} core
 * @param {string} name
 */
export const peakContender = (core, name) => ({
  name,
  time: local(() => core.multiply_add(TURNS, 0.5)),
});
