// Vectors with vectors, by BLAS' names and argument order without the increments, which are all 1.

import {
  LANES,
  loadLanes,
  loadTail,
  multiplyAdd,
  storeLanes,
  storeTail,
  widenHigh,
  widenLow,
} from "../simd";
import { SHARED } from "../threads/queue";
import { Elements, splitElements } from "../threads/split";

/** @inline */
function addScaled<T extends number>(alpha: v128, x: usize, y: usize, n: usize): void {
  storeLanes<T>(y, multiplyAdd<T>(alpha, loadLanes<T>(x, n), loadLanes<T>(y, n)), n);
}

/** y (n,) += alpha · x (n,); alpha is rounded to T once. y may be x. @kernel */
export function axpy<T extends number>(n: usize, alpha: f64, x: usize, y: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, x, y, _z, alpha) => axpy<T>(n, alpha, x, y);
    if (splitElements<T>(kernel, n, sizeof<T>() / 4, x, y, 0, alpha)) return;
  }
  const a = v128.splat<T>(<T>alpha);
  const end = x + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  while (x != end) {
    addScaled<T>(a, x, y, LANES<T>());
    x += 16;
    y += 16;
  }
  const rest = n & (LANES<T>() - 1);
  if (rest) addScaled<T>(a, x, y, rest);
}

/** x (n,) = alpha · x; alpha is rounded to T once. @kernel */
export function scal<T extends number>(n: usize, alpha: f64, x: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, x, _y, _z, alpha) => scal<T>(n, alpha, x);
    if (splitElements<T>(kernel, n, sizeof<T>() / 4, x, 0, 0, alpha)) return;
  }
  const a = v128.splat<T>(<T>alpha);
  const end = x + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  while (x != end) {
    v128.store(x, v128.mul<T>(a, v128.load(x)));
    x += 16;
  }
  const rest = n & (LANES<T>() - 1);
  if (rest) storeTail<T>(x, v128.mul<T>(a, loadTail<T>(x, rest)), rest);
}

/**
 * Returns sum + the first two products of a and b, in float64. The products are exact if T is
 * float32.
 *
 * @inline
 */
function addLow<T extends number>(sum: v128, a: v128, b: v128): v128 {
  return multiplyAdd<f64>(widenLow<T>(a), widenLow<T>(b), sum);
}

/** Returns sum + the other two products of a and b, for float32 alone. @inline */
function addHigh(sum: v128, a: v128, b: v128): v128 {
  return multiplyAdd<f64>(widenHigh(a), widenHigh(b), sum);
}

/**
 * Returns Σ x · y in float64 for either dtype. Eight sums take every eighth term each and are added
 * up in pairs; the terms beyond the last eight follow. x may be y, for the sum of squares.
 *
 * @kernel
 */
export function dot<T extends number>(n: usize, x: usize, y: usize): f64 {
  let s01 = f64x2.splat(0);
  let s23 = s01;
  let s45 = s01;
  let s67 = s01;
  const end = x + (n & ~7) * sizeof<T>();
  while (x != end) {
    if (sizeof<T>() == 8) {
      s01 = addLow<T>(s01, v128.load(x), v128.load(y));
      s23 = addLow<T>(s23, v128.load(x, 16), v128.load(y, 16));
      s45 = addLow<T>(s45, v128.load(x, 32), v128.load(y, 32));
      s67 = addLow<T>(s67, v128.load(x, 48), v128.load(y, 48));
    } else {
      const a = v128.load(x);
      const b = v128.load(y);
      s01 = addLow<T>(s01, a, b);
      s23 = addHigh(s23, a, b);
      const c = v128.load(x, 16);
      const d = v128.load(y, 16);
      s45 = addLow<T>(s45, c, d);
      s67 = addHigh(s67, c, d);
    }
    x += 8 * sizeof<T>();
    y += 8 * sizeof<T>();
  }
  const pairs = f64x2.add(f64x2.add(s01, s45), f64x2.add(s23, s67));
  let sum = f64x2.extract_lane(pairs, 0) + f64x2.extract_lane(pairs, 1);
  for (let i: usize = 0; i < (n & 7); i++) {
    const at = i * sizeof<T>();
    sum += <f64>load<T>(x + at) * <f64>load<T>(y + at);
  }
  return sum;
}
