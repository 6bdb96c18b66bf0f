// Every call of the table in test/fuzz/operations.ts where memory is at its ends: beyond 2³¹, and
// where there is none.

import { describe, expect, test } from "vitest";
import { createRuntimeSync, MemoryError, type Runtime } from "../../src/index.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";
import type { TensorHandle } from "../../src/tensor/tensor.ts";
import { type Around, plainCases, World } from "../fuzz/harness.ts";
import { operations, type Results } from "../fuzz/operations.ts";
import { fill, refuse } from "./refusals.ts";

const GIB = 2 ** 30;

/** The bits of results, for a comparison. */
const bitsOf = (results: Results) =>
  Object.entries(results).map(([name, result]) => {
    if (typeof result !== "object") return [name, result];
    const { buffer } = result.toTypedArray();
    return [name, Buffer.from(buffer).toString("latin1")];
  });

/** Plays cases, some of which an empty batch refuses. */
function play(world: World, each: number, most: number): void {
  const outcomes = plainCases(each, most).map((plain) => world.play(plain));
  const right = outcomes.filter((outcome) => outcome === "right");
  expect(right.length).toBeGreaterThan(0.9 * outcomes.length);
}

describe("every call, forward and backward", () => {
  test("gives the float64 twin's result at addresses above 2³¹, and the bits of low addresses", () => {
    const bits = (runtime: Runtime) => {
      const seen: unknown[] = [];
      const world = new World(runtime, (call) => {
        const results = call();
        seen.push(bitsOf(results));
        return results;
      });
      play(world, 20, 33);
      return seen;
    };
    const high = createRuntimeSync();
    // Nobody touches these blocks, so that the host need not back them.
    for (const bytes of [1.1 * GIB, 1.1 * GIB])
      (high as LamellaRuntime).create("float64", [Math.ceil(bytes / 8)]);
    expect((high.zeros([1]) as TensorHandle).address).toBeGreaterThan(2 ** 31);
    expect(bits(high)).toEqual(bits(createRuntimeSync()));
    high.dispose();
  });

  test("refused at any of its allocations leaves memory and operands as they were, and then gives the right result", () => {
    const runtime = createRuntimeSync();
    let refused = 0;
    const around: Around = (call, unchanged) => {
      for (let k = 1; ; k++) {
        const results = refuse(runtime, k, call);
        if (results) return results;
        refused++;
        unchanged();
      }
    };
    const world = new World(runtime, around);
    play(world, 20, 17);
    expect(refused).toBeGreaterThan(10 * operations.length);
  });

  test.each(["maxMemory", "the engine"])(
    "in a memory that is full, where %s refuses growth, is a MemoryError or needs none; the same call gives the right result once there is room",
    (which) => {
      const maxMemory = which === "maxMemory" ? 2 ** 20 : undefined;
      const runtime = createRuntimeSync({ maxMemory });
      if (!maxMemory) {
        (runtime as LamellaRuntime).linear.wasm.grow = () => {
          throw new RangeError("the engine has no more");
        };
      }
      let refused = 0;
      const around: Around = (call, unchanged) => {
        const empty = fill(runtime);
        const { bytesLive } = runtime.memory;
        try {
          return call();
        } catch (error) {
          if (!(error instanceof MemoryError)) throw error;
          refused++;
          expect(error.bytesRequested).toBeGreaterThan(0);
          expect(error.bytesLive).toBe(bytesLive);
          expect(error.message).toContain(`${error.bytesRequested} bytes asked for`);
        } finally {
          empty();
        }
        unchanged();
        return call();
      };
      const world = new World(runtime, around);
      play(world, 10, 9);
      expect(refused).toBeGreaterThan(5 * operations.length);
    },
  );
});
