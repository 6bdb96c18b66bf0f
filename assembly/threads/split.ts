// One call on all threads: its elements, rows or columns are cut into ranges, and each range is a task. A kernel that may be
// split begins with
//
//   if (SHARED && splits(n, cost)) {
//     pass(out, x);
//     split((from, n) => kernel<T>(at<T>(0, from), at<T>(1, from), n));
//     return;
//   }
//
// and runs on a range as it runs on the whole: a range is too short to be split again. Where the cuts are depends
// on the sizes alone, and no sum crosses one, so the bits are those of one thread.

import { fork, terms, threads, words } from "./queue";

/** What a call does for `count` elements, rows or columns from number `from` on, on a thread. */
export type Range = (from: usize, count: usize, thread: usize) => void;

// The job's words: the function and where it is cut, 13 whole numbers, 7 float64.
/** @inline */
const WHOLE: usize = 12;
/** @inline */
const NUMBERS: usize = 64;

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
 * the bytes that RANGE is in. Where it says so, pass and split follow. Kernels whose operands another call has just written
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
  const w = words();
  store<u32>(w, n, 4);
  store<u32>(w, each, 8);
}

/** The whole numbers of the call: sizes, and the addresses that a range begins from. */
export function pass(
  a: usize,
  b: usize = 0,
  c: usize = 0,
  d: usize = 0,
  e: usize = 0,
  f: usize = 0,
  g: usize = 0,
  h: usize = 0,
  i: usize = 0,
  j: usize = 0,
  k: usize = 0,
  l: usize = 0,
  m: usize = 0,
): void {
  const w = words() + WHOLE;
  store<u32>(w, a);
  store<u32>(w, b, 4);
  store<u32>(w, c, 8);
  store<u32>(w, d, 12);
  store<u32>(w, e, 16);
  store<u32>(w, f, 20);
  store<u32>(w, g, 24);
  store<u32>(w, h, 28);
  store<u32>(w, i, 32);
  store<u32>(w, j, 36);
  store<u32>(w, k, 40);
  store<u32>(w, l, 44);
  store<u32>(w, m, 48);
}

/** Its other numbers. */
export function passNumbers(
  a: f64,
  b: f64 = 0,
  c: f64 = 0,
  d: f64 = 0,
  e: f64 = 0,
  f: f64 = 0,
  g: f64 = 0,
): void {
  const w = words() + NUMBERS;
  store<f64>(w, a);
  store<f64>(w, b, 8);
  store<f64>(w, c, 16);
  store<f64>(w, d, 24);
  store<f64>(w, e, 32);
  store<f64>(w, f, 40);
  store<f64>(w, g, 48);
}

/** The whole number i. @inline */
export function arg(i: usize): usize {
  return <usize>load<u32>(words() + WHOLE + 4 * i);
}

/** The address i, moved on by so many elements of T. @inline */
export function at<T extends number>(i: usize, elements: usize): usize {
  return arg(i) + elements * sizeof<T>();
}

/** The other number i. @inline */
export function number(i: usize): f64 {
  return load<f64>(words() + NUMBERS + 8 * i);
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
  const w = words();
  store<u32>(w, range.index);
  const n = <usize>load<u32>(w, 4);
  const each = <usize>load<u32>(w, 8);
  fork(runRange, (n + each - 1) / each);
}

function runRange(task: usize, thread: usize): void {
  const w = words();
  const n = <usize>load<u32>(w, 4);
  const each = <usize>load<u32>(w, 8);
  const from = task * each;
  call_indirect<void>(load<u32>(w), from, min(n - from, each), thread);
}
