// Threads through the facade: the same bits with any number of them, and how a pool lives and dies.

import { execFile } from "node:child_process";
import { EventEmitter } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test, vi } from "vitest";
import relaxedShared from "../../build/relaxed-shared.js";
import shared from "../../build/shared.js";
import {
  adam,
  affine,
  affineBackward,
  affineForward,
  batchnorm,
  batchnormBackward,
  batchnormForward,
  createRuntime,
  createRuntimeSync,
  DisposedError,
  dropout,
  dropoutBackward,
  dropoutForward,
  geluBackward,
  geluForward,
  type Runtime,
  type RuntimeOptions,
  relu,
  reluBackward,
  reluForward,
  Sequential,
  softmaxBackward,
  softmaxForward,
  softmaxLoss,
  Trainer,
  WorkerError,
} from "../../src/index.ts";
import type { Kernels } from "../../src/runtime/core.ts";
import { hasRelaxed, seeded } from "../support/core.ts";
import { inside, queueOf } from "./inside.ts";

const open: Runtime[] = [];
async function create(options: RuntimeOptions): Promise<Runtime> {
  const runtime = await createRuntime(options);
  open.push(runtime);
  return runtime;
}
afterEach(() => {
  vi.restoreAllMocks();
  for (const runtime of open.splice(0)) runtime.dispose();
});

/** A short hash of the bits. */
function digest(arrays: ArrayLike<number>[]): string {
  let hash = 0;
  for (const array of arrays) {
    for (const word of new Int32Array(Float64Array.from(array).buffer)) {
      hash = (Math.imul(hash, 31) + word) | 0;
    }
  }
  return (hash >>> 0).toString(16);
}

type Sizes = readonly [N: number, D: number, M: number];

/** Forward with ReLU, and all gradients. */
function products(runtime: Runtime, [N, D, M]: Sizes, dtype: "float32" | "float64"): string {
  return runtime.scope(() => {
    const random = seeded(N + D + M);
    const draw = (...shape: number[]) => {
      const n = shape.reduce((a, b) => a * b);
      return runtime.tensor(
        Array.from({ length: n }, () => 2 * random() - 1),
        shape,
        dtype,
      );
    };
    const [x, w, b, dout] = [draw(N, D), draw(D, M), draw(M), draw(N, M)];
    const { out, cache } = affineForward(x, w, b, { activation: "relu" });
    const { dx, dw, db } = affineBackward(dout, cache);
    return digest([out, dx, dw, db].map(({ data }) => data));
  });
}

/** Layers without a product, and their gradients, on n elements. */
function elementwise(runtime: Runtime, n: number, dtype: "float32" | "float64"): string {
  return runtime.scope(() => {
    const random = seeded(n);
    const C = 25;
    const N = Math.ceil(n / C);
    const draw = (...shape: number[]) =>
      runtime.tensor(
        Array.from({ length: shape.reduce((a, b) => a * b) }, () => 2 * random() - 1),
        shape,
        dtype,
      );
    const [x, dout] = [draw(N, C), draw(N, C)];
    const y = Int32Array.from({ length: N }, (_, i) => i % C);
    const rectified = reluForward(x);
    const smooth = geluForward(x);
    const shares = softmaxForward(x);
    const parameters = [draw(C), draw(C)] as const;
    const normal = batchnormForward(x, ...parameters, { mode: "train" });
    const dropped = dropoutForward(x, { p: 0.4, mode: "train" });
    const loss = softmaxLoss(x, y);
    const gradients = batchnormBackward(dout, normal.cache);
    const results = [
      ...[rectified.out, smooth.out, shares.out, normal.out, dropped.out, loss.dx],
      ...[gradients.dx, gradients.dgamma, gradients.dbeta],
      ...[reluBackward(dout, rectified.cache), geluBackward(dout, smooth.cache)],
      ...[softmaxBackward(dout, shares.cache), dropoutBackward(dout, dropped.cache)],
    ];
    return digest([[loss.loss], ...results.map(({ data }) => data)]);
  });
}

/**
 * Some steps of a network of all kinds of layers, its parameters, and what a predictor makes of it.
 */
