// The workers of a runtime with a shared memory. Each has an instance of the same core, and takes tasks from the queue in
// the memory (assembly/threads/queue.ts) until that is closed. A worker hears nothing from here on: it sleeps inside the core.

// lamella/wasm/shared and /relaxed-shared bring it along: nobody else pays for it.

import type { Instance } from "./core.ts";
import { nodeWorkers } from "./hosts/node_workers.ts";
import { webWorkers } from "./hosts/web_workers.ts";

/** A thread of the host. */
export interface HostWorker {
  /** Ends it, wherever it is. */
  terminate(): void;
  /** Lets the process end while it runs. */
  release(): void;
}

export interface WorkerEvents {
  ready(): void;
  /** It has ended, or never began. */
  failed(reason: string): void;
}

/** How a host starts workers; null in a host that has none. */
export interface WorkerHost {
  /** The threads that this machine has for us. */
  readonly cores: number;
  start(data: WorkerData, events: WorkerEvents): HostWorker;
}

export interface WorkerData {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  thread: number;
}

/** "auto" takes no more: what is left to win is small. */
const AUTO_THREADS = 16;
/** Milliseconds in which a worker must be there. */
const PATIENCE = 5000;

/** What shared builds export beside the kernels: assembly/shared.ts. */
interface QueueExports {
  threads_open(threads: number, may_sleep: number): void;
  threads_close(): void;
}

/** A thread that waits may sleep, but for a page's own. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

const warned = new Set<string>();

export class Pool {
  private workers: HostWorker[] = [];
  private readonly queue: QueueExports;
  private isOpen = true;

  /** Wraps an export, so that a call that traps fails with this. */
  static guard(fail: (reason: string) => Error): <F>(kernel: F) => F {
    return (kernel) =>
      ((...args: number[]) => {
        try {
          return (kernel as (...args: number[]) => unknown)(...args);
        } catch (cause) {
          const reason = `a worker has died, or a kernel failed (${cause})`;
          throw Object.assign(fail(reason), { cause });
        }
      }) as typeof kernel;
  }

  /** @param onFailure called once where a worker ends that should be there */
  constructor(
    private readonly instance: Instance,
    private readonly onFailure: (reason: string) => void,
  ) {
    this.queue = instance.exports as unknown as QueueExports;
  }

  /**
   * Starts the workers for so many threads, the caller among them; returns how many there are. "auto" does without where
   * the host has none, and says so once.
   * @throws Error where this host starts none
   */
  async start(operation: string, threads: number | "auto"): Promise<number> {
    try {
      return await this.startAll(threads);
    } catch (error) {
      const message = `${operation}: no worker could be started: ${(error as Error).message}`;
      if (threads !== "auto") throw new Error(message);
      if (!warned.has(message)) console.warn(`${message}. One thread computes.`);
      warned.add(message);
      return 1;
    }
  }

  private async startAll(threads: number | "auto"): Promise<number> {
    const host = nodeWorkers() ?? webWorkers();
    const count = threads === "auto" ? Math.min(host?.cores ?? 1, AUTO_THREADS) : threads;
    if (count === 1) return 1;
    if (!host) throw new Error("this host has no workers");
    this.queue.threads_open(count, Number(maySleep()));
    try {
      await Promise.all(Array.from({ length: count - 1 }, (_, i) => this.worker(host, i + 1)));
    } catch (error) {
      this.close();
      this.queue.threads_open(1, 0);
      throw error;
    }
    for (const worker of this.workers) worker.release();
    return count;
  }

  /** Ends the workers; a call that waits for one fails. */
  close(): void {
    this.isOpen = false;
    this.queue.threads_close();
    for (const worker of this.workers) worker.terminate();
    this.workers = [];
  }

  private worker(host: WorkerHost, thread: number): Promise<void> {
    const { module, memory } = this.instance;
    return new Promise((resolve, reject) => {
      let isReady = false;
      const timer = setTimeout(
        () => reject(new Error(`none answered in ${PATIENCE} ms`)),
        PATIENCE,
      );
      const events = {
        ready: () => {
          isReady = true;
          clearTimeout(timer);
          resolve();
        },
        failed: (reason: string) => {
          clearTimeout(timer);
          if (!isReady) reject(new Error(reason));
          else if (this.isOpen) this.onFailure(`worker ${thread} has ended: ${reason}`);
        },
      };
      this.workers.push(host.start({ module, memory, thread }, events));
    });
  }
}
