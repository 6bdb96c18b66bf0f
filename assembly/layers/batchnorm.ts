// Batch normalisation over the rows of x (N, D): out = gamma · (x − mean) / sqrt(var + eps) + beta.
// Ioffe and Szegedy, "Batch Normalization", arXiv:1502.03167.
//
// All of it is computed in float64, two columns at a time, and rounded once when it is stored.
// Σ (x − K) and Σ (x − K)² are taken in one pass about K, the column's first value: as K is one of
// the data, var ≥ (K − mean)² / N, so that at most a factor N + 1 of float64's precision can cancel,
// and for a K within a few deviations of the mean next to nothing does, however far the mean is
// from 0.

import { loadF64x2, storeF64x2 } from "../simd";

/**
 * Adds the rows of x to a population whose mean (D,) and m2 (D,) = Σ (x − mean)², float64 both, are
 * known over count rows, by the pairwise formula of Chan, Golub and LeVeque (Stanford
 * STAN-CS-79-773, 1979). With count = 0 the two arrays are only written. N ≥ 1.
 */
export function batchnormAccumulate<T>(
  mean: usize,
  m2: usize,
  x: usize, // (N, D)
  N: usize,
  D: usize,
  count: f64,
): void {
  assert(N > 0);
  const step = D * sizeof<T>();
  const n = f64x2.splat(<f64>N);
  const zero = f64x2.splat(0);
  for (let j: usize = 0; j < D; j += 2) {
    const lanes = min(D - j, 2);
    let p = x + j * sizeof<T>();
    const first = loadF64x2<T>(p, lanes);
    // An infinite first value would make a NaN of every difference: 0 serves as well then.
    const shift = v128.and(first, f64x2.eq(f64x2.sub(first, first), zero));
    let s1 = zero;
    let s2 = zero;
    for (let i: usize = 0; i < N; i++) {
      const d = f64x2.sub(loadF64x2<T>(p, lanes), shift);
      s1 = f64x2.add(s1, d);
      s2 = f64x2.add(s2, f64x2.mul(d, d));
      p += step;
    }
    const offset = f64x2.div(s1, n);
    let newMean = f64x2.add(shift, offset);
    // pmax lifts what rounding took below 0, and keeps a NaN.
    let newM2 = f64x2.pmax(f64x2.sub(s2, f64x2.mul(s1, offset)), zero);
    const at = j * sizeof<f64>();
    if (count != 0) {
      const oldMean = loadF64x2<f64>(mean + at, lanes);
      const delta = f64x2.sub(newMean, oldMean);
      const share = f64x2.div(n, f64x2.splat(count + <f64>N));
      const between = f64x2.mul(f64x2.mul(delta, delta), f64x2.mul(f64x2.splat(count), share));
      newM2 = f64x2.add(f64x2.add(loadF64x2<f64>(m2 + at, lanes), newM2), between);
      newMean = f64x2.add(oldMean, f64x2.mul(delta, share));
    }
    storeF64x2<f64>(mean + at, newMean, lanes);
    storeF64x2<f64>(m2 + at, newM2, lanes);
  }
}

/** running = momentum · running + (1 − momentum) · batch, for two columns. */
// @ts-ignore: decorator
@inline
function updateRunning<T>(running: usize, batch: v128, momentum: f64, lanes: usize): void {
  const old = f64x2.mul(f64x2.splat(momentum), loadF64x2<T>(running, lanes));
  storeF64x2<T>(running, f64x2.add(old, f64x2.mul(f64x2.splat(1 - momentum), batch)), lanes);
}

/**
 * saved (2, D) float64 receives what backward needs: the mean, then 1 / sqrt(var + eps).
 * Training (N ≥ 1) takes both from x and moves the running values; otherwise the running values
 * are the statistics, and stay as they are.
 */
