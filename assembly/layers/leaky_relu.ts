// Leaky ReLU: x where it is above 0, and x · negativeSlope elsewhere. Its derivative at 0 is the
// slope.

import { LANES, loadTail, storeTail } from "../simd";
import { SHARED } from "../threads/queue";
import { Elements, splitElements } from "../threads/split";

/** Returns v where x > 0, and v · slope elsewhere. @inline */
function leak<T extends number>(v: v128, x: v128, slope: v128): v128 {
  return v128.bitselect(v, v128.mul<T>(v, slope), v128.gt<T>(x, v128.splat<T>(<T>0)));
}

/** out may be x. The slope is rounded to T once. @kernel @operation leakyRelu */
export function leakyReluForward<T extends number>(
  out: usize,
  x: usize,
  n: usize,
  negativeSlope: f64,
): void {
  leakyReluBackward<T>(out, x, x, n, negativeSlope);
}

/**
 * dx = dout where x > 0, else dout · negativeSlope. dx may be dout. With a slope of 0 or more, the
 * forward's out serves as x: it is above 0 where x was.
 *
 * @kernel
 */
export function leakyReluBackward<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
  negativeSlope: f64,
): void {
  if (SHARED) {
    const kernel: Elements = (n, dx, dout, x, negativeSlope) =>
      leakyReluBackward<T>(dx, dout, x, n, negativeSlope);
    if (splitElements<T>(kernel, n, (3 * sizeof<T>()) / 2, dx, dout, x, negativeSlope)) return;
  }
  const slope = v128.splat<T>(<T>negativeSlope);
  const whole = n & ~(LANES<T>() - 1);
  const end = dout + whole * sizeof<T>();
  while (dout != end) {
    v128.store(dx, leak<T>(v128.load(dout), v128.load(x), slope));
    dout += 16;
    x += 16;
    dx += 16;
  }
  const rest = n - whole;
  if (rest) storeTail<T>(dx, leak<T>(loadTail<T>(dout, rest), loadTail<T>(x, rest), slope), rest);
}
