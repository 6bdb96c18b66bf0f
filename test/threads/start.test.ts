// How a pool comes to its workers and its memory where the host refuses some of the ways, and how a
// forgotten one ends.

import { resolveObjectURL } from "node:buffer";
import { execFile } from "node:child_process";
import { EventEmitter } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker as NodeWorker } from "node:worker_threads";
import { afterEach, describe, expect, test, vi } from "vitest";
import shared from "../../build/shared.js";
import {
  affineForward,
  createRuntime,
  createRuntimeSync,
  MemoryError,
  type Runtime,
  WorkerError,
} from "../../src/index.ts";
import type { Instance } from "../../src/runtime/core.ts";
import { cores, nodeWorkers } from "../../src/runtime/hosts/node_workers.ts";
import type { WorkerData } from "../../src/runtime/hosts/workers.ts";
import { Pool } from "../../src/runtime/pool.ts";
import { inside, queueOf } from "./inside.ts";

const PAGE = 65536;
const GIB = 2 ** 30;

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** What a worker of a script does; null where its constructor throws. */
type Behaviour = ((worker: FakeWorker) => void) | null;

/** Stands for a browser's Worker; the caller computes all tasks itself. */
class FakeWorker {
  static made: FakeWorker[] = [];
  static fromBlob: Behaviour;
  static fromFile: Behaviour;
  onmessage = () => {};
  onerror: (event: { message: string; preventDefault(): void }) => void = () => {};
  readonly preventDefault = vi.fn();
  data: unknown;
  hasBegun = false;
  isTerminated = false;
  readonly isBlob: boolean;

  constructor(
    readonly url: string | URL,
    readonly options: WorkerOptions,
  ) {
    this.isBlob = String(url).startsWith("blob:");
    if (!this.isBlob) expect(String(url)).toMatch(/^file:.*\/(build|hosts)\/worker\.js$/);
    FakeWorker.made.push(this);
    const behaviour = this.isBlob ? FakeWorker.fromBlob : FakeWorker.fromFile;
    if (!behaviour) throw new Error("refused");
    behaviour(this);
  }

  postMessage(message: unknown) {
    if (message === "begin") this.hasBegun = true;
    else this.data = message;
  }

  terminate() {
    this.isTerminated = true;
  }
}

const hangs = () => {};
const answersAfter = (ms: number) => (worker: FakeWorker) => {
  setTimeout(() => worker.onmessage(), ms);
};
const failsAfter =
  (ms: number, message = "") =>
  (worker: FakeWorker) => {
    const { preventDefault } = worker;
    setTimeout(() => worker.onerror({ message, preventDefault }), ms);
  };

/** A host with a browser's workers alone. */
function browser(fromBlob: Behaviour, fromFile: Behaviour) {
  const { getBuiltinModule } = process;
  vi.spyOn(process, "getBuiltinModule").mockImplementation(((name: string) =>
    name === "node:worker_threads" ? undefined : getBuiltinModule(name)) as never);
  vi.stubGlobal("Worker", FakeWorker);
  Object.assign(FakeWorker, { made: [], fromBlob, fromFile });
}

/** A browser's Worker of a Blob, on a thread of Node's. */
class ThreadWorker {
  static types: string[] = [];
  onmessage = () => {};
  onerror = () => {};
  private readonly thread: Promise<NodeWorker>;

  constructor(url: string) {
    // At once: the URL may be revoked.
    const blob = resolveObjectURL(url) as Blob;
    ThreadWorker.types.push(blob.type);
    this.thread = blob.text().then((script) => {
      const scope = `const { parentPort } = require("node:worker_threads");
        let onmessage;
        const postMessage = (data) => parentPort.postMessage(data);
        parentPort.on("message", (data) => onmessage({ data }));`;
      const thread = new NodeWorker(`${scope}\n${script}`, { eval: true });
      thread.on("message", () => this.onmessage());
      return thread;
    });
  }

  postMessage(message: unknown) {
    void this.thread.then((thread) => thread.postMessage(message));
  }

  terminate() {
    void this.thread.then((thread) => thread.terminate());
  }
}

const fates = () =>
  FakeWorker.made.map(({ isBlob, hasBegun, isTerminated }) => [
    isBlob ? "blob" : "file",
    hasBegun,
    isTerminated,
  ]);