function training(runtime: Runtime): string {
  return runtime.scope(() => {
    const [features, classes, batch] = [200, 10, 128];
    const model = new Sequential(runtime, {
      input: [features],
      layers: [
        affine(250),
        batchnorm(),
        relu(),
        dropout(0.2),
        affine(120),
        relu(),
        affine(classes),
      ],
      seed: 3,
    });
    const trainer = new Trainer(model, {
      loss: "softmax",
      optimizer: adam({ learningRate: 1e-3 }),
    });
    const random = seeded(9);
    const x = Float32Array.from({ length: batch * features }, () => random() - 0.5);
    const y = Int32Array.from({ length: batch }, (_, i) => i % classes);
    const losses = Array.from({ length: 5 }, () => trainer.step(x, y).loss);
    const predictor = model.compile({ maxBatch: batch });
    const scores = predictor.predict(x);
    predictor.dispose();
    const parameters = model.parameters().map(({ value }) => value.data);
    const result = digest([losses, scores as ArrayLike<number>, ...parameters]);
    trainer.dispose();
    model.dispose();
    return result;
  });
}

// The first three are below the least product that is worth waking anybody.
const cases: readonly Sizes[] = [
  [1, 1, 1],
  [7, 33, 20],
  [128, 128, 128],
  [145, 145, 145],
  [157, 193, 151],
  [300, 200, 100],
  [37, 1000, 500],
  [1000, 64, 63],
  [5, 1100, 600],
  [1, 1000, 1100],
  [1100, 1000, 1],
  // Long sums.
  [37, 16400, 13],
  [16400, 40, 9],
];

describe("the bits do not depend on the number of threads", () => {
  const strict = createRuntimeSync();
  const expected = {
    float32: cases.map((sizes) => products(strict, sizes, "float32")),
    float64: cases.map((sizes) => products(strict, sizes, "float64")),
    training: training(strict),
  };

  // LAMELLA_THREADS: others than these.
  const counts = (process.env.LAMELLA_THREADS ?? "1 2 3 4 5 8 13 16").split(" ").map(Number);
  test.each(counts)("of %i", async (threads) => {
    const runtime = await create({ wasm: shared, threads });
    expect(runtime.threads).toBe(threads);
    expect(runtime.variant).toBe("strict");
    for (const dtype of ["float32", "float64"] as const) {
      expect(cases.map((sizes) => products(runtime, sizes, dtype))).toEqual(expected[dtype]);
    }
    expect(training(runtime)).toBe(expected.training);
  });

  test.runIf(hasRelaxed)("in relaxed builds either, within one host", async () => {
    const one = await create({ wasm: relaxedShared });
    const four = await create({ wasm: relaxedShared, threads: 4 });
    expect([one.variant, four.variant]).toEqual(["relaxed", "relaxed"]);
    for (const sizes of cases) {
      expect(products(four, sizes, "float32")).toBe(products(one, sizes, "float32"));
    }
    expect(training(four)).toBe(training(one));
  });

  // LAMELLA_STRESS: so many seconds instead of two.
  const seconds = Number(process.env.LAMELLA_STRESS ?? 2);
  test(
    `under stress: calls of all sizes for ${seconds} s, more threads than cores`,
    async () => {
      const runtime = await create({ wasm: shared, threads: 7 });
      const other = await create({ wasm: shared, threads: 3 });
      const random = seeded(Date.now());
      const size = () => 1 + Math.floor(400 * random() ** 2);
      const end = performance.now() + 1000 * seconds;
      let calls = 0;
      do {
        const sizes = [size(), size(), size()] as const;
        const n = Math.floor(40_000 * random() + 1);
        // In turn, so that jobs of all kinds follow each other.
        for (const call of [
          (on: Runtime) => products(on, sizes, "float32"),
          (on: Runtime) => elementwise(on, n, "float32"),
        ]) {
          const bits = call(strict);
          expect(call(runtime), `${sizes}, ${n}`).toBe(bits);
          expect(call(other), `${sizes}, ${n}`).toBe(bits);
        }
        calls++;
      } while (performance.now() < end);
      expect(calls).toBeGreaterThan(0);
    },
    1000 * seconds + 60_000,
  );
});

