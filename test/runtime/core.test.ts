// How the core's exports become the kernels that layers call.

import { expect, test } from "vitest";
import { coreBuild, openCore } from "../../src/runtime/core.ts";
import { loadModuleSync } from "../../src/runtime/wasm.ts";

const module = loadModuleSync("createRuntimeSync", coreBuild, undefined);
const open = (guard?: <F>(kernel: F) => F) =>
  openCore(module, new WebAssembly.Memory({ initial: 1 }), guard);

test("sizes from 2 GiB on are no negative numbers", () => {
  const core = open();
  // The workspace is a row of scores.
  for (const C of [1, 2 ** 29 - 1, 2 ** 29, 2 ** 30 - 1]) {
    expect(core.float32.softmax_loss_work_bytes(C)).toBe(4 * C);
  }
});

test("each dtype has the kernels whose names end in its suffix", () => {
  const core = open();
  const names = WebAssembly.Module.exports(module).map(({ name }) => name);
  for (const [kernels, suffix] of [
    [core.float32, "_f32"],
    [core.float64, "_f64"],
  ] as const) {
    const own = names.filter((name) => name.endsWith(suffix));
    expect(own.length).toBeGreaterThan(20);
    expect(Object.keys(kernels)).toEqual(own.map((name) => name.replace(suffix, "")));
  }
});

test("a guard is around every export", () => {
  const guarded = () => 7;
  const { exports, float32, float64 } = open(() => guarded as never);
  for (const kernels of [exports, float32, float64]) {
    expect(new Set(Object.values(kernels))).toEqual(new Set([guarded]));
  }
});
