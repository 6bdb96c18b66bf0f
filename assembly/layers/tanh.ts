// tanh(x). Its derivative is computed from its result: 1 − out².

import { tanh } from "../math/tanh";
import { LANES, loadLanes, loadTail, storeLanes, storeTail } from "../simd";
import { SHARED } from "../threads/queue";
import { Elements, splitElements } from "../threads/split";

/** out may be x. @kernel @operation tanh */
export function tanhForward<T extends number>(out: usize, x: usize, n: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, out, x) => tanhForward<T>(out, x, n);
    if (splitElements<T>(kernel, n, 16 * sizeof<T>(), out, x)) return;
  }
  tanhRow<T>(out, x, n);
}

/** out = tanh(x) on one thread, as a part of a job has to compute it; out may be x. */
export function tanhRow<T extends number>(out: usize, x: usize, n: usize): void {
  // One loop has the whole vectors and the tail, so that its long body is compiled once.
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    storeLanes<T>(out, tanh<T>(loadLanes<T>(x, lanes)), lanes);
    x += 16;
    out += 16;
  }
}

/**
 * Returns dout · (1 − out²), with 1 − out² as (1 − out) · (1 + out), which keeps its digits where
 * out is near ±1.
 *
 * @inline
 */
function gradient<T extends number>(dout: v128, out: v128): v128 {
  const one = v128.splat<T>(<T>1);
  const factor = v128.mul<T>(v128.sub<T>(one, out), v128.add<T>(one, out));
  return v128.mul<T>(dout, factor);
}

/** dx = dout · (1 − out²). dx may be dout. @kernel */
export function tanhBackward<T extends number>(dx: usize, dout: usize, out: usize, n: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, dx, dout, out) => tanhBackward<T>(dx, dout, out, n);
    if (splitElements<T>(kernel, n, (3 * sizeof<T>()) / 2, dx, dout, out)) return;
  }
  const whole = n & ~(LANES<T>() - 1);
  const end = dout + whole * sizeof<T>();
  while (dout != end) {
    v128.store(dx, gradient<T>(v128.load(dout), v128.load(out)));
    dout += 16;
    out += 16;
    dx += 16;
  }
  const rest = n - whole;
  if (rest) storeTail<T>(dx, gradient<T>(loadTail<T>(dout, rest), loadTail<T>(out, rest)), rest);
}
