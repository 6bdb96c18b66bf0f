// One call on all threads: its elements, rows or columns are cut into ranges, and each range is a
// task. A kernel that may be split has a class for the words of its job, and begins with
//
//   if (SHARED && planSplit(N, cost)) {
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
// Either runs on a range as it runs on the whole: a range is too short to be split again. Where the
// cuts are depends on the sizes alone, and no sum crosses one, so the bits are those of one thread.

import { fork, terms, threads, words } from "./queue";

/**
 * A range function does what the call does, on one thread, for `count` elements, rows or columns
 * from number `from` on.
 */
export type Range = (from: usize, count: usize, thread: usize) => void;

/**
 * The first words of every job: its function, the number of its elements, rows or columns, and how
 * many of them a range has.
 */
@unmanaged
class Cut {
  range: u32;
  n: usize;
  each: usize;
}

/** The words of the kernel's own class begin here, so that a float64 is aligned. @inline */
const OWN: usize = 16;
/** @inline */
const OWN_BYTES: usize = 112;

/** Returns the words of the kernel that is split. @inline */
export function jobOf<Job>(): Job {
  if (offsetof<Job>() > OWN_BYTES) ERROR("a job has no more than 112 bytes");
  return changetype<Job>(words() + OWN);
}

/** Returns the address of the element of T that is this many further on. @inline */
export function at<T extends number>(address: usize, elements: usize): usize {
  return address + elements * sizeof<T>();
}

/**
 * A range costs as much as to read this many bytes and to write as many, which takes some 4 µs.
 *
 * @inline
 */
const RANGE: usize = 131072;
/**
 * A call that costs less than this many ranges stays on one thread: to wake a worker takes 15 µs,
 * and another processor does not have the operands in its cache.
 *
 * @inline
 */
const WORTH: u64 = 16;
/**
 * A call of fewer ranges is not split either. It is more than 1, so that a range is not split
 * again.
 *
 * @inline
 */
const FEW: usize = 4;

/**
 * Decides whether n elements, rows or columns are split into ranges of whole `unit`s (a power of
 * 2), and if so writes where they are cut and returns true; the caller then writes the words of the
 * job and calls `split`. The cost of one element, row or column is in bytes, as RANGE is. A kernel
 * whose operands another call has just written (an update, dw of a batch of 1, the second pass of
 * batch normalisation) names a fraction of its cost: to fetch them from the cache of the processor
 * that wrote them costs more than a second processor gains, until they are more than such a cache
 * holds.
 */
export function planSplit(n: usize, cost: usize, unit: usize = 1): bool {
  const each = max<usize>((RANGE / max<usize>(cost, 1)) & ~(unit - 1), unit);
  if (n < FEW * each || <u64>n * <u64>cost < WORTH * RANGE || threads() < 2) return false;
  cut(n, each);
  return true;
}

/** Writes where the next job is cut. */
export function cut(n: usize, each: usize): void {
  const job = changetype<Cut>(words());
  job.n = n;
  job.each = each;
}

/** Leaves what element `index` adds to a sum, for addTerms. @inline */
export function leaveTerm(index: usize, term: f64): void {
  store<f64>(terms() + (index << 3), term);
}

/** Returns sum + the first n terms, added one after the other, as one thread adds them. */
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

/**
 * A function of this type calls an elementwise kernel for n elements. Kernels without a third
 * operand or a number ignore y and `value`.
 */
export type Elements = (n: usize, out: usize, x: usize, y: usize, value: f64) => void;

@unmanaged
class ElementsJob {
  kernel: u32;
  out: usize;
  x: usize;
  y: usize;
  value: f64;
}

/**
 * Runs an elementwise kernel on all threads and returns true, if that is worth it; otherwise it
 * returns false. `cost` is what it is for planSplit.
 */
export function splitElements<T extends number>(
  kernel: Elements,
  n: usize,
  cost: usize,
  out: usize,
  x: usize,
  y: usize = 0,
  value: f64 = 0,
): bool {
  if (!planSplit(n, cost, 16)) return false;
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