describe("threads are", () => {
  test("one, and no pool, by default, and in createRuntimeSync", async () => {
    expect((await create({ wasm: shared })).threads).toBe(1);
    const runtime = createRuntimeSync({ wasm: shared });
    open.push(runtime);
    expect(runtime.threads).toBe(1);
    const options = { wasm: shared, threads: 2 };
    expect(() => createRuntimeSync(options)).toThrow(
      "createRuntimeSync: threads: 2 must be waited for; await createRuntime",
    );
  });

  test('as many as the processor has with "auto", where the memory can be shared', async () => {
    const auto = await create({ wasm: shared, threads: "auto" });
    expect(auto.threads).toBeGreaterThanOrEqual(1);
    expect(auto.threads).toBeLessThanOrEqual(16);
    expect((await create({ threads: "auto" })).threads).toBe(1);
  });

  describe("where the host starts no worker", () => {
    type Modules = typeof process.getBuiltinModule;
    const standIn = (own: (name: string, real: object | undefined) => unknown) => {
      const real = process.getBuiltinModule;
      const modules = (name: string) => own(name, real(name));
      vi.spyOn(process, "getBuiltinModule").mockImplementation(modules as Modules);
    };

    test("as it has none: a number is a WorkerError, and with auto one thread computes", async () => {
      standIn(() => undefined);
      const refusal = createRuntime({ wasm: shared, threads: 2 });
      await expect(refusal).rejects.toThrow(
        /^createRuntime: no worker could be started: this host has no workers$/,
      );
      await expect(refusal).rejects.toBeInstanceOf(WorkerError);
      expect((await create({ wasm: shared, threads: "auto" })).threads).toBe(1);
      expect((await create({ wasm: shared, threads: 1 })).threads).toBe(1);
    });

    test("as it refuses: a number is a WorkerError with its reason, and auto says so once", async () => {
      class Worker extends EventEmitter {
        constructor() {
          super();
          setTimeout(() => this.emit("error", new Error("no thread is left")));
        }
        terminate() {}
        unref() {}
      }
      standIn((name, real) =>
        name === "node:os" ? { availableParallelism: () => 3 } : { ...real, Worker },
      );
      const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
      await expect(createRuntime({ wasm: shared, threads: 3 })).rejects.toThrow(
        /^createRuntime: no worker could be started: no thread is left$/,
      );
      for (let round = 0; round < 2; round++) {
        const runtime = await create({ wasm: shared, threads: "auto" });
        expect(runtime.threads).toBe(1);
        const sizes = [160, 160, 160] as const;
        expect(products(runtime, sizes, "float32")).toBe(
          products(createRuntimeSync(), sizes, "float32"),
        );
      }
      expect(warn.mock.calls).toEqual([
        ["createRuntime: no worker could be started: no thread is left. One thread computes."],
      ]);
    });
  });

  test("refused without a build that shares its memory, with the line to add", async () => {
    await expect(createRuntime({ threads: 4 })).rejects.toThrow(
      'createRuntime: threads: 4 needs a core with shared memory: import shared from "lamella/wasm/shared", and pass it as wasm',
    );
  });
});

describe("a shared memory", () => {
  test("grows while workers use it, up to maxMemory", async () => {
    const runtime = await create({ wasm: shared, threads: 3, maxMemory: 64 << 20 });
    const before = products(runtime, [300, 200, 100], "float32");
    const big = runtime.ones([6 << 20]);
    expect(runtime.memory.bytesReserved).toBeGreaterThan(24 << 20);
    expect(products(runtime, [300, 200, 100], "float32")).toBe(before);
    expect(big.data.every((value) => value === 1)).toBe(true);
    expect(() => runtime.ones([32 << 20])).toThrow("out of memory");
  });
});

/** Threads of this process. */
const threadsOf = () => readdirSync("/proc/self/task").length;

