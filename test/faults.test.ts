// What fails from outside while something is under way: the host, the clock, the caller's own code,
// the memory, a file that was cut. docs/reliability.md has the table of all faults.

import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  adam,
  affine,
  batchnorm,
  createRuntimeSync,
  DisposedError,
  dropout,
  FormatError,
  MemoryError,
  type Runtime,
  relu,
  Sequential,
  softmaxLoss,
  svmLoss,
  Trainer,
} from "../src/index.ts";
import { seeded } from "./support/core.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

const FEATURES = 6;
const CLASSES = 3;

function problem(N: number) {
  const random = seeded(N);
  const x = Float32Array.from({ length: N * FEATURES }, () => 2 * random() - 1);
  return { x, y: Array.from({ length: N }, (_, n) => n % CLASSES) };
}

function trainerIn(runtime: Runtime): Trainer {
  const layers = [affine(8), batchnorm(), relu(), dropout(0.3), affine(CLASSES)];
  const model = new Sequential(runtime, { input: [FEATURES], layers, seed: 1 });
  return new Trainer(model, { loss: "softmax", optimizer: adam(), seed: 2 });
}

const bitsOf = ({ model }: Trainer) =>
  model.parameters().map(({ value }) => Array.from(value.toTypedArray()));

async function finish(trainer: Trainer, data: Parameters<Trainer["fit"]>[0], batchSize = 8) {
  for await (const _ of trainer.fit(data, { epochs: 3, batchSize }));
}

describe("a host that does not know SIMD", () => {
  // Loaded anew before the test and not in it: a mutant of what runs at loading would be tried by
  // this test alone.
  let fresh: typeof import("../src/index.ts");
  beforeAll(async () => {
    vi.resetModules();
    fresh = await import("../src/index.ts");
  });

  test("is told by the first runtime, with what it said and what to do", async () => {
    const { CompileError } = WebAssembly;
    const { createRuntime, createRuntimeSync } = fresh;
    class Module {
      constructor() {
        throw new CompileError("WebAssembly.Module(): wasm simd unsupported");
      }
    }
    vi.stubGlobal(
      "WebAssembly",
      new Proxy(WebAssembly, {
        get: (own, key) => (key === "Module" ? Module : Reflect.get(own, key)),
      }),
    );
    const words =
      /^createRuntime(Sync)?: this host does not compile lamella\/core\.wasm: .*wasm simd unsupported/;
    expect(() => createRuntimeSync()).toThrow(words);
    await expect(createRuntime()).rejects.toThrow(words);
    await expect(createRuntime()).rejects.toBeInstanceOf(CompileError);
  });
});

describe("a host without FinalizationRegistry", () => {
  test("computes, and gives back what is disposed by hand or by a scope", async () => {
    vi.stubGlobal("FinalizationRegistry", undefined);
    const runtime = createRuntimeSync();
    const { bytesLive, tensors } = runtime.memory;
    const x = runtime.ones([4]);
    expect(runtime.scope(() => runtime.full([2], 3).item.name)).toBe("item");
    x.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });
});

describe("a clock that stands still", () => {
  test("gives a speed of 0, and the same bits", async () => {
    const data = problem(40);
    const usual = trainerIn(createRuntimeSync());
    await finish(usual, data);
    vi.stubGlobal("performance", { now: () => 12345 });
    const trainer = trainerIn(createRuntimeSync());
    for await (const event of trainer.fit(data, { epochs: 3, batchSize: 8 })) {
      expect(event.examplesPerSecond).toBe(0);
    }
    expect(bitsOf(trainer)).toEqual(bitsOf(usual));
  });
});

