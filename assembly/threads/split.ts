// One call on all threads: its elements, rows or columns are cut into ranges, and each range is a task. A kernel that may be
// split has a class for the words of its job, and begins with
//
//   if (SHARED && splits(N, cost)) {
//     const job = jobOf<RowsJob>();
//     job.x = x;
//     job.C = C;
//     split((from, N) => {
//       const job = jobOf<RowsJob>();
//       kernel<T>(at<T>(job.x, from * job.C), N, job.C);
//     });
//     return;
//   }
//
// An elementwise one says no more than how it is called for n elements:
//
//   if (SHARED) {
//     const kernel: Elements = (n, out, x) => reluForward<T>(out, x, n);
//     if (splitElements<T>(kernel, n, cost, out, x)) return;
//   }
//
// Either runs on a range as it runs on the whole: a range is too short to be split again. Where the cuts are depends
// on the sizes alone, and no sum crosses one, so the bits are those of one thread.

import { fork, terms, threads, words } from "./queue";

/** What a call does for `count` elements, rows or columns from number `from` on, on a thread. */
export type Range = (from: usize, count: usize, thread: usize) => void;

/** The first words of every job: its function, its elements, rows or columns, and how many a range has. */
@unmanaged
class Cut {
  range: u32;
  n: usize;
  each: usize;
}

/** Where the words of the kernel's own class begin, aligned to a float64. @inline */
const OWN: usize = 16;
/** @inline */
const OWN_BYTES: usize = 112;

/** The words of the kernel that is split. @inline */
export function jobOf<Job>(): Job {
  if (offsetof<Job>() > OWN_BYTES) ERROR("a job has no more than 112 bytes");
  return changetype<Job>(words() + OWN);
}

/** The address of so many elements of T further on. @inline */
export function at<T extends number>(address: usize, elements: usize): usize {
  return address + elements * sizeof<T>();
}

/**
 * What a range costs: as much as to read this many bytes and to write as many, some 4 µs.
 *
 * @inline
 */
const RANGE: usize = 131072;
/**
 * Calls that cost less than so many ranges stay on one thread: to wake a worker takes 15 µs, and what is in this core's cache is not in another's.
 *
 * @inline
 */
const WORTH: u64 = 16;
/**
 * Fewer ranges than these are not worth it either. More than one: a range is not split again.
 *
 * @inline
 */
const FEW: usize = 4;

/**
 * Whether n elements, rows or columns are shared among threads, in ranges of whole `unit`s (a power of 2). The cost of one is in
 * the bytes that RANGE is in. Where it says so, the words of the job and split follow. Kernels whose operands another call has just written
 * (updates, dw of a batch of 1, the second pass of batch normalisation) name a fraction of theirs: to fetch what lies in the cache of
 * the core that wrote it costs more than a second core gains, until it is more than such a cache holds.
 */
export function splits(n: usize, cost: usize, unit: usize = 1): bool {
  const each = max<usize>((RANGE / max<usize>(cost, 1)) & ~(unit - 1), unit);
  if (n < FEW * each || <u64>n * <u64>cost < WORTH * RANGE || threads() < 2) return false;
  cut(n, each);
  return true;
}

/** Where the next job is cut. */
export function cut(n: usize, each: usize): void {
  const job = changetype<Cut>(words());
  job.n = n;
  job.each = each;
}

/** Leaves what `index` adds to a sum, for addTerms. @inline */
export function leaveTerm(index: usize, term: f64): void {
  store<f64>(terms() + (index << 3), term);
}

/** sum + the first n terms, one after the other, as one thread adds them. */
export function addTerms(sum: f64, n: usize): f64 {
  const end = terms() + (n << 3);
  for (let p = terms(); p != end; p += 8) sum += load<f64>(p);
  return sum;
}

/** Runs a range function on all ranges, on all threads; returns when all are done. */
export function split(range: Range): void {
  const job = changetype<Cut>(words());
  job.range = range.index;
  fork(runRange, (job.n + job.each - 1) / job.each);
}

function runRange(task: usize, thread: usize): void {
  const job = changetype<Cut>(words());
  const from = task * job.each;
  call_indirect<void>(job.range, from, min(job.n - from, job.each), thread);
}

/** What an elementwise kernel does for n elements; y and a number only where it has them. */
export type Elements = (n: usize, out: usize, x: usize, y: usize, value: f64) => void;

@unmanaged
class ElementsJob {
  kernel: u32;
  out: usize;
  x: usize;
  y: usize;
  value: f64;
}

/** Runs an elementwise kernel on all threads, and returns true, where that is worth it; `cost` is as in splits. */
export function splitElements<T extends number>(
  kernel: Elements,
  n: usize,
  cost: usize,
  out: usize,
  x: usize,
  y: usize = 0,
  value: f64 = 0,
): bool {
  if (!splits(n, cost, 16)) return false;
  const job = jobOf<ElementsJob>();
  job.kernel = kernel.index;
  job.out = out;
  job.x = x;
  job.y = y;
  job.value = value;
  split((from, n) => {
    const job = jobOf<ElementsJob>();
    const out = at<T>(job.out, from);
    const x = at<T>(job.x, from);
    const y = at<T>(job.y, from);
    call_indirect<void>(job.kernel, n, out, x, y, job.value);
  });
  return true;
}