describe("workers in a browser", () => {
  test("come from a Blob, and begin once all are there", async () => {
    browser(answersAfter(10), hangs);
    const runtime = await createRuntime({ wasm: shared, threads: 3 });
    expect(runtime.threads).toBe(3);
    expect(fates()).toEqual([
      ["blob", true, false],
      ["blob", true, false],
    ]);
    runtime.dispose();
    expect(fates()).toEqual([
      ["blob", true, true],
      ["blob", true, true],
    ]);
  });

  test("begin when the last of them is there, and not before", async () => {
    let answered = 0;
    browser((worker) => {
      // The first at once, the second later.
      setTimeout(
        () => {
          answered++;
          worker.onmessage();
        },
        100 * (FakeWorker.made.length - 1),
      );
    }, hangs);
    const runtime = await createRuntime({ wasm: shared, threads: 3 });
    expect(answered).toBe(2);
    runtime.dispose();
  });

  test("come from the file at once where a Blob is refused", async () => {
    browser(failsAfter(0), answersAfter(0));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let runtime: Runtime | undefined;
    void createRuntime({ wasm: shared, threads: 2 }).then((made) => {
      runtime = made;
    });
    // Less than the second that a silent Blob gets.
    for (let ms = 0; ms < 900 && !runtime; ms++) {
      await vi.advanceTimersByTimeAsync(1);
      await new Promise(setImmediate);
    }
    vi.useRealTimers();
    expect(fates()).toEqual([
      ["blob", false, true],
      ["file", true, false],
    ]);
    runtime?.dispose();
  });

  test("come from the file where a Blob says nothing, and one that comes late never begins", async () => {
    browser(answersAfter(1700), answersAfter(0));
    const runtime = await createRuntime({ wasm: shared, threads: 2 });
    const due = [
      ["blob", false, true],
      ["file", true, false],
    ];
    expect(fates()).toEqual(due);
    await new Promise((later) => setTimeout(later, 1000));
    expect(fates()).toEqual(due);
    runtime.dispose();
  });

  test("come from a Blob that takes its time on a busy machine, where there is no file", async () => {
    browser(answersAfter(1500), failsAfter(0));
    const runtime = await createRuntime({ wasm: shared, threads: 2 });
    expect(fates()).toEqual([
      ["blob", true, false],
      ["file", false, true],
    ]);
    runtime.dispose();
  });

  test("are modules with a name; the Blob's URL lives until they answer, and no error is the page's", async () => {
    const revoke = vi.spyOn(URL, "revokeObjectURL");
    browser(answersAfter(0), hangs);
    const runtime = await createRuntime({ wasm: shared, threads: 3 });
    expect(FakeWorker.made.map(({ options }) => options)).toEqual([
      { type: "module", name: "lamella 1" },
      { type: "module", name: "lamella 2" },
    ]);
    const urls = FakeWorker.made.map(({ url }) => [url]);
    expect(revoke.mock.calls).toEqual(urls);
    runtime.dispose();

    browser(failsAfter(0, "no memory is left"), failsAfter(0));
    await expect(createRuntime({ wasm: shared, threads: 2 })).rejects.toThrow(
      "no worker could be started: no memory is left; worker.js was not loaded as a worker",
    );
    const [blob, file] = FakeWorker.made as [FakeWorker, FakeWorker];
    expect(file.options).toEqual({ type: "module" });
    expect(revoke).toHaveBeenCalledWith(blob.url);
    for (const { preventDefault } of [blob, file]) expect(preventDefault).toHaveBeenCalledOnce();
  });

  test("run the script that is in the Blob, until they sleep in the core", async () => {
    browser(null, null);
    ThreadWorker.types = [];
    vi.stubGlobal("Worker", ThreadWorker);
    const runtime = await createRuntime({ wasm: shared, threads: 3 });
    expect(ThreadWorker.types).toEqual(["text/javascript", "text/javascript"]);
    // Both come to sleep in the core, on the first word of the queue.
    const queue = new Int32Array(inside(runtime).linear.wasm.buffer, queueOf(runtime), 1);
    await expect.poll(() => Atomics.notify(queue, 0), { timeout: 10_000 }).toBe(2);
    const [x, w, b] = [runtime.ones([200, 200]), runtime.ones([200, 200]), runtime.zeros([200])];
    expect(affineForward(x, w, b).out.data.every((value) => value === 200)).toBe(true);
    runtime.dispose();
  });

  test("come from the file where no Blob has a URL", async () => {
    browser(hangs, answersAfter(0));
    vi.spyOn(URL, "createObjectURL"); // which is put back afterwards
    Object.assign(URL, { createObjectURL: undefined });
    const runtime = await createRuntime({ wasm: shared, threads: 2 });
    expect(fates()).toEqual([["file", true, false]]);
    runtime.dispose();
  });

  // Browsers name the scheme alone, or all of it.
  test.each(["blob", "blob:https://example.org/7d0c"])(
    "come from the file at once where a policy refuses the Blob, which is told by an event alone: %s",
    async (uri) => {
      const listeners = new Map<string, (event: { blockedURI: string }) => void>();
      vi.stubGlobal("addEventListener", listeners.set.bind(listeners));
      vi.stubGlobal("removeEventListener", listeners.delete.bind(listeners));
      browser(hangs, answersAfter(0));
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const made = createRuntime({ wasm: shared, threads: 2 });
      const violate = (blockedURI: string) => {
        listeners.get("securitypolicyviolation")!({ blockedURI });
      };
      await vi.waitFor(() => expect(listeners.size).toBe(1));
      violate("https://example.org/image.png");
      await new Promise(setImmediate);
      expect(fates()).toEqual([["blob", false, false]]);
      violate(uri);
      await vi.advanceTimersByTimeAsync(0);
      const runtime = await made;
      expect(fates()).toEqual([
        ["blob", false, true],
        ["file", true, false],
      ]);
      expect(listeners.size).toBe(0);
      runtime.dispose();
    },
  );

  test.each([
    [false, /: the page is not cross-origin isolated; it is when served with the headers/],
    [true, /: the memory could not be cloned$/],
    [undefined, /: the memory could not be cloned$/],
  ])(
    "that cannot have the memory are ended, and the reason is told: crossOriginIsolated is %o",
    async (isIsolated, message) => {
      browser(hangs, hangs);
      vi.stubGlobal("crossOriginIsolated", isIsolated);
      vi.spyOn(FakeWorker.prototype, "postMessage").mockImplementation(() => {
        throw new Error("the memory could not be cloned");
      });
      await expect(createRuntime({ wasm: shared, threads: 2 })).rejects.toThrow(message);
      expect(fates()).toEqual([
        ["blob", false, true],
        ["file", false, true],
      ]);
    },
  );

  test('that come by no way are a WorkerError with each reason, and one thread with "auto", said once', async () => {
    browser(failsAfter(0), null);
    const why = "no worker could be started: a Blob was not loaded as a worker; refused";
    const refused = createRuntime({ wasm: shared, threads: 2 });
    await expect(refused).rejects.toThrow(WorkerError);
    await expect(refused).rejects.toThrow(`createRuntime: ${why}`);
    vi.stubGlobal("navigator", { hardwareConcurrency: 8 });
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    for (let i = 0; i < 2; i++) {
      const runtime = await createRuntime({ wasm: shared, threads: "auto" });
      expect(runtime.threads).toBe(1);
      expect(runtime.ones([3]).toTypedArray()).toEqual(Float32Array.of(1, 1, 1));
      runtime.dispose();
      expect(warn.mock.calls).toEqual([[`createRuntime: ${why}. One thread computes.`]]);
    }
  });
});

