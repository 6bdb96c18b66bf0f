// The typed ABI. The list of exports and their arguments is the core's own: `asc --bindings raw`
// writes it at build time, and the types below are derived from it.

import build from "../../build/core.inline.js";
import type { instantiate } from "../../build/core.js";
import type { Build } from "./build.ts";

export const coreBuild: Build = build;

type Exports = Omit<Awaited<ReturnType<typeof instantiate>>, "memory">;

type OfDtype<Suffix extends string> = {
  readonly [Name in keyof Exports as Name extends `${infer Kernel}_${Suffix}`
    ? Kernel
    : never]: Exports[Name];
};

/** The kernels that exist for each dtype, without its suffix. */
export type Kernels = OfDtype<"f32">;

/** Those of a predictor. */
export type PredictKernels = Pick<
  Kernels,
  "predict" | "predict_pack" | "predict_pack_bytes" | "predict_work_bytes"
>;

/** An instance of the core, with what it was made of. */
export interface Instance {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly exports: WebAssembly.Exports;
}

export interface Core {
  readonly instance: Instance;
  readonly exports: Exports;
  readonly float32: Kernels;
  readonly float64: Kernels;
}

/**
 * Whether a core works on a memory that threads share; such a one exports what a pool needs as
 * well.
 */
export function isShared(module: WebAssembly.Module): boolean {
  return WebAssembly.Module.exports(module).some(({ name }) => name === "threads_work");
}

/**
 * @param guard what each export is wrapped in, where one may have to wait for a worker that has
 *   died
 */
export function openCore(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  guard?: <F>(kernel: F) => F,
): Core {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const exports: Record<string, unknown> = {};
  const float32: Record<string, unknown> = {};
  const float64: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(instance.exports)) {
    let entry: unknown = value;
    // Addresses and sizes come back as signed numbers from 2 GiB on.
    if (/_bytes|_base/.test(name)) {
      const kernel = value as (...sizes: number[]) => number;
      entry = (...sizes: number[]) => kernel(...sizes) >>> 0;
    }
    if (guard) entry = guard(entry);
    exports[name] = entry;
    if (name.endsWith("_f32")) float32[name.slice(0, -4)] = entry;
    if (name.endsWith("_f64")) float64[name.slice(0, -4)] = entry;
  }
  const { exports: plain } = instance;
  const made = { instance: { module, memory, exports: plain }, exports, float32, float64 };
  return made as unknown as Core;
}
