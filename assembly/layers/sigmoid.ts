// 1 / (1 + exp(−x)), and its gradient from what it gave: out · (1 − out).

import { sigmoid } from "../math/sigmoid";
import { LANES, loadLanes, loadTail, storeLanes, storeTail } from "../simd";
import { SHARED } from "../threads/queue";
import { at, pass, split, splits } from "../threads/split";

/** out may be x. @kernel @operation sigmoid */
export function sigmoidForward<T extends number>(out: usize, x: usize, n: usize): void {
  if (SHARED && splits(n, 16 * sizeof<T>(), 16)) {
    pass(out, x);
    split((from, n) => sigmoidForward<T>(at<T>(0, from), at<T>(1, from), n));
    return;
  }
  // One loop for the whole vectors and the tail, so that the long body is there once.
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    storeLanes<T>(out, sigmoid<T>(loadLanes<T>(x, lanes)), lanes);
    x += 16;
    out += 16;
  }
}

/** @inline */
function slope<T extends number>(dout: v128, out: v128): v128 {
  const factor = v128.mul<T>(out, v128.sub<T>(v128.splat<T>(<T>1), out));
  return v128.mul<T>(dout, factor);
}

/** dx = dout · out · (1 − out). dx may be dout. @kernel */
export function sigmoidBackward<T extends number>(
  dx: usize,
  dout: usize,
  out: usize,
  n: usize,
): void {
  if (SHARED && splits(n, (3 * sizeof<T>()) / 2, 16)) {
    pass(dx, dout, out);
    split((from, n) => sigmoidBackward<T>(at<T>(0, from), at<T>(1, from), at<T>(2, from), n));
    return;
  }
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
