// The interface between a pool of workers (../pool.ts) and the ways to start one in a host.

/** A thread of the host. */
export interface HostWorker {
  /** Ends the thread, whatever it does. */
  terminate(): void;
  /**
   * It is called when all workers have started. The worker takes tasks from now on, and does not
   * keep the process alive.
   */
  begin(): void;
}

export interface WorkerEvents {
  ready(): void;
  /** The worker has ended, or it never started. */
  failed(reason: string): void;
}

/** A way to start workers in a host. */
export interface WorkerSource {
  /** @throws Error, or calls `events.failed` later */
  start(data: WorkerData, events: WorkerEvents): HostWorker;
}

export interface WorkerData {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  thread: number;
}
