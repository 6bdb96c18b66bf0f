// ReLU: max(0, x). Its derivative is 0 at 0.

import { LANES, loadTail, storeTail } from "../simd";
import { SHARED } from "../threads/queue";
import { Elements, splitElements } from "../threads/split";

/**
 * Returns max(0, x). pmax(x, 0) is x < 0 ? 0 : x, which keeps a NaN; adding 0 turns −0 into 0, as
 * maximum(0, −0) does.
 *
 * @inline
 */
function relu<T extends number>(x: v128): v128 {
  const zero = v128.splat<T>(<T>0);
  return v128.add<T>(v128.pmax<T>(x, zero), zero);
}

/** out may be x. @kernel @operation relu */
export function reluForward<T extends number>(out: usize, x: usize, n: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, out, x) => reluForward<T>(out, x, n);
    if (splitElements<T>(kernel, n, sizeof<T>(), out, x)) return;
  }
  const whole = n & ~(LANES<T>() - 1);
  const end = x + whole * sizeof<T>();
  while (x != end) {
    v128.store(out, relu<T>(v128.load(x)));
    x += 16;
    out += 16;
  }
  const rest = n - whole;
  if (rest) storeTail<T>(out, relu<T>(loadTail<T>(x, rest)), rest);
}

/** Returns dout where x > 0, and 0 elsewhere. A NaN in x gives 0, one in dout stays. @inline */
function gate<T extends number>(dout: v128, x: v128): v128 {
  return v128.and(dout, v128.gt<T>(x, v128.splat<T>(<T>0)));
}

/** dx may be dout. @kernel */
export function reluBackward<T extends number>(dx: usize, dout: usize, x: usize, n: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, dx, dout, x) => reluBackward<T>(dx, dout, x, n);
    if (splitElements<T>(kernel, n, (3 * sizeof<T>()) / 2, dx, dout, x)) return;
  }
  const whole = n & ~(LANES<T>() - 1);
  const end = x + whole * sizeof<T>();
  while (x != end) {
    v128.store(dx, gate<T>(v128.load(dout), v128.load(x)));
    x += 16;
    dout += 16;
    dx += 16;
  }
  const rest = n - whole;
  if (rest) storeTail<T>(dx, gate<T>(loadTail<T>(dout, rest), loadTail<T>(x, rest)), rest);
}
