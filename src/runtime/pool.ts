// The workers of a runtime with a shared memory. Each has an instance of the same core, and takes tasks from the queue in
// the memory (assembly/threads/queue.ts) until that is closed. A worker hears nothing from here on: it sleeps inside the core.

// lamella/wasm/shared and /relaxed-shared bring it along: nobody else pays for it.

import type { Instance } from "./core.ts";
import { cores, nodeWorkers } from "./hosts/node_workers.ts";
import { webWorkers } from "./hosts/web_workers.ts";
import type { HostWorker, WorkerSource } from "./hosts/workers.ts";

/** "auto" takes no more: what is left to win is small. */
const AUTO_THREADS = 16;
/** Milliseconds between two looks at which workers are there. */
const LOOK = 250;
/** Looks at which none has come yet, after which the next way is tried as well: a second. */
const HEAD_START = 4;
/**
 * Looks without a new worker after which a way is given up: five seconds for one worker, and a quarter of a second for each
 * further one. Looks are counted rather than time, so that an event loop that stands still does not use them up.
 */
const patienceFor = (size: number) => 19 + size;

/** What shared builds export beside the kernels: assembly/threads/queue.ts. */
interface QueueExports {
  threads_open(threads: number, may_sleep: number): void;
  threads_close(): void;
}

const queueOf = ({ exports }: Instance) => exports as unknown as QueueExports;

/** A thread that waits may sleep, but for a page's own. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    // A TypeError on a page's own thread. Where SharedArrayBuffer is missing no worker will have the memory either.
    return false;
  }
}

/** The workers of one pool, all started in the same way. They hold on to this, and this to no Pool. */
class Crew {
  /** Fulfilled once all are there. */
  readonly ready: Promise<void>;
  /** Called once where none has come after a head start. */
  onSilence: () => void = () => {};
  /** Called where one ends that should be there. */
  onLoss: (reason: string) => void = () => {};
  private readonly workers: HostWorker[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private hasEnded = false;

  constructor({ start }: WorkerSource, instance: Instance, size: number) {
    const { module, memory } = instance;
    this.ready = new Promise((resolve, reject) => {
      const fail = (reason: string) => reject(new Error(reason));
      const patience = patienceFor(size);
      let missing = size;
      let looks = 0;
      const look = () => {
        looks++;
        if (missing === size && looks === HEAD_START) this.onSilence();
        if (looks < patience) this.timer = setTimeout(look, LOOK);
        else fail(`${missing} of ${size} workers did not answer within ${patience * LOOK} ms`);
      };
      this.timer = setTimeout(look, LOOK);
      for (let thread = 1; thread <= size; thread++) {
        const events = {
          ready: () => {
            looks = 0; // one that comes shows that the others may
            if (--missing > 0) return;
            clearTimeout(this.timer);
            resolve();
          },
          failed: (reason: string) => {
            fail(reason); // of no effect once it was there
            if (!this.hasEnded) this.onLoss(`worker ${thread} has ended: ${reason}`);
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
 * The first crew that is complete. A way that fails is followed by the next. One that says nothing for a while is not given
 * up, since a busy machine looks the same: the next is tried beside it. Whoever comes late never begins.
 */
function recruit(
  sources: readonly WorkerSource[],
  instance: Instance,
  size: number,
): Promise<Crew> {
  const crews: Crew[] = [];
  const reasons: string[] = [];
  let isDone = false;
  return new Promise((resolve, reject) => {
    const tryNext = () => {
      const source = sources[crews.length];
      if (!source) return;
      const crew = new Crew(source, instance, size);
      crews.push(crew);
      crew.onSilence = tryNext;
      const arrived = () => {
        if (isDone) return;
        isDone = true;
        for (const other of crews) if (other !== crew) other.end();
        resolve(crew);
      };
      const failed = ({ message }: Error) => {
        crew.end();
        reasons.push(message);
        if (isDone) return;
        tryNext();
        if (reasons.length < sources.length) return;
        reject(new Error([...new Set(reasons)].join("; ")));
      };
      crew.ready.then(arrived, failed);
    };
    tryNext();
  });
}

/** A function that calls another and does not keep it, where the host has weak references. */
function weakly(fn: (reason: string) => void): (reason: string) => void {
  if (typeof WeakRef !== "function") return fn;
  const ref = new WeakRef(fn);
  return (reason) => ref.deref()?.(reason);
}

/** Workers that work. */
interface Force {
  readonly crew: Crew;
  readonly queue: QueueExports;
}

function dismiss({ crew, queue }: Force): void {
  queue.threads_close();
  crew.end();
}

/** Ends the workers of pools that were forgotten. */
let forgotten: FinalizationRegistry<Force> | undefined;

/** Not every host has the registry; there a pool is ended by close alone. */
function endWhenForgotten(pool: Pool, force: Force): void {
  if (typeof FinalizationRegistry !== "function") return;
  forgotten ??= new FinalizationRegistry(dismiss);
  forgotten.register(pool, force, pool);
}

const warned = new Set<string>();

export class Pool {
  private force: Force | undefined;

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
  ) {}

  /**
   * Starts the workers for so many threads, the caller among them; returns how many there are. "auto" does without where
   * the host starts none, and says so once.
   * @throws Error where this host starts none
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
      const crew = await recruit(sources, this.instance, count - 1);
      crew.onLoss = weakly(this.onFailure);
      crew.begin();
      this.force = { crew, queue };
      endWhenForgotten(this, this.force);
      return count;
    } catch (error) {
      queue.threads_close();
      queue.threads_open(1, 0);
      throw error;
    }
  }

  /** Ends the workers; a call that waits for one fails. */
  close(): void {
    if (!this.force) return;
    forgotten?.unregister(this);
    dismiss(this.force);
    this.force = undefined;
  }
}