describe("a pool", () => {
  test.runIf(process.platform === "linux")(
    "leaves no thread behind",
    async () => {
      const rounds = Number(process.env.LAMELLA_ROUNDS ?? 50);
      await (await create({ wasm: shared, threads: 3 })).dispose();
      const before = threadsOf();
      for (let i = 0; i < rounds; i++) {
        const runtime = await createRuntime({ wasm: shared, threads: 3 });
        if (i % 2 === 0) products(runtime, [160, 160, 160], "float32");
        runtime.dispose();
        expect(() => runtime.zeros([1])).toThrow(DisposedError);
      }
      await expect.poll(threadsOf, { timeout: 60_000 }).toBeLessThanOrEqual(before + 1);
    },
    900_000, // a thousand pools on a machine that is busy with other things
  );

  test("keeps no process alive, used or not, disposed or not", async () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const code = `
      import { affineForward, createRuntime } from "./build/index.js";
      import shared from "./build/shared.js";
      const [a] = await Promise.all([3, 2].map((threads) => createRuntime({ wasm: shared, threads })));
      const { out } = affineForward(a.ones([200, 200]), a.ones([200, 200]), a.zeros([200]));
      console.log(out.data[7], a.threads);`;
    const args = ["--input-type=module", "--eval", code];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      ...{ cwd: root, timeout: 30_000 },
    });
    expect(stdout).toBe("200 3\n");
  });

  test("whose worker is killed while it rests ends its runtime, and no other", async () => {
    const [runtime, other] = [
      await create({ wasm: shared, threads: 3 }),
      await create({ wasm: shared, threads: 2 }),
    ];
    const x = runtime.ones([2, 2]);
    inside(runtime).pool.running.group.workers[1]!.terminate();
    const failure = () => {
      try {
        runtime.zeros([1]);
      } catch (error) {
        return error;
      }
    };
    await expect.poll(failure, { timeout: 5000 }).toBeInstanceOf(WorkerError);
    expect((failure() as Error).message).toMatch(
      /^zeros: worker 2 has ended: it exited with code \d+; this runtime cannot be used any more$/,
    );
    expect(() => x.data).toThrow(DisposedError);
    runtime.dispose();
    expect(products(other, [160, 160, 160], "float32")).toBe(
      products(createRuntimeSync(), [160, 160, 160], "float32"),
    );
  });

  // No checked call has such an address.
  test("whose kernel traps ends its runtime with a WorkerError that has the trap as its cause", async () => {
    const runtime = await create({ wasm: shared, threads: 2 });
    const { relu_forward } = (runtime as unknown as { kernels(dtype: string): Kernels }).kernels(
      "float32",
    );
    let error: Error | undefined;
    try {
      relu_forward(0xffff0000, 0xffff0000, 64);
    } catch (cause) {
      error = cause as Error;
    }
    expect(error).toBeInstanceOf(WorkerError);
    expect(error!.cause).toBeInstanceOf(WebAssembly.RuntimeError);
    expect(() => runtime.zeros([1])).toThrow(WorkerError);
  });

  test.each([
    ["a product", (runtime: Runtime) => products(runtime, [300, 300, 300], "float32")],
    ["another call", (runtime: Runtime) => elementwise(runtime, 600_000, "float32")],
  ])("whose worker takes a task of %s and never ends it fails, for good", async (_, call) => {
    const runtime = await create({ wasm: shared, threads: 2 });
    const { linear } = inside(runtime);
    const queue = queueOf(runtime);
    const thief = new Worker(
      `const { parentPort, workerData: { buffer, queue } } = require("node:worker_threads");
       const words = new Int32Array(buffer, queue);
       parentPort.postMessage("ready");
       for (;;) {
         const remaining = Atomics.load(words, 0);
         if (remaining > 0 && Atomics.compareExchange(words, 0, remaining, remaining - 1) === remaining) break;
       }`,
      { eval: true, workerData: { buffer: linear.wasm.buffer, queue } },
    );
    await new Promise((resolve) => thief.once("message", resolve));
    let error: Error | undefined;
    // Until the thief was the first.
    for (let i = 0; i < 1000 && !error; i++) {
      try {
        call(runtime);
      } catch (cause) {
        error = cause as Error;
      }
    }
    expect(error).toBeInstanceOf(WorkerError);
    expect(error!.message).toMatch(
      /^a worker has died, or a kernel failed .*cannot be used any more$/,
    );
    expect(() => runtime.zeros([1])).toThrow(WorkerError);
    await thief.terminate();
  });
});
