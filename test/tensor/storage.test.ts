// What is dropped without dispose(): the garbage collector, made to run here, gives it back.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import {
  affineForward,
  batchnormForward,
  createRuntimeSync,
  dropoutForward,
  type Runtime,
  reluForward,
} from "../../src/index.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** Lets the collector run, and the finalizers after it. */
async function pass(): Promise<void> {
  collect();
  await new Promise((resolve) => setTimeout(resolve, 1));
}

/**
 * Collects until these are what is left. The collector promises no moment, so it has several tries.
 */
async function expectLeft(runtime: Runtime, left: { tensors: number; bytesLive: number }) {
  for (let i = 0; i < 20 && runtime.memory.bytesLive > left.bytesLive; i++) await pass();
  expect(runtime.memory).toMatchObject(left);
}

/** Collects a few times: what would be given back by then, is. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await pass();
}

test("dropped tensors come back, and those in use stay", async () => {
  const runtime = createRuntimeSync();
  const kept = runtime.full([100], 3);
  (() => {
    for (let i = 0; i < 500; i++) runtime.ones([100]);
  })();
  expect(runtime.memory.tensors).toBe(501);
  await expectLeft(runtime, { tensors: 1, bytesLive: 448 });
  expect(kept.data.every((value) => value === 3)).toBe(true);
  kept.dispose();
  await settle();
  expect(runtime.memory).toMatchObject({ tensors: 0, bytesLive: 0 });
});

test("the results of calls come back, and the caches with their operands", async () => {
  const runtime = createRuntimeSync();
  const x = runtime.ones([4, 4]);
  (() => {
    const b = runtime.ones([4]);
    affineForward(x, x.reshape([4, 4]), b);
    reluForward(runtime.ones([10]));
    dropoutForward(x, { p: 0.5, mode: "train" });
    dropoutForward(x, { p: 0.5, mode: "test" });
    batchnormForward(x, b, b, { mode: "train" });
    runtime.random(1).rand(100);
  })();
  expect(runtime.memory.tensors).toBeGreaterThan(15);
  // Whatever was dropped of x's own handles is counted as long as x is there.
  await settle();
  expect(runtime.memory.bytesLive).toBe(64);
  expect(x.data[15]).toBe(1);
});

test("data with several handles comes back when all are gone, dropped or disposed", async () => {
  const runtime = createRuntimeSync();
  const other = runtime.ones([1]);
  (() => {
    const x = runtime.ones([100]);
    const [a] = [x.reshape([10, 10]), x.reshape([100, 1])];
    x.dispose();
    a!.dispose();
  })();
  expect(runtime.memory.tensors).toBe(2);
  await expectLeft(runtime, { tensors: 1, bytesLive: 64 });
  expect(other.item()).toBe(1);
});

test("data stays while one handle is left, whichever it is", async () => {
  const runtime = createRuntimeSync();
  const [alias, held] = (() => {
    const [x, y] = [runtime.full([100], 5), runtime.full([100], 6)];
    return [x.reshape([10, 10]), reluForward(y).cache.x];
  })();
  await settle();
  runtime.ones([100]);
  expect(alias.data.every((value) => value === 5)).toBe(true);
  expect(held.data.every((value) => value === 6)).toBe(true);
});

test("a cache that is left keeps its operands, whose own handles were dropped", async () => {
  const runtime = createRuntimeSync();
  const { cache } = (() => reluForward(runtime.full([100], 5)))();
  await settle();
  expect(cache.x.data.every((value) => value === 5)).toBe(true);
  expect(runtime.memory.bytesLive).toBe(448);
});

test("data comes back when one handle on it was dropped and the other disposed, which is still referred to", async () => {
  const runtime = createRuntimeSync();
  const { cache } = (() => reluForward(runtime.ones([100])))();
  const alias = (() => runtime.ones([50]).reshape([5, 10]))();
  cache.dispose();
  alias.dispose();
  await expectLeft(runtime, { tensors: 0, bytesLive: 0 });
  expect([cache.x.size, alias.size]).toEqual([100, 50]);
});

test("what is disposed by hand is not given back a second time", async () => {
  const runtime = createRuntimeSync();
  (() => {
    for (let i = 0; i < 100; i++) runtime.ones([100]).dispose();
  })();
  const kept = Array.from({ length: 50 }, (_, i) => runtime.full([100], i));
  await settle();
  expect(runtime.memory).toMatchObject({ tensors: 50, bytesLive: 50 * 448 });
  for (const [i, tensor] of kept.entries()) expect(tensor.data[99]).toBe(i);
});

test("what a scope handed over outside, or kept alive by its cache, comes back like the rest", async () => {
  const runtime = createRuntimeSync();
  (() => {
    runtime.scope(() =>
      runtime.scope(() => [runtime.ones([100]), reluForward(runtime.ones([50]))]),
    );
  })();
  expect(runtime.memory.tensors).toBe(3); // the output and the cache's handle of the second
  await expectLeft(runtime, { tensors: 0, bytesLive: 0 });
});

test("running statistics come back when the bnParam that holds them is dropped", async () => {
  const runtime = createRuntimeSync();
  (() => {
    runtime.scope(() => {
      const one = runtime.ones([1]);
      batchnormForward(runtime.ones([2, 1]), one, one, { mode: "train" });
    });
  })();
  expect(runtime.memory.tensors).toBe(2);
  await expectLeft(runtime, { tensors: 0, bytesLive: 0 });
});

test("tensors of a scope that still runs are left to the scope", async () => {
  const runtime = createRuntimeSync();
  runtime.scope(() => {
    for (let i = 0; i < 100; i++) runtime.ones([100]);
    collect();
    expect(runtime.memory.tensors).toBe(100);
  });
  expect(runtime.memory).toMatchObject({ tensors: 0, bytesLive: 0 });
});

test("dropped tensors without elements are no longer counted either", async () => {
  const runtime = createRuntimeSync();
  (() => {
    for (let i = 0; i < 10; i++) runtime.ones([0]);
  })();
  await settle();
  expect(runtime.memory.tensors).toBe(0);
});

test("a dropped runtime goes with its memory", async () => {
  const memory = (() => {
    const runtime = createRuntimeSync();
    return new WeakRef(runtime.ones([100]).data.buffer);
  })();
  await settle();
  expect(memory.deref()).toBeUndefined();
});

test("a disposed runtime gives its memory back, though it and its tensors are still referred to", async () => {
  const runtime = createRuntimeSync();
  const x = runtime.ones([100]);
  const memory = (() => new WeakRef(x.data.buffer))();
  runtime.dispose();
  await settle();
  // A view that was taken is no longer one of a living memory, either because it is detached or
  // collected.
  expect(memory.deref()?.byteLength ?? 0).toBe(0);
  expect([x.size, runtime.threads]).toEqual([100, 1]);
});