describe("a pool", () => {
  /** One on a core of which nothing is computed, and what it says to that core. */
  function poolOf(onFailure: (reason: string) => void = () => {}) {
    const calls: unknown[][] = [];
    const record =
      (name: string) =>
      (...args: unknown[]) =>
        void calls.push([name, ...args]);
    const exports = { threads_open: record("open"), threads_close: record("close") };
    const instance = { module: "module", memory: "memory", exports } as unknown as Instance;
    return { pool: new Pool(instance, onFailure), calls };
  }

  test("opens the queue for all threads, gives each its number, and closes it once", async () => {
    browser(answersAfter(0), hangs);
    const { pool, calls } = poolOf();
    pool.close();
    expect(calls).toEqual([]);
    expect(await pool.start("createRuntime", 3)).toBe(3);
    expect(calls).toEqual([["open", 3, 1]]);
    expect(FakeWorker.made.map(({ data }) => data)).toEqual([
      { module: "module", memory: "memory", thread: 1 },
      { module: "module", memory: "memory", thread: 2 },
    ]);
    for (let i = 0; i < 2; i++) {
      pool.close();
      expect(calls.slice(1)).toEqual([["close"]]);
    }
    expect(FakeWorker.made.every(({ isTerminated }) => isTerminated)).toBe(true);
  });

  test("tells the core where its caller may not sleep, as on a page", async () => {
    browser(answersAfter(0), hangs);
    vi.spyOn(Atomics, "wait").mockImplementation(() => {
      throw new TypeError("Atomics.wait cannot be called in this context");
    });
    const { pool, calls } = poolOf();
    await pool.start("createRuntime", 2);
    expect(calls).toEqual([["open", 2, 0]]);
    pool.close();
  });

  test("that does not come about leaves a queue for one thread", async () => {
    browser(failsAfter(0), failsAfter(0));
    const { pool, calls } = poolOf();
    await expect(pool.start("createRuntime", 4)).rejects.toThrow(
      "createRuntime: no worker could be started: a Blob was not loaded as a worker; worker.js was not",
    );
    expect(calls).toEqual([["open", 4, 1], ["close"], ["open", 1, 0]]);
    pool.close();
    expect(calls).toHaveLength(3);
  });

  test.each([
    [2, 2],
    [16, 16],
    [100, 16],
    [1, 1],
  ])('has with "auto" on %i cores %i threads', async (cores, threads) => {
    browser(answersAfter(0), hangs);
    vi.stubGlobal("navigator", { hardwareConcurrency: cores });
    const { pool, calls } = poolOf();
    expect(await pool.start("createRuntime", "auto")).toBe(threads);
    expect(FakeWorker.made).toHaveLength(threads - 1);
    expect(calls).toEqual(threads > 1 ? [["open", threads, 1]] : []);
    pool.close();
  });

  describe("in time", () => {
    const fake = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });

    test("keeps no timer once its workers are there, nor when none came", async () => {
      fake();
      for (const answer of [answersAfter(10), failsAfter(10)]) {
        browser(answer, failsAfter(10));
        const { pool } = poolOf();
        const started = pool.start("createRuntime", 3).catch(() => 1);
        await vi.advanceTimersByTimeAsync(30);
        expect([1, 3]).toContain(await started);
        expect(vi.getTimerCount()).toBe(0);
        pool.close();
      }
    });

    test("waits five seconds for workers that say nothing, and a second before it tries the next way", async () => {
      fake();
      browser(hangs, hangs);
      const { pool } = poolOf();
      let reason: string | undefined;
      pool.start("createRuntime", 2).catch((error: Error) => {
        reason = error.message;
      });
      const pass = async (ms: number) => {
        await vi.advanceTimersByTimeAsync(ms);
        return FakeWorker.made.map(({ isTerminated }) => isTerminated);
      };
      expect(await pass(999)).toEqual([false]);
      expect(await pass(1)).toEqual([false, false]);
      expect(await pass(3999)).toEqual([false, false]);
      expect(await pass(1)).toEqual([true, false]);
      expect(reason).toBeUndefined();
      expect(await pass(1000)).toEqual([true, true]);
      expect(reason).toBe(
        "createRuntime: no worker could be started: 1 of 1 workers did not answer within 5000 ms",
      );
      expect(vi.getTimerCount()).toBe(0);
    });

    test("waits for as many workers as it likes to come one by one, each of which renews its patience", async () => {
      fake();
      const size = 63;
      const each = 4000; // below the five seconds of a single worker; in all four minutes
      browser((worker) => {
        const place = FakeWorker.made.length;
        setTimeout(() => worker.onmessage(), place === 1 ? 0 : place * each);
      }, hangs);
      const { pool } = poolOf();
      const started = pool.start("createRuntime", size + 1);
      await vi.advanceTimersByTimeAsync(size * each);
      expect(await started).toBe(size + 1);
      // The first that answered showed that Blobs serve, so that no file was tried beside them.
      expect(fates()).toEqual(Array(size).fill(["blob", true, false]));
      pool.close();
    });

    test("waits for the first of 63 workers longer than for a single one", async () => {
      fake();
      const patience = async (size: number) => {
        browser(hangs, failsAfter(0));
        const { pool } = poolOf();
        let isOver = false;
        const refused = expect(pool.start("createRuntime", size + 1)).rejects.toThrow("answer");
        void refused.then(() => {
          isOver = true;
        });
        let ms = 0;
        for (; !isOver; ms += 250) await vi.advanceTimersByTimeAsync(250);
        return ms;
      };
      expect(await patience(63)).toBeGreaterThanOrEqual((await patience(1)) + 62 * 250);
    });

    test("loses no patience while its event loop stands still", async () => {
      fake();
      browser(hangs, failsAfter(0));
      const { pool } = poolOf();
      const started = pool.start("createRuntime", 2);
      // What a loop that stood still for a minute does: one timer that was due, then the worker's
      // message.
      await vi.advanceTimersToNextTimerAsync();
      vi.setSystemTime(Date.now() + 60_000);
      await vi.advanceTimersToNextTimerAsync();
      FakeWorker.made[0]!.onmessage();
      expect(await started).toBe(2);
      pool.close();
    });
  });

  test("starts where the host has neither weak references nor a registry, and its workers end with close", async () => {
    browser(answersAfter(0), hangs);
    vi.stubGlobal("WeakRef", undefined);
    vi.stubGlobal("FinalizationRegistry", undefined);
    const reasons: string[] = [];
    const { pool } = poolOf((reason) => void reasons.push(reason));
    expect(await pool.start("createRuntime", 2)).toBe(2);
    FakeWorker.made[0]!.onerror({ message: "no memory is left", preventDefault() {} });
    expect(reasons).toEqual(["worker 1 has ended: no memory is left"]);
    pool.close();
    expect(fates()).toEqual([["blob", true, true]]);
  });

  test("warns nobody where the host has no console", async () => {
    browser(failsAfter(0, "no console here"), failsAfter(0));
    vi.stubGlobal("navigator", { hardwareConcurrency: 2 });
    vi.stubGlobal("console", undefined);
    const { pool } = poolOf();
    expect(await pool.start("createRuntime", "auto")).toBe(1);
  });

  test("tries no further way once one has served, though workers that it ended tell of their end", async () => {
    browser(answersAfter(0), answersAfter(0));
    const threads = [] as Worker[];
    class Worker extends EventEmitter {
      constructor() {
        super();
        threads.push(this);
      }
      terminate() {
        this.emit("exit", 1);
      }
    }
    vi.spyOn(process, "getBuiltinModule").mockReturnValue({ Worker } as never);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { pool } = poolOf();
    const started = pool.start("createRuntime", 2);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await started).toBe(2);
    expect(threads).toHaveLength(1);
    expect(fates()).toEqual([["blob", true, false]]);
    pool.close();
  });

  test("whose runtime is gone tells nobody of a worker's end", async () => {
    browser(answersAfter(0), hangs);
    vi.stubGlobal(
      "WeakRef",
      class {
        deref() {}
      },
    );
    const onFailure = vi.fn();
    const { pool } = poolOf(onFailure);
    await pool.start("createRuntime", 2);
    FakeWorker.made[0]!.onerror({ message: "no memory is left", preventDefault() {} });
    expect(onFailure).not.toHaveBeenCalled();
    pool.close();
  });

  test("tells which worker has ended, and says nothing of those that it ends itself", async () => {
    browser(answersAfter(0), hangs);
    const reasons: string[] = [];
    const onFailure = (reason: string) => void reasons.push(reason);
    const { pool } = poolOf(onFailure);
    await pool.start("createRuntime", 3);
    const lose = (message: string) => FakeWorker.made[1]!.onerror({ message, preventDefault() {} });
    lose("no memory is left");
    expect(reasons).toEqual(["worker 2 has ended: no memory is left"]);
    pool.close();
    lose("it was terminated");
    expect(reasons).toHaveLength(1);
  });
});

