// The workers of a runtime with a shared memory. Each has an instance of the same core, and takes
// tasks from the queue in the memory (assembly/threads/queue.ts) until that is closed. A worker
// receives no messages while it works: it sleeps inside the core.
//
// Only lamella/wasm/shared and lamella/wasm/relaxed-shared contain this file, so that no other
// bundle is larger for it.

import type { Instance } from "./core.ts";
import { cores, nodeWorkers } from "./hosts/node_workers.ts";
import { webWorkers } from "./hosts/web_workers.ts";
import type { HostWorker, WorkerSource } from "./hosts/workers.ts";

/** "auto" starts no more threads than these, as more of them gain little. */
const AUTO_THREADS = 16;
/** The milliseconds between two polls for workers that have started. */
const POLL_INTERVAL = 250;
/**
 * If no worker has started after this many polls, a second, the next way to start workers is tried
 * as well.
 */
const POLLS_BEFORE_RETRY = 4;
/**
 * After this many polls without a new worker a way to start workers has failed: five seconds for
 * one worker, and a quarter of a second more for each further one. Polls are counted rather than
 * time, so that an event loop that stands still does not use them up.
 */
const mostPollsFor = (size: number) => 19 + size;

/** Shared builds export these functions of assembly/threads/queue.ts beside the kernels. */
interface QueueExports {
  threads_open(threads: number, may_sleep: number): void;
  threads_close(): void;
}

const queueOf = ({ exports }: Instance) => exports as unknown as QueueExports;

/** Returns whether this thread may sleep while it waits, which a page's own thread may not. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    // It is a TypeError on a page's own thread. Without SharedArrayBuffer no worker will have the
    // memory either.
    return false;
  }
}

/**
 * The workers of one pool, all started in the same way. They refer to this object, and it refers to
 * no Pool.
 */
class WorkerGroup {
  /** It is fulfilled once all workers have started. */
  readonly ready: Promise<void>;
  /** It is called once, if no worker has started after POLLS_BEFORE_RETRY polls. */
  onSlowStart: () => void = () => {};
  /** It is called if a worker ends before `end` is called. */
  onFailure: (reason: string) => void = () => {};
  private readonly workers: HostWorker[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private hasEnded = false;

  constructor({ start }: WorkerSource, instance: Instance, size: number) {
    const { module, memory } = instance;
    this.ready = new Promise((resolve, reject) => {
      const fail = (reason: string) => reject(new Error(reason));
      const mostPolls = mostPollsFor(size);
      let missing = size;
      let polls = 0;
      const poll = () => {
        polls++;
        if (missing === size && polls === POLLS_BEFORE_RETRY) this.onSlowStart();
        if (polls < mostPolls) this.timer = setTimeout(poll, POLL_INTERVAL);
        else
          fail(
            `${missing} of ${size} workers did not answer within ${mostPolls * POLL_INTERVAL} ms`,
          );
      };
      this.timer = setTimeout(poll, POLL_INTERVAL);
      for (let thread = 1; thread <= size; thread++) {
        const events = {
          ready: () => {
            polls = 0; // others may follow one that has started
            if (--missing > 0) return;
            clearTimeout(this.timer);
            resolve();
          },
          failed: (reason: string) => {
            fail(reason); // it has no effect once all have started
            if (!this.hasEnded) this.onFailure(`worker ${thread} has ended: ${reason}`);
          },
        };
        try {
          this.workers.push(start({ module, memory, thread }, events));
        } catch (error) {
          return fail((error as Error).message);
        }
      }
    });
  }

  begin(): void {
    for (const worker of this.workers) worker.begin();
  }

  end(): void {
    this.hasEnded = true;
    clearTimeout(this.timer);
    for (const worker of this.workers) worker.terminate();
  }
}

/**
 * Returns the first group whose workers have all started. If one way to start workers fails, the
 * next is tried. If one does not answer for a while, the machine may only be busy, so the next is
 * tried beside it; the group that is late is ended.
 */
function startWorkers(
  sources: readonly WorkerSource[],
  instance: Instance,
  size: number,
): Promise<WorkerGroup> {
  const groups: WorkerGroup[] = [];
  const reasons: string[] = [];
  let isDone = false;
  return new Promise((resolve, reject) => {
    const tryNext = () => {
      const source = sources[groups.length];
      if (!source) return;
      const group = new WorkerGroup(source, instance, size);
      groups.push(group);
      group.onSlowStart = tryNext;
      const arrived = () => {
        if (isDone) return;
        isDone = true;
        for (const other of groups) if (other !== group) other.end();
        resolve(group);
      };
      const failed = ({ message }: Error) => {
        group.end();
        reasons.push(message);
        if (isDone) return;
        tryNext();
        if (reasons.length < sources.length) return;
        reject(new Error([...new Set(reasons)].join("; ")));
      };
      group.ready.then(arrived, failed);
    };
    tryNext();
  });
}

/**
 * Returns a function that calls another without keeping it alive, if the host has weak references.
 */
function weakly(fn: (reason: string) => void): (reason: string) => void {
  if (typeof WeakRef !== "function") return fn;
  const ref = new WeakRef(fn);
  return (reason) => ref.deref()?.(reason);
}

/** The workers of a pool that has started, and the queue that they take tasks from. */
interface Running {
  readonly group: WorkerGroup;
  readonly queue: QueueExports;
}

function stop({ group, queue }: Running): void {
  queue.threads_close();
  group.end();
}

/** It ends the workers of pools that were garbage-collected. */
let collected: FinalizationRegistry<Running> | undefined;

/** In a host without FinalizationRegistry only `close` ends a pool. */
function stopWhenCollected(pool: Pool, running: Running): void {
  if (typeof FinalizationRegistry !== "function") return;
  collected ??= new FinalizationRegistry(stop);
  collected.register(pool, running, pool);
}

const warned = new Set<string>();

export class Pool {
  private running: Running | undefined;

