// Functions of rows: their largest value, and exponentials and their sum.

import { LANES, loadLanes, loadTail, storeLanes, storeTail } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";
import { exp } from "./exp";

/** Returns the row's largest value, or −∞ if there is none. A NaN is passed over. */
export function rowMax<T extends number>(x: usize, C: usize): T {
  let most = <T>-Infinity;
  for (let j: usize = 0; j < C; j++) {
    const v = load<T>(x + j * sizeof<T>());
    most = most < v ? v : most;
  }
  return most;
}

@unmanaged
class RowsJob {
  out: usize;
  x: usize;
  C: usize;
}

/**
 * Writes the index of each row's largest value, the first of equal ones. A NaN counts as the
 * largest. C ≥ 1.
 *
 * @kernel
 */
export function argmax<T extends number>(
  out: usize, // (N,) int32
  x: usize, // (N, C)
  N: usize,
  C: usize,
): void {
  assert(C > 0);
  if (SHARED && planSplit(N, 8 * C * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.out = out;
    job.x = x;
    job.C = C;
    split((from, N) => {
      const job = jobOf<RowsJob>();
      argmax<T>(at<i32>(job.out, from), at<T>(job.x, from * job.C), N, job.C);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    let most = load<T>(x);
    let at: usize = 0;
    // Once `most` is a NaN, nothing is above it.
    for (let j: usize = 1; j < C; j++) {
      const v = load<T>(x + j * sizeof<T>());
      if (v > most || (v != v && most == most)) {
        most = v;
        at = j;
      }
    }
    store<i32>(out + (n << 2), <i32>at);
    x += C * sizeof<T>();
  }
}

/**
 * Adds the lanes of a vector of T to two float64 sums, in order: those with an even index to the
 * first.
 *
 * @inline
 */
function addLanes<T extends number>(sum: v128, v: v128): v128 {
  if (sizeof<T>() == 8) return f64x2.add(sum, v);
  sum = f64x2.add(sum, f64x2.promote_low_f32x4(v));
  return f64x2.add(sum, f64x2.promote_low_f32x4(v128.shuffle<u64>(v, v, 1, 1)));
}

/** Returns Σ exp(x − most) in float64, and writes the exponentials to e (C,), which may be x. */
export function expShifted<T extends number>(e: usize, x: usize, most: T, C: usize): f64 {
  const shift = v128.splat<T>(most);
  let sum = f64x2.splat(0);
  // One loop has the whole vectors and the tail, so that its long body is compiled once.
  for (let j: usize = 0; j < C; j += LANES<T>()) {
    const at = j * sizeof<T>();
    const lanes = min(C - j, LANES<T>());
    let v = exp<T>(v128.sub<T>(loadLanes<T>(x + at, lanes), shift));
    storeLanes<T>(e + at, v, lanes);
    // The lanes beyond the row are not 0 in v, and so the tail is loaded again.
    if (lanes < LANES<T>()) v = loadTail<T>(e + at, lanes);
    sum = addLanes<T>(sum, v);
  }
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** Multiplies e (C,) by a factor. @inline */
export function scaleRow<T extends number>(e: usize, factor: T, C: usize): void {
  const f = v128.splat<T>(factor);
  const whole = C & ~(LANES<T>() - 1);
  let j: usize = 0;
  for (; j < whole; j += LANES<T>()) {
    const p = e + j * sizeof<T>();
    v128.store(p, v128.mul<T>(v128.load(p), f));
  }
  if (j < C) {
    const p = e + j * sizeof<T>();
    storeTail<T>(p, v128.mul<T>(loadTail<T>(p, C - j), f), C - j);
  }
}
