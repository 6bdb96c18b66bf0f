import { createRuntime, type Runtime, type WasmVariant } from "lamella";
import { note } from "./terminal.ts";

export interface RuntimeChoice {
  threads?: number | "auto" | undefined;
  relaxed?: boolean | undefined;
}

/** The other builds of the core are read when they are asked for, and not before. */
const variants = {
  relaxed: () => import("lamella/wasm/relaxed"),
  shared: () => import("lamella/wasm/shared"),
  "relaxed-shared": () => import("lamella/wasm/relaxed-shared"),
};

/**
 * Makes a runtime as the options say. Where this host has no relaxed instructions, it says so and
 * strict ones compute.
 */
export async function openRuntime({
  threads = 1,
  relaxed = false,
}: RuntimeChoice): Promise<Runtime> {
  const load = async (name: keyof typeof variants): Promise<WasmVariant> =>
    (await variants[name]()).default;
  const wasm: WasmVariant[] = [];
  if (threads !== 1) {
    if (relaxed) wasm.push(await load("relaxed-shared"));
    wasm.push(await load("shared"));
  } else if (relaxed) wasm.push(await load("relaxed"));
  const runtime = await createRuntime(wasm.length > 0 ? { wasm, threads } : {});
  if (relaxed && runtime.variant !== "relaxed") {
    note("--relaxed: this host does not know relaxed SIMD; the strict build computes");
  }
  return runtime;
}
