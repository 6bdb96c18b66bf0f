// 1 / (1 + exp(−x)), and its gradient from what it gave: out · (1 − out).

import { sigmoid } from "../math/sigmoid";
import { LANES, loadLanes, loadTail, storeLanes, storeTail } from "../simd";

/** out may be x. */
export function sigmoidForward<T>(out: usize, x: usize, n: usize): void {
  // One loop for the whole vectors and the tail, so that the long body is there once.
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    storeLanes<T>(out, sigmoid<T>(loadLanes<T>(x, lanes)), lanes);
    x += 16;
    out += 16;
  }
}

// @ts-ignore: decorator
@inline
function slope<T>(dout: v128, out: v128): v128 {
  const factor = v128.mul<T>(out, v128.sub<T>(v128.splat<T>(1), out));
  return v128.mul<T>(dout, factor);
}

/** dx = dout · out · (1 − out). dx may be dout. */
export function sigmoidBackward<T>(dx: usize, dout: usize, out: usize, n: usize): void {
  const whole = n & ~(LANES<T>() - 1);
  const end = dout + whole * sizeof<T>();
  while (dout != end) {
    v128.store(dx, slope<T>(v128.load(dout), v128.load(out)));
    dout += 16;
    out += 16;
    dx += 16;
  }
  const rest = n - whole;
  if (rest) storeTail<T>(dx, slope<T>(loadTail<T>(dout, rest), loadTail<T>(out, rest)), rest);
}
