// Softmax (cross-entropy) loss: loss = −1/N Σₙ log softmax(x[n])[yₙ], dx = (softmax(x) − onehot(y)) / N.

import { LANES, loadTail, storeTail } from "../simd";
import { exp } from "../math/exp";
import { log } from "../math/log";

/** The row's maximum; a NaN in it is passed over, as its exponential makes a NaN of the row's sum. */
function rowMax<T>(x: usize, C: usize): T {
  let most = <T>-Infinity;
  for (let j: usize = 0; j < C; j++) {
    const v = load<T>(x + j * sizeof<T>());
    most = most < v ? v : most;
  }
  return most;
}

/** The two float64 sums that a vector of T adds to: its lanes in order of their index, mod 2. */
// @ts-ignore: decorator
@inline
function addLanes<T>(sum: v128, v: v128): v128 {
  if (sizeof<T>() == 8) return f64x2.add(sum, v);
  sum = f64x2.add(sum, f64x2.promote_low_f32x4(v));
  return f64x2.add(sum, f64x2.promote_low_f32x4(v128.shuffle<u64>(v, v, 1, 1)));
}

/** Σ exp(x − most) in float64; the exponentials go to e (C,). */
function expShifted<T>(e: usize, x: usize, most: T, C: usize): f64 {
  const shift = v128.splat<T>(most);
  const whole = C & ~(LANES<T>() - 1);
  let sum = f64x2.splat(0);
  let j: usize = 0;
  for (; j < whole; j += LANES<T>()) {
    const v = exp<T>(v128.sub<T>(v128.load(x + j * sizeof<T>()), shift));
    v128.store(e + j * sizeof<T>(), v);
    sum = addLanes<T>(sum, v);
  }
  if (j < C) {
    const at = j * sizeof<T>();
    const v = exp<T>(v128.sub<T>(loadTail<T>(x + at, C - j), shift));
    storeTail<T>(e + at, v, C - j);
    // From memory again: the lanes beyond the row are not zero in v.
    sum = addLanes<T>(sum, loadTail<T>(e + at, C - j));
  }
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

// @ts-ignore: decorator
@inline
function scaleRow<T>(e: usize, factor: T, C: usize): void {
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

/** Bytes of workspace for softmaxLoss: one row, for a call that leaves dx out. */
export function softmaxLossWorkBytes<T>(C: usize): usize {
  return C * sizeof<T>();
}

/** The loss; dx is not written where its address is 0. N ≥ 1, 0 ≤ y < C. dx overlaps nothing. */
export function softmaxLoss<T>(
  dx: usize, // (N, C)
  x: usize, // (N, C)
  y: usize, // (N,) int32
  work: usize,
  N: usize,
  C: usize,
): f64 {
  let loss: f64 = 0;
  for (let n: usize = 0; n < N; n++) {
    const row = n * C * sizeof<T>();
    const label = <usize>load<u32>(y + (n << 2)) * sizeof<T>();
    assert(label < C * sizeof<T>());
    const most = rowMax<T>(x + row, C);
    const e = dx == 0 ? work : dx + row;
    const sum = expShifted<T>(e, x + row, most, C);
    loss += log(sum) - (<f64>load<T>(x + row + label) - <f64>most);
    if (dx != 0) {
      const atLabel = <f64>load<T>(e + label);
      const total = sum * <f64>N;
      scaleRow<T>(e, <T>(1 / total), C);
      store<T>(e + label, <T>((atLabel - sum) / total));
    }
  }
  return loss / <f64>N;
}