describe("a training under way", () => {
  test("whose batches throw ends with that error, and the next fit goes on to the same bits", async () => {
    const parts = [problem(8), problem(9), problem(10), problem(11)];
    let left = 6;
    const broken = {
      *[Symbol.iterator]() {
        for (const part of parts) {
          if (left-- === 0) throw new Error("the disk is gone");
          yield part;
        }
      },
    };
    const trainer = trainerIn(createRuntimeSync());
    await expect(finish(trainer, broken)).rejects.toThrow(/^the disk is gone$/);
    expect(trainer.steps).toBe(6);
    await finish(trainer, broken);
    const usual = trainerIn(createRuntimeSync());
    await finish(usual, parts);
    expect(trainer.steps).toBe(12);
    expect(bitsOf(trainer)).toEqual(bitsOf(usual));
  });

  test("one of whose batches is bad ends with what is wrong with it, and nothing of it was learned", async () => {
    const good = problem(8);
    const trainer = trainerIn(createRuntimeSync());
    const batches = [good, { x: good.x, y: good.y.with(3, CLASSES) }];
    await expect(finish(trainer, batches)).rejects.toThrow(
      "y[3] is 3, expected a whole number in [0, 3)",
    );
    expect(trainer.steps).toBe(1);
    const usual = trainerIn(createRuntimeSync());
    usual.step(good.x, good.y);
    expect(bitsOf(trainer)).toEqual(bitsOf(usual));
  });

  test("whose labels, an array, are written into under way learns what they were", async () => {
    const trainer = trainerIn(createRuntimeSync());
    const { x, y } = problem(24);
    const usual = trainerIn(createRuntimeSync());
    await finish(usual, { x, y: [...y] });
    for await (const { type } of trainer.fit({ x, y }, { epochs: 3, batchSize: 8 })) {
      if (type === "step") for (let n = 0; n < y.length; n++) y[n] = CLASSES + n;
    }
    expect(bitsOf(trainer)).toEqual(bitsOf(usual));
  });

  test.each([
    ["an Int32Array", (y: number[]) => ({ y: Int32Array.from(y) })],
    [
      "a tensor",
      (y: number[], runtime: Runtime) => ({ y: runtime.tensor(y, [y.length], "int32") }),
    ],
  ] as const)(
    "whose labels, %s, are written into under way learns nothing of a wrong one",
    async (_, labels) => {
      const runtime = createRuntimeSync();
      const trainer = trainerIn(runtime);
      const good = problem(24);
      const { y } = labels([...good.y], runtime);
      let learned: unknown;
      const run = async () => {
        for await (const { type } of trainer.fit({ x: good.x, y }, { epochs: 3, batchSize: 8 })) {
          if (type !== "step") continue;
          learned = bitsOf(trainer);
          // From behind the last score of its row on, where the kernel would write its gradient.
          const own = ("data" in y ? y.data : y) as unknown as number[];
          for (let n = 0; n < own.length; n++) own[n] = CLASSES + n;
        }
      };
      const error = (await run().catch((error) => error)) as RangeError;
      expect(error).toBeInstanceOf(RangeError);
      const text = /^Trainer\.fit: y\[(\d+)\] is (\d+), expected a whole number in \[0, 3\)$/;
      const [, place, value] = text.exec(error.message)!;
      expect(Number(value)).toBe(CLASSES + Number(place));
      expect(trainer.steps).toBe(1);
      expect(bitsOf(trainer)).toEqual(learned);
    },
  );

  test.each([0.5, NaN, null, undefined, "1", 2 ** 32 + 1])(
    "whose labels become %s, which int32 would make one, learns nothing of them",
    async (value) => {
      const trainer = trainerIn(createRuntimeSync());
      const { x, y } = problem(24);
      const usual = trainerIn(createRuntimeSync());
      await finish(usual, { x, y: [...y] });
      for await (const { type } of trainer.fit({ x, y }, { epochs: 3, batchSize: 8 })) {
        if (type === "step") y.fill(value as number);
      }
      expect(bitsOf(trainer)).toEqual(bitsOf(usual));
    },
  );

  test("whose validation's labels are written into under way ends with what is wrong with them", async () => {
    const trainer = trainerIn(createRuntimeSync());
    const validation = problem(8);
    const run = async () => {
      const options = { epochs: 3, batchSize: 8, validation };
      for await (const { type } of trainer.fit(problem(8), options)) {
        if (type === "step") validation.y.fill(-1);
      }
    };
    await expect(run()).rejects.toThrow(/y\[0\] is -1, expected a whole number in \[0, 3\)/);
  });

  test.each([
    ["runtime", (runtime: Runtime) => runtime.dispose()],
    ["model", (_: Runtime, { model }: Trainer) => model.dispose()],
    ["trainer", (_: Runtime, trainer: Trainer) => trainer.dispose()],
    ["weight", (_: Runtime, { model }: Trainer) => model.parameters()[0]!.value.dispose()],
    ["gradient", (_: Runtime, { model }: Trainer) => model.parameters()[0]!.gradient.dispose()],
  ])("whose %s is disposed ends with a DisposedError", async (_, dispose) => {
    const runtime = createRuntimeSync();
    const trainer = trainerIn(runtime);
    const run = async () => {
      for await (const { type } of trainer.fit(problem(40), { epochs: 3, batchSize: 8 })) {
        if (type === "step") dispose(runtime, trainer);
      }
    };
    await expect(run()).rejects.toThrow(DisposedError);
    await expect(run()).rejects.toThrow(DisposedError);
  });

  test("that runs out of memory is a MemoryError, and goes on in smaller batches", async () => {
    const runtime = createRuntimeSync({ initialMemory: 65536, maxMemory: 3 * 65536 });
    const trainer = trainerIn(runtime);
    const data = problem(3000);
    const start = bitsOf(trainer);
    const { bytesLive, tensors } = runtime.memory;
    await expect(finish(trainer, data, 3000)).rejects.toThrow(MemoryError);
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    expect(bitsOf(trainer)).toEqual(start);
    await finish(trainer, data, 50);
    expect(trainer.steps).toBe(180);
  });
});

describe("labels that read otherwise the second time", () => {
  test.each([
    ["softmaxLoss", softmaxLoss],
    ["svmLoss", svmLoss],
  ])("are read once by %s, and no memory is written by what they are later", (_, loss) => {
    const runtime = createRuntimeSync();
    const x = runtime.ones([2, CLASSES]);
    const behind = runtime.ones([64]);
    let reads = 0;
    const y = [0, 1];
    Object.defineProperty(y, 1, { get: () => (reads++ === 0 ? 1 : 20) });
    const { loss: once, dx } = loss(x, y);
    expect(reads).toBe(1);
    const usual = loss(x, [0, 1]);
    expect([once, dx.data]).toEqual([usual.loss, usual.dx.data]);
    const { bytesLive, tensors } = runtime.memory;
    expect(() => loss(x, y)).toThrow("y[1] is 20, expected a whole number in [0, 3)");
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    expect(behind.data).toEqual(new Float32Array(64).fill(1));
  });
});

describe("a checkpoint that was cut while it was written", () => {
  test("is a FormatError wherever the cut is, and leaves nothing", () => {
    const runtime = createRuntimeSync();
    const trainer = trainerIn(runtime);
    const { x, y } = problem(8);
    trainer.step(x, y);
    const bytes = trainer.checkpoint();
    const { memory } = runtime;
    for (let length = 0; length < bytes.length; length += length < 2000 ? 1 : 61) {
      expect(() => Trainer.resume(runtime, bytes.subarray(0, length))).toThrow(FormatError);
    }
    expect(runtime.memory).toEqual(memory);
    expect(bitsOf(Trainer.resume(runtime, bytes))).toEqual(bitsOf(trainer));
  });
});