describe("Node's workers", () => {
  test.each([undefined, {}])("are none where process is %o", (process) => {
    vi.stubGlobal("process", process);
    const workers = nodeWorkers();
    vi.unstubAllGlobals();
    expect(workers).toEqual([]);
  });

  test("have a name, no flags, this process's environment, and let it end once they work", () => {
    const made: unknown[][] = [];
    const told: string[] = [];
    class Worker extends EventEmitter {
      terminate = () => told.push("terminate");
      unref = () => told.push("unref");
      constructor(...args: unknown[]) {
        super();
        made.push([...args, this]);
      }
    }
    const SHARE_ENV = Symbol();
    vi.spyOn(process, "getBuiltinModule").mockReturnValue({ Worker, SHARE_ENV } as never);
    const data = { thread: 3 } as WorkerData;
    const worker = nodeWorkers()[0]!.start(data, {
      ready: () => told.push("ready"),
      failed: (reason) => told.push(reason),
    });
    const [url, options, own] = made[0] as [URL, unknown, Worker];
    expect(url.href).toMatch(/^data:text\/javascript,.*threads_work/);
    const due = { workerData: data, execArgv: [], env: SHARE_ENV, name: "lamella 3" };
    expect(options).toEqual(due);
    own.emit("message", "ready");
    worker.begin();
    own.emit("error", new Error("no memory is left"));
    worker.terminate();
    own.emit("exit", 1);
    expect(told).toEqual([
      ...["ready", "unref", "no memory is left", "terminate", "it exited with code 1"],
    ]);
  });

  test("are as many as navigator says, else as node:os does, else one", () => {
    const os = vi.spyOn(process, "getBuiltinModule");
    const counts = [{ hardwareConcurrency: 8 }, { hardwareConcurrency: 0 }, undefined].map(
      (navigator) => {
        vi.stubGlobal("navigator", navigator);
        return [{ availableParallelism: () => 5 }, {}, undefined].map((module) => {
          os.mockReturnValue(module as never);
          return cores();
        });
      },
    );
    expect(counts).toEqual([
      [8, 8, 8],
      [5, 1, 1],
      [5, 1, 1],
    ]);
  });

  test.each([undefined, {}])("are one where process is %o and there is no navigator", (process) => {
    vi.stubGlobal("navigator", undefined);
    vi.stubGlobal("process", process);
    const count = cores();
    vi.unstubAllGlobals();
    expect(count).toBe(1);
  });
});