export function batchnormForward<T>(
  out: usize, // (N, D)
  saved: usize, // (2, D) float64
  runningMean: usize, // (D,)
  runningVar: usize, // (D,)
  x: usize, // (N, D)
  gamma: usize, // (D,)
  beta: usize, // (D,)
  N: usize,
  D: usize,
  eps: f64,
  momentum: f64,
  training: bool,
): void {
  const savedInvstd = saved + D * sizeof<f64>();
  if (training) batchnormAccumulate<T>(saved, savedInvstd, x, N, D, 0);
  const step = D * sizeof<T>();
  for (let j: usize = 0; j < D; j += 2) {
    const lanes = min(D - j, 2);
    const column = j * sizeof<T>();
    const at = j * sizeof<f64>();
    let mean: v128;
    let variance: v128;
    if (training) {
      mean = loadF64x2<f64>(saved + at, lanes);
      variance = f64x2.div(loadF64x2<f64>(savedInvstd + at, lanes), f64x2.splat(<f64>N));
      updateRunning<T>(runningMean + column, mean, momentum, lanes);
      updateRunning<T>(runningVar + column, variance, momentum, lanes);
    } else {
      mean = loadF64x2<T>(runningMean + column, lanes);
      variance = loadF64x2<T>(runningVar + column, lanes);
    }
    const std = f64x2.sqrt(f64x2.add(variance, f64x2.splat(eps)));
    const invstd = f64x2.div(f64x2.splat(1), std);
    storeF64x2<f64>(saved + at, mean, lanes);
    storeF64x2<f64>(savedInvstd + at, invstd, lanes);
    const scale = f64x2.mul(loadF64x2<T>(gamma + column, lanes), invstd);
    const shift = loadF64x2<T>(beta + column, lanes);
    let from = x + column;
    let to = out + column;
    for (let i: usize = 0; i < N; i++) {
      const centred = f64x2.sub(loadF64x2<T>(from, lanes), mean);
      storeF64x2<T>(to, f64x2.add(f64x2.mul(centred, scale), shift), lanes);
      from += step;
      to += step;
    }
  }
}

/**
 * dbeta = Σ dout, dgamma = Σ dout · xNorm, and
 * training: dx = gamma / (N · std) · (N · dout − dbeta − xNorm · dgamma),
 * otherwise, the statistics being constants: dx = gamma / std · dout.
 * An output whose address is 0 is not written.
 */
export function batchnormBackward<T>(
  dx: usize, // (N, D)
  dgamma: usize, // (D,)
  dbeta: usize, // (D,)
  dout: usize, // (N, D)
  x: usize, // (N, D)
  gamma: usize, // (D,)
  saved: usize, // (2, D) float64, as forward left it
  N: usize,
  D: usize,
  training: bool,
): void {
  const savedInvstd = saved + D * sizeof<f64>();
  const step = D * sizeof<T>();
  const n = f64x2.splat(<f64>N);
  const zero = f64x2.splat(0);
  for (let j: usize = 0; j < D; j += 2) {
    const lanes = min(D - j, 2);
    const column = j * sizeof<T>();
    const mean = loadF64x2<f64>(saved + j * sizeof<f64>(), lanes);
    const invstd = loadF64x2<f64>(savedInvstd + j * sizeof<f64>(), lanes);
    let sum = zero;
    let product = zero;
    let pd = dout + column;
    let px = x + column;
    for (let i: usize = 0; i < N; i++) {
      const d = loadF64x2<T>(pd, lanes);
      sum = f64x2.add(sum, d);
      product = f64x2.add(product, f64x2.mul(d, f64x2.sub(loadF64x2<T>(px, lanes), mean)));
      pd += step;
      px += step;
    }
    const gradGamma = f64x2.mul(product, invstd);
    if (dbeta != 0) storeF64x2<T>(dbeta + column, sum, lanes);
    if (dgamma != 0) storeF64x2<T>(dgamma + column, gradGamma, lanes);
    if (dx == 0) continue;

    const scale = f64x2.mul(loadF64x2<T>(gamma + column, lanes), invstd);
    pd = dout + column;
    let to = dx + column;
    if (training) {
      const meanDout = f64x2.div(sum, n);
      const slope = f64x2.div(f64x2.mul(gradGamma, invstd), n);
      px = x + column;
      for (let i: usize = 0; i < N; i++) {
        const centred = f64x2.sub(loadF64x2<T>(px, lanes), mean);
        const rest = f64x2.sub(f64x2.sub(loadF64x2<T>(pd, lanes), meanDout), f64x2.mul(centred, slope));
        storeF64x2<T>(to, f64x2.mul(rest, scale), lanes);
        pd += step;
        px += step;
        to += step;
      }
    } else {
      for (let i: usize = 0; i < N; i++) {
        storeF64x2<T>(to, f64x2.mul(loadF64x2<T>(pd, lanes), scale), lanes);
        pd += step;
        to += step;
      }
    }
  }
}
