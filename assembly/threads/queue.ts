// Fork and join in a memory that threads share: the calling thread posts a job of several tasks,
// every thread takes tasks until none is left, and the caller waits for the tasks that others still
// run.
//
// The queue is one block of memory, right behind the core's constants, which only shared builds
// have. Two counters carry the protocol, each in a cache line of its own:
//
//   remaining   tasks that nobody has taken; workers sleep on it while it is 0, and leave when it
//               is below 0
//   pending     tasks that nobody has finished; the caller sleeps on it
//
// A task is taken by lowering `remaining`, and only then are the job's words read. They cannot
// change before that task is finished, since the next job waits for `pending` to be 0. So a worker
// that wakes late takes a task of the job that is there then, or none. test/threads/model.test.ts
// tries every order of these steps.

/**
 * This is true in a build for a memory that threads share, which asc compiles with `--enable
 * threads`.
 *
 * @inline
 */
export const SHARED: bool = ASC_FEATURE_THREADS;

/**
 * A job calls such a function for each of its tasks, with the number of the thread that runs it;
 * the caller is thread 0.
 */
export type Task = (task: usize, thread: usize) => void;

/** @inline */
const REMAINING: usize = 0;
/** @inline */
const PENDING: usize = 64;
/** @inline */
const THREADS: usize = 128;
/** The word here is 1 if the calling thread may sleep; a page's main thread may not. @inline */
const MAY_SLEEP: usize = 132;
/** The word here is 0 until a worker fails. @inline */
const FAILED: usize = 136;
/** @inline */
const TASK: usize = 140;
/** The words of the job begin here. @constant queueWords @inline */
const WORDS: usize = 192;
/**
 * A job can leave at most this many float64 to its caller.
 *
 * @constant queueMostTerms @inline
 */
export const MOST_TERMS: usize = 8192;
/** The float64 that a job leaves begin here. @constant queueTerms @inline */
const TERMS: usize = 320;
/** @inline */
const BYTES: usize = TERMS + MOST_TERMS * sizeof<f64>();

/**
 * A thread reads a counter this many times, which takes some 20 µs, before it sleeps: to sleep and
 * wake costs as much.
 *
 * @inline
 */
const READS_BEFORE_SLEEP: u32 = 5000;
/** The caller sleeps for at most this many nanoseconds at a time. @inline */
const SLEEP_NANOSECONDS: i64 = 100_000_000;
/** After this many such sleeps in a row without a finished task, the caller gives up. @inline */
const MOST_TIMEOUTS: u32 = 10;
/**
 * A caller that may not sleep gives up after this many reads without a finished task, which take
 * some seconds.
 *
 * @inline
 */
const MOST_READS: u32 = 1_000_000_000;

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

/** Returns how many threads take tasks, 0 before the queue is opened. @inline */
export function threads(): usize {
  return SHARED ? <usize>load<u32>(queue(), THREADS) : 1;
}

/** Returns the address of the job's 128 bytes. @inline */
export function words(): usize {
  return queue() + WORDS;
}

/**
 * Returns the address of the float64 that a job leaves to its caller, who adds them up in order. If
 * each thread added up its own part, rounding would depend on the number of threads.
 */
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

/** Takes a task and runs it, and returns true; returns false if there is none. */
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

/**
 * Runs a task function for each task below count, on all threads; returns when all are done. Tasks
 * must not fork.
 */
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

/**
 * Waits until no task is pending. It traps if a worker has failed, or if no task is finished for
 * too long.
 */
function join(q: usize): void {
  let reads: u32 = 0;
  let timeouts: u32 = 0;
  let seen = atomic.load<i32>(q, PENDING);
  while (seen != 0) {
    if (atomic.load<i32>(q, FAILED) != 0) unreachable();
    if (load<u32>(q, MAY_SLEEP) == 0) {
      if (++reads == MOST_READS) unreachable();
    } else if (
      ++reads > READS_BEFORE_SLEEP &&
      atomic.wait<i32>(q + PENDING, seen, SLEEP_NANOSECONDS) == 2
    ) {
      if (++timeouts == MOST_TIMEOUTS) unreachable();
    }
    const pending = atomic.load<i32>(q, PENDING);
    if (pending != seen) {
      reads = 0;
      timeouts = 0;
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
  let reads: u32 = 0;
  while (true) {
    if (runOne(thread)) {
      reads = 0;
    } else if (atomic.load<i32>(q, REMAINING) < 0) {
      return;
    } else if (++reads > READS_BEFORE_SLEEP) {
      reads = 0;
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
