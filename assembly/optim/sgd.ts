// Stochastic gradient descent: plain, with momentum (Polyak, 1964) and with Nesterov's, in the form
// of the CS231n course, where a velocity points downhill: v = momentum · v − learningRate · dw.
// PyTorch's momentum buffer is −v / learningRate.

import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, Elements, jobOf, planSplit, split, splitElements } from "../threads/split";

/** @inline */
function descend<T extends number>(w: usize, dw: usize, rate: v128, n: usize): void {
  const step = v128.mul<T>(rate, loadLanes<T>(dw, n));
  storeLanes<T>(w, v128.sub<T>(loadLanes<T>(w, n), step), n);
}

/** w (n,) −= learningRate · dw (n,). Numbers are rounded to T once, here and below. @kernel */
export function sgd<T extends number>(w: usize, dw: usize, n: usize, learningRate: f64): void {
  if (SHARED) {
    const kernel: Elements = (n, w, dw, _y, learningRate) => sgd<T>(w, dw, n, learningRate);
    if (splitElements<T>(kernel, n, sizeof<T>() / 4, w, dw, 0, learningRate)) return;
  }
  const rate = v128.splat<T>(<T>learningRate);
  const end = w + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  while (w != end) {
    descend<T>(w, dw, rate, LANES<T>());
    w += 16;
    dw += 16;
  }
  const rest = n & (LANES<T>() - 1);
  if (rest) descend<T>(w, dw, rate, rest);
}

/** @inline */
function roll<T extends number>(
  w: usize,
  v: usize,
  dw: usize,
  rate: v128,
  momentum: v128,
  nesterov: bool,
  n: usize,
): void {
  const step = v128.mul<T>(rate, loadLanes<T>(dw, n));
  const velocity = v128.sub<T>(v128.mul<T>(momentum, loadLanes<T>(v, n)), step);
  storeLanes<T>(v, velocity, n);
  const move = nesterov ? v128.sub<T>(v128.mul<T>(momentum, velocity), step) : velocity;
  storeLanes<T>(w, v128.add<T>(loadLanes<T>(w, n), move), n);
}

/** @inline */
function rollAll<T extends number>(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learningRate: f64,
  momentum: f64,
  nesterov: bool,
): void {
  const rate = v128.splat<T>(<T>learningRate);
  const mu = v128.splat<T>(<T>momentum);
  const end = w + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  while (w != end) {
    roll<T>(w, v, dw, rate, mu, nesterov, LANES<T>());
    w += 16;
    v += 16;
    dw += 16;
  }
  const rest = n & (LANES<T>() - 1);
  if (rest) roll<T>(w, v, dw, rate, mu, nesterov, rest);
}

@unmanaged
class MomentumJob {
  w: usize;
  v: usize;
  dw: usize;
  learningRate: f64;
  momentum: f64;
}

/**
 * v = momentum · v − learningRate · dw, then w += v. w (n,) and v (n,) are updated in place.
 *
 * @kernel
 */
export function sgdMomentum<T extends number>(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learningRate: f64,
  momentum: f64,
): void {
  if (SHARED && planSplit(n, sizeof<T>() / 2, 16)) {
    const job = jobOf<MomentumJob>();
    job.w = w;
    job.v = v;
    job.dw = dw;
    job.learningRate = learningRate;
    job.momentum = momentum;
    split((from, n) => {
      const job = jobOf<MomentumJob>();
      const w = at<T>(job.w, from);
      const v = at<T>(job.v, from);
      sgdMomentum<T>(w, v, at<T>(job.dw, from), n, job.learningRate, job.momentum);
    });
    return;
  }
  rollAll<T>(w, v, dw, n, learningRate, momentum, false);
}

/**
 * The same velocity, and w += momentum · v − learningRate · dw with the new v, which is
 * (1 + momentum) · v − momentum · (the v before). w (n,) and v (n,) are updated in place.
 *
 * @kernel
 */
export function sgdNesterov<T extends number>(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learningRate: f64,
  momentum: f64,
): void {
  if (SHARED && planSplit(n, sizeof<T>() / 2, 16)) {
    const job = jobOf<MomentumJob>();
    job.w = w;
    job.v = v;
    job.dw = dw;
    job.learningRate = learningRate;
    job.momentum = momentum;
    split((from, n) => {
      const job = jobOf<MomentumJob>();
      const w = at<T>(job.w, from);
      const v = at<T>(job.v, from);
      sgdNesterov<T>(w, v, at<T>(job.dw, from), n, job.learningRate, job.momentum);
    });
    return;
  }
  rollAll<T>(w, v, dw, n, learningRate, momentum, true);
}
