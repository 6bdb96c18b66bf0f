// The workers of a runtime with a shared memory. Each has an instance of the same core, and takes tasks from the queue in
// the memory (assembly/threads/queue.ts) until that is closed. A worker hears nothing from here on: it sleeps inside the core.

import type { Instance } from "./core.ts";
import { WorkerError } from "./errors.ts";
import { nodeWorkers } from "./hosts/node.ts";
import { webWorkers } from "./hosts/web.ts";

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

/** More threads than this nobody has asked for. */
export const MOST_THREADS = 64;
/** "auto" takes no more: what is left to win is small. */
const AUTO_THREADS = 16;
/** Milliseconds in which a worker must be there. */
const PATIENCE = 5000;

/** What shared builds export beside the kernels: assembly/shared.ts. */
interface QueueExports {
  threads_open(threads: number, may_sleep: number): void;
  threads_close(): void;
  threads_fail(): void;
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

function hostOfWorkers(): WorkerHost | null {
  return nodeWorkers() ?? webWorkers();
}

export class Pool {
  /** How many threads compute, the caller among them. */
  threads = 1;
  private workers: HostWorker[] = [];
  private readonly queue: QueueExports;
  private isOpen = true;

  /** @param onFailure called once when a worker is gone that should be there */
  constructor(
    private readonly instance: Instance,
    private readonly onFailure: (error: WorkerError) => void,
  ) {
    this.queue = instance.exports as unknown as QueueExports;
    this.queue.threads_open(1, 0);
  }

  /**
   * Starts the workers for so many threads.
   * @throws WorkerError where this host starts none
   */
  async start(operation: string, threads: number | "auto"): Promise<void> {
    const host = hostOfWorkers();
    const count = threads === "auto" ? Math.min(host?.cores ?? 1, AUTO_THREADS) : threads;
    if (count === 1) return;
    if (!host) throw new WorkerError(`${operation}: threads: this host has no workers`);
    this.queue.threads_open(count, Number(maySleep()));
    try {
      await Promise.all(Array.from({ length: count - 1 }, (_, i) => this.worker(host, i + 1)));
    } catch (error) {
      this.end();
      this.queue.threads_open(1, 0);
      throw new WorkerError(
        `${operation}: threads: this host started no worker: ${(error as Error).message}`,
      );
    }
    for (const worker of this.workers) worker.release();
    this.threads = count;
  }

  /** No worker is there any more; a job that is still waited for fails. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.queue.threads_close();
    this.end();
  }

  /** What a call that trapped throws: it waited for a worker that has died, or a kernel has failed. */
  fail(reason: string): WorkerError {
    const error = new WorkerError(`${reason}; this runtime cannot be used any more`);
    if (this.isOpen) {
      this.queue.threads_fail();
      this.close();
      this.onFailure(error);
    }
    return error;
  }

  private end(): void {
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
          else if (this.isOpen && this.workers.includes(worker)) {
            this.fail(`worker ${thread} has ended: ${reason}`);
          }
        },
      };
      const worker = host.start({ module, memory, thread }, events);
      this.workers.push(worker);
    });
  }
}
