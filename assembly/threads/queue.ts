// Fork and join in a memory that threads share: the calling thread posts a job of so many tasks, every thread takes
// tasks until none is left, and the caller waits for those that others still run.
//
// The queue is one block, the first behind the core's constants, in shared builds alone. Two counters carry the
// protocol, each in a cache line of its own:
//
//   remaining   tasks that nobody has taken; workers sleep on it while it is 0, and leave when it is below
//   pending     tasks that nobody has finished; the caller sleeps on it
//
// A task is taken by lowering `remaining`, and only then are the job's words read. They cannot change before that task is
// finished, since the next job waits for `pending` to be 0. So a worker that wakes late takes a task of whatever job there is
// then, or none. test/threads/model.test.ts tries every order of these steps.

/**
 * Whether this build works on a memory that threads share: one that asc compiles with `--enable threads`.
 *
 * @inline
 */
export const SHARED: bool = ASC_FEATURE_THREADS;

/** What a job calls for each of its tasks, with the number of the thread that runs it: 0 is the caller. */
export type Task = (task: usize, thread: usize) => void;

/** @inline */
const REMAINING: usize = 0;
/** @inline */
const PENDING: usize = 64;
/** @inline */
const THREADS: usize = 128;
/** Whether the calling thread may sleep: a page's main thread may not. @inline */
const MAY_SLEEP: usize = 132;
/** Not 0 once a worker has failed. @inline */
const FAILED: usize = 136;
/** @inline */
const TASK: usize = 140;
/** The job's own words. @inline */
const WORDS: usize = 192;
/** How many float64 a job can leave to its caller. @inline */
export const MOST_TERMS: usize = 8192;
/** @inline */
const TERMS: usize = 320;
/** @inline */
const BYTES: usize = TERMS + MOST_TERMS * sizeof<f64>();

/** So many looks at a counter, some 20 µs, before going to sleep, which costs as much. @inline */
const LOOKS: u32 = 5000;
/**
 * Nanoseconds of one sleep of the caller, and how many in a row without a finished task mean that none will come.
 *
 * @inline
 */
const NAP: i64 = 100_000_000;
/** @inline */
const NAPS: u32 = 10;
/**
 * The same for a caller that may not sleep, in looks: at a few nanoseconds each some seconds.
 *
 * @inline
 */
const LOOKS_IN_VAIN: u32 = 1_000_000_000;

/** @inline */
function queue(): usize {
  return (__heap_base + 63) & ~63;
}

/**
 * The first byte of the memory that neither constants nor the queue of a shared build take.
 *
 * @kernel @serving
 */
export function heapBase(): usize {
  return SHARED ? queue() + BYTES : __heap_base;
}

/** How many threads take tasks; 0 before the queue is opened. @inline */
export function threads(): usize {
  return SHARED ? <usize>load<u32>(queue(), THREADS) : 1;
}

/** Where a job's words are, 128 bytes. @inline */
export function words(): usize {
  return queue() + WORDS;
}

/** Where a job leaves what its caller adds up in order, float64: a sum of which every thread has a part would be another sum. */
export function terms(): usize {
  return queue() + TERMS;
}

/**
 * Sets the queue up for this many threads, the caller among them, before any worker runs.
 *
 * @kernel @shared
 */
export function threadsOpen(threads: u32, maySleep: bool): void {
  memory.fill(queue(), 0, BYTES);
  store<u32>(queue(), threads, THREADS);
  store<u32>(queue(), <u32>maySleep, MAY_SLEEP);
}

/** Takes a task and runs it; false where there is none. */
function runOne(thread: usize): bool {
  const q = queue();
  let remaining = atomic.load<i32>(q, REMAINING);
  while (remaining > 0) {
    const before = atomic.cmpxchg<i32>(q, remaining, remaining - 1, REMAINING);
    if (before == remaining) {
      call_indirect<void>(load<u32>(q, TASK), <usize>(remaining - 1), thread);
      if (atomic.sub<i32>(q, 1, PENDING) == 1) atomic.notify(q + PENDING, 1);
      return true;
    }
    remaining = before;
  }
  return false;
}

/** Runs a task function for each task below count, on all threads; returns when all are done. Tasks must not fork. */
export function fork(task: Task, count: usize): void {
  const q = queue();
  if (atomic.load<i32>(q, FAILED) != 0) unreachable();
  store<u32>(q, task.index, TASK);
  atomic.store<i32>(q, <i32>count, PENDING);
  atomic.store<i32>(q, <i32>count, REMAINING);
  atomic.notify(q + REMAINING, <i32>count - 1);
  while (runOne(0)) {}
  join(q);
}

/** Waits until no task is pending. Traps where a worker has failed, or where nothing more is finished. */
function join(q: usize): void {
  let looks: u32 = 0;
  let naps: u32 = 0;
  let seen = atomic.load<i32>(q, PENDING);
  while (seen != 0) {
    if (atomic.load<i32>(q, FAILED) != 0) unreachable();
    if (load<u32>(q, MAY_SLEEP) == 0) {
      if (++looks == LOOKS_IN_VAIN) unreachable();
    } else if (++looks > LOOKS && atomic.wait<i32>(q + PENDING, seen, NAP) == 2) {
      if (++naps == NAPS) unreachable();
    }
    const pending = atomic.load<i32>(q, PENDING);
    if (pending != seen) {
      looks = 0;
      naps = 0;
      seen = pending;
    }
  }
}

/**
 * Runs tasks on a worker, whose number is from 1 up, until the queue is closed.
 *
 * @kernel @shared
 */
export function threadsWork(thread: usize): void {
  const q = queue();
  let looks: u32 = 0;
  while (true) {
    if (runOne(thread)) {
      looks = 0;
    } else if (atomic.load<i32>(q, REMAINING) < 0) {
      return;
    } else if (++looks > LOOKS) {
      looks = 0;
      atomic.wait<i32>(q + REMAINING, 0, -1);
    }
  }
}

/** Lets all workers leave; no job is posted from here on. @kernel @shared */
export function threadsClose(): void {
  atomic.store<i32>(queue(), -1, REMAINING);
  atomic.notify(queue() + REMAINING, -1);
}

/**
 * Tells a caller who waits that a worker has died without finishing its task: the caller traps.
 *
 * @kernel @shared
 */
export function threadsFail(): void {
  atomic.store<i32>(queue(), 1, FAILED);
  atomic.notify(queue() + PENDING, -1);
}
