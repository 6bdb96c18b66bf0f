// Stochastic gradient descent with momentum, in the form of the CS231n course (Polyak, 1964):
// v = momentum · v − learningRate · dw, then w = w + v.

import { LANES, loadLanes, storeLanes } from "../simd";

// @ts-ignore: decorator
@inline
function step<T>(w: usize, v: usize, dw: usize, rate: v128, momentum: v128, n: usize): void {
  const gradient = v128.mul<T>(rate, loadLanes<T>(dw, n));
  const velocity = v128.sub<T>(v128.mul<T>(momentum, loadLanes<T>(v, n)), gradient);
  storeLanes<T>(v, velocity, n);
  storeLanes<T>(w, v128.add<T>(loadLanes<T>(w, n), velocity), n);
}

/** w (n,) and v (n,) are updated in place. Rate and momentum are rounded to T once. */
export function sgdMomentum<T>(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learningRate: f64,
  momentum: f64,
): void {
  const rate = v128.splat<T>(<T>learningRate);
  const mu = v128.splat<T>(<T>momentum);
  const end = w + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  while (w != end) {
    step<T>(w, v, dw, rate, mu, LANES<T>());
    w += 16;
    v += 16;
    dw += 16;
  }
  const rest = n & (LANES<T>() - 1);
  if (rest) step<T>(w, v, dw, rate, mu, rest);
}