  /**
   * Returns a function that wraps an export, so that a call that traps throws the error that `fail`
   * makes.
   */
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

  /** @param onFailure is called if a worker ends before `close` is called */
  constructor(
    private readonly instance: Instance,
    private readonly onFailure: (reason: string) => void,
  ) {}

  /**
   * Starts the workers for this many threads, the caller among them, and returns how many threads
   * there are. If the host starts no worker, "auto" makes it one thread and warns once.
   * @throws Error if this host starts no worker
   */
  async start(operation: string, threads: number | "auto"): Promise<number> {
    try {
      return await this.startAll(threads);
    } catch (error) {
      const message = `${operation}: no worker could be started: ${(error as Error).message}`;
      if (threads !== "auto") throw new Error(message, { cause: error });
      if (!warned.has(message)) globalThis.console?.warn(`${message}. One thread computes.`);
      warned.add(message);
      return 1;
    }
  }

  private async startAll(threads: number | "auto"): Promise<number> {
    const sources = [...nodeWorkers(), ...webWorkers()];
    if (sources.length === 0) throw new Error("this host has no workers");
    const count = threads === "auto" ? Math.min(cores(), AUTO_THREADS) : threads;
    if (count === 1) return 1;
    const queue = queueOf(this.instance);
    queue.threads_open(count, Number(maySleep()));
    try {
      const group = await startWorkers(sources, this.instance, count - 1);
      group.onFailure = weakly(this.onFailure);
      group.begin();
      this.running = { group, queue };
      stopWhenCollected(this, this.running);
      return count;
    } catch (error) {
      queue.threads_close();
      queue.threads_open(1, 0);
      throw error;
    }
  }

  /** Ends the workers. A call that waits for one of them fails. */
  close(): void {
    if (!this.running) return;
    collected?.unregister(this);
    stop(this.running);
    this.running = undefined;
  }
}