describe("a shared memory that the host refuses", () => {
  /**
   * A host that reserves no more than so many bytes; gives the maxima that it was asked for, in
   * pages.
   */
  function limited(bytes: number): number[] {
    const asked: number[] = [];
    const { Memory } = WebAssembly;
    vi.spyOn(WebAssembly, "Memory").mockImplementation(
      class {
        constructor(descriptor: WebAssembly.MemoryDescriptor) {
          asked.push(descriptor.maximum!);
          if (descriptor.maximum! * PAGE > bytes) throw new RangeError("could not allocate memory");
          // biome-ignore lint/correctness/noConstructorReturn: it stands for another class
          return new Memory(descriptor);
        }
      } as unknown as typeof WebAssembly.Memory,
    );
    return asked;
  }

  test("is asked for again with half of the reserve, and grows as far", () => {
    const asked = limited(GIB);
    const runtime = createRuntimeSync({ wasm: shared });
    expect(asked).toEqual([65536, 32768, 16384]);
    expect(() => runtime.zeros([GIB / 4])).toThrow(`reserved of at most ${GIB}`);
    runtime.dispose();
  });

  test("down to what initialMemory asks for, and then it is a MemoryError that says so", () => {
    const asked = limited(4 * PAGE);
    const error = (() => {
      try {
        createRuntimeSync({ wasm: shared, initialMemory: 5 * PAGE });
      } catch (cause) {
        return cause as MemoryError;
      }
    })();
    expect(error).toBeInstanceOf(MemoryError);
    expect(error!.message).toBe(
      `createRuntimeSync: the host gave no memory of ${5 * PAGE} bytes that may grow to ${5 * PAGE}`,
    );
    expect(asked.slice(-3)).toEqual([16, 8, 5]);
  });

  test("is not asked for again where maxMemory says how much it must be", () => {
    const asked = limited(GIB);
    expect(() => createRuntimeSync({ wasm: shared, maxMemory: 2 * GIB })).toThrow(
      `that may grow to ${2 * GIB}`,
    );
    expect(asked).toEqual([32768]);
  });
});

