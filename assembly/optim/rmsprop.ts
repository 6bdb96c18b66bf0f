// RMSprop (Tieleman and Hinton, Coursera lecture 6.5, 2012): each step is divided by the root of a
// moving mean of squares.

import { LANES, loadLanes, square, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

/** @inline */
function step<T extends number>(
  w: usize,
  cache: usize,
  dw: usize,
  rate: v128,
  decay: v128,
  fresh: v128,
  eps: v128,
  n: usize,
): void {
  const g = loadLanes<T>(dw, n);
  const squares = v128.mul<T>(square<T>(g), fresh);
  const mean = v128.add<T>(v128.mul<T>(decay, loadLanes<T>(cache, n)), squares);
  storeLanes<T>(cache, mean, n);
  const root = v128.add<T>(v128.sqrt<T>(mean), eps);
  const move = v128.div<T>(v128.mul<T>(rate, g), root);
  storeLanes<T>(w, v128.sub<T>(loadLanes<T>(w, n), move), n);
}

@unmanaged
class RmspropJob {
  w: usize;
  cache: usize;
  dw: usize;
  learningRate: f64;
  decayRate: f64;
  eps: f64;
}

/**
 * cache = decayRate · cache + (1 − decayRate) · dw², then w −= learningRate · dw / (√cache + eps).
 * w (n,) and cache (n,) are updated in place. 1 − decayRate is taken in float64; all numbers are
 * rounded to T once.
 *
 * @kernel
 */
export function rmsprop<T extends number>(
  w: usize,
  cache: usize,
  dw: usize,
  n: usize,
  learningRate: f64,
  decayRate: f64,
  eps: f64,
): void {
  if (SHARED && planSplit(n, sizeof<T>() / 2, 16)) {
    const job = jobOf<RmspropJob>();
    job.w = w;
    job.cache = cache;
    job.dw = dw;
    job.learningRate = learningRate;
    job.decayRate = decayRate;
    job.eps = eps;
    split((from, n) => {
      const job = jobOf<RmspropJob>();
      const w = at<T>(job.w, from);
      const cache = at<T>(job.cache, from);
      const dw = at<T>(job.dw, from);
      rmsprop<T>(w, cache, dw, n, job.learningRate, job.decayRate, job.eps);
    });
    return;
  }
  const rate = v128.splat<T>(<T>learningRate);
  const decay = v128.splat<T>(<T>decayRate);
  const fresh = v128.splat<T>(<T>(1 - decayRate));
  const floor = v128.splat<T>(<T>eps);
  const end = w + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  while (w != end) {
    step<T>(w, cache, dw, rate, decay, fresh, floor, LANES<T>());
    w += 16;
    cache += 16;
    dw += 16;
  }
  const rest = n & (LANES<T>() - 1);
  if (rest) step<T>(w, cache, dw, rate, decay, fresh, floor, rest);
}
