// How a pool comes to its workers and its memory where the host refuses some of the ways, and how a forgotten one ends.

import { resolveObjectURL } from "node:buffer";
import { execFile } from "node:child_process";
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

  test("come from the file alone where no Blob has a URL", async () => {
    browser(hangs, answersAfter(0));
    vi.spyOn(URL, "createObjectURL"); // which is put back afterwards
    Object.assign(URL, { createObjectURL: undefined });
    const runtime = await createRuntime({ wasm: shared, threads: 2 });
    expect(fates()).toEqual([["file", true, false]]);
    runtime.dispose();
  });

  test("come from the file at once where a policy refuses the Blob, which is told by an event alone", async () => {
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
    violate("blob");
    await vi.advanceTimersByTimeAsync(0);
    const runtime = await made;
    expect(fates()).toEqual([
      ["blob", false, true],
      ["file", true, false],
    ]);
    expect(listeners.size).toBe(0);
    runtime.dispose();
  });

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
    }
    expect(warn.mock.calls).toEqual([[`createRuntime: ${why}. One thread computes.`]]);
  });
});

describe("a shared memory that the host refuses", () => {
  /** A host that reserves no more than so many bytes; gives the maxima that it was asked for, in pages. */
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
