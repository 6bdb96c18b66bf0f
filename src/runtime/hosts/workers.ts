// What a pool of workers (../pool.ts) asks of a host, and what each way to start one gives it.

/** A thread of the host. */
export interface HostWorker {
  /** Ends it, wherever it is. */
  terminate(): void;
  /** All are there: it takes tasks from now on, and lets the process end meanwhile. */
  begin(): void;
}

export interface WorkerEvents {
  ready(): void;
  /** It has ended, or never began. */
  failed(reason: string): void;
}

/** A way in which a host starts workers. */
export interface WorkerSource {
  /** @throws Error, or tells of a failure by the event */
  start(data: WorkerData, events: WorkerEvents): HostWorker;
}

export interface WorkerData {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  thread: number;
}
