// Adam (Kingma and Ba, 2015, arXiv:1412.6980), and AdamW, whose weight decay does not pass through
// the moments (Loshchilov and Hutter, 2019, arXiv:1711.05101).

import { LANES, loadLanes, square, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

/** @inline */
function step<T extends number>(
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  rate: v128,
  beta1: v128,
  fresh1: v128,
  beta2: v128,
  fresh2: v128,
  floor: v128,
  decay: v128,
  n: usize,
): void {
  const g = loadLanes<T>(dw, n);
  const mean = v128.add<T>(v128.mul<T>(beta1, loadLanes<T>(m, n)), v128.mul<T>(fresh1, g));
  storeLanes<T>(m, mean, n);
  const squares = v128.mul<T>(square<T>(g), fresh2);
  const power = v128.add<T>(v128.mul<T>(beta2, loadLanes<T>(v, n)), squares);
  storeLanes<T>(v, power, n);
  const root = v128.add<T>(v128.sqrt<T>(power), floor);
  const move = v128.div<T>(v128.mul<T>(rate, mean), root);
  const old = loadLanes<T>(w, n);
  storeLanes<T>(w, v128.sub<T>(old, v128.add<T>(v128.mul<T>(decay, old), move)), n);
}

/** Does what adamw does, without weight decay. @kernel */
export function adam<T extends number>(
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  n: usize,
  learningRate: f64,
  beta1: f64,
  beta2: f64,
  eps: f64,
  correction1: f64,
  correction2: f64,
): void {
  adamw<T>(w, m, v, dw, n, learningRate, beta1, beta2, eps, correction1, correction2, 0);
}

@unmanaged
class AdamJob {
  w: usize;
  m: usize;
  v: usize;
  dw: usize;
  learningRate: f64;
  beta1: f64;
  beta2: f64;
  eps: f64;
  correction1: f64;
  correction2: f64;
  weightDecay: f64;
}

/**
 * m = beta1 · m + (1 − beta1) · dw and v = beta2 · v + (1 − beta2) · dw², then w −= learningRate ·
 * (weightDecay · w + (m / correction1) / (√(v / correction2) + eps)), whose last term is computed
 * as rate · m / (√v + eps · √correction2), the order of Kingma and Ba's section 2. w, m and v (n,)
 * are updated in place. The corrections, at step t = 1, 2, …, are 1 − beta1ᵗ and 1 − beta2ᵗ. What
 * can be computed once is, in float64, and rounded to T once.
 *
 * @kernel
 */
export function adamw<T extends number>(
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  n: usize,
  learningRate: f64,
  beta1: f64,
  beta2: f64,
  eps: f64,
  correction1: f64,
  correction2: f64,
  weightDecay: f64,
): void {
  if (SHARED && planSplit(n, sizeof<T>() / 2, 16)) {
    const job = jobOf<AdamJob>();
    job.w = w;
    job.m = m;
    job.v = v;
    job.dw = dw;
    job.learningRate = learningRate;
    job.beta1 = beta1;
    job.beta2 = beta2;
    job.eps = eps;
    job.correction1 = correction1;
    job.correction2 = correction2;
    job.weightDecay = weightDecay;
    split((from, n) => {
      const job = jobOf<AdamJob>();
      adamw<T>(
        at<T>(job.w, from),
        at<T>(job.m, from),
        at<T>(job.v, from),
        at<T>(job.dw, from),
        n,
        job.learningRate,
        job.beta1,
        job.beta2,
        job.eps,
        job.correction1,
        job.correction2,
        job.weightDecay,
      );
    });
    return;
  }
  const root2 = sqrt<f64>(correction2);
  const rate = v128.splat<T>(<T>((learningRate * root2) / correction1));
  const b1 = v128.splat<T>(<T>beta1);
  const f1 = v128.splat<T>(<T>(1 - beta1));
  const b2 = v128.splat<T>(<T>beta2);
  const f2 = v128.splat<T>(<T>(1 - beta2));
  const floor = v128.splat<T>(<T>(eps * root2));
  const decay = v128.splat<T>(<T>(learningRate * weightDecay));
  const end = w + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  while (w != end) {
    step<T>(w, m, v, dw, rate, b1, f1, b2, f2, floor, decay, LANES<T>());
    w += 16;
    m += 16;
    v += 16;
    dw += 16;
  }
  const rest = n & (LANES<T>() - 1);
  if (rest) step<T>(w, m, v, dw, rate, b1, f1, b2, f2, floor, decay, rest);
}