test.runIf(process.platform === "linux")(
  "a pool that is forgotten ends its workers, and one that is not stays",
  async () => {
    const code = `
      import { readdirSync } from "node:fs";
      import { affineForward, createRuntime } from "./build/index.js";
      import shared from "./build/shared.js";
      const threads = () => readdirSync("/proc/self/task").length;
      const make = async (n) => {
        const runtime = await createRuntime({ wasm: shared, threads: n });
        const [x, w, b] = [runtime.ones([200, 200]), runtime.ones([200, 200]), runtime.zeros([200])];
        const { out } = affineForward(x, w, b);
        return { runtime, out };
      };
      const none = threads();
      const kept = await make(2);
      await make(9);
      const all = threads();
      for (let i = 0; i < 100 && threads() > none + 1; i++) {
        gc();
        await new Promise((later) => setTimeout(later, 50));
      }
      console.log(all - none, threads() - none, kept.out.data[0], affineForward(kept.out, kept.out, kept.runtime.zeros([200])).out.data[0]);`;
    const args = ["--expose-gc", "--input-type=module", "--eval", code];
    const cwd = fileURLToPath(new URL("../..", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, timeout: 30_000 });
    expect(stdout).toBe(`9 1 200 ${200 ** 3}\n`);
  },
  40_000,
);
