// The memory of lamella/predict, which is one block; test/io/predictor.test.ts has what stands in
// it.

import { describe, expect, test } from "vitest";
import { MemoryError } from "../../src/runtime/errors.ts";
import { PredictCore, predictBuild } from "../../src/runtime/predict_core.ts";
import { loadModuleSync } from "../../src/runtime/wasm.ts";

const PAGE = 65536;
const HIGHEST = 2 ** 32 - 64;
const module = loadModuleSync("loadPredictorSync", predictBuild, undefined);
const open = () => new PredictCore("loadPredictorSync", module);

describe("the block", () => {
  test("begins behind the core's constants, aligned, and is in as many pages as it needs", () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const heap = (exports as unknown as { heap_base(): number }).heap_base();
    const { address } = open().allocate(1);
    expect(address % 64).toBe(0);
    expect(address - heap).toBeGreaterThanOrEqual(0);
    expect(address - heap).toBeLessThan(64);
    for (const [bytes, pages] of [
      [0, 1],
      [PAGE - address, 1],
      [PAGE - address + 1, 2],
      [10 * PAGE, 11],
    ] as const) {
      const core = open();
      core.allocate(bytes);
      expect(core.buffer()!.byteLength).toBe(pages * PAGE);
    }
  });

  test("lets go of the memory when it is released", () => {
    const core = open();
    const { release } = core.allocate(100);
    expect(core.buffer()).toBeInstanceOf(ArrayBuffer);
    release();
    expect(core.buffer()).toBeUndefined();
  });

  test("may end at the last cache line below 4 GiB, and is a MemoryError beyond it", () => {
    const core = open();
    const { address } = open().allocate(1);
    // A host that gives everything, so that it does not depend on this one.
    const grown: number[] = [];
    const memory = { buffer: new ArrayBuffer(PAGE), grow: (pages: number) => grown.push(pages) };
    Object.assign(core, { memory });
    const most = HIGHEST - address;
    expect(core.allocate(most).address).toBe(address);
    expect(grown).toEqual([65535]);
    let error: unknown;
    try {
      core.allocate(most + 1);
    } catch (cause) {
      error = cause;
    }
    expect(error).toBeInstanceOf(MemoryError);
    expect(error).toMatchObject({
      message: `loadPredictorSync: the host gave no memory of ${most + 1} bytes`,
      bytesRequested: most + 1,
      bytesLive: 0,
      cause: new RangeError("above 4 GiB"),
    });
    expect(grown).toEqual([65535]);
  });
});
