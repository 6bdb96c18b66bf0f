// Group normalisation of x (N, S, C), S places of an image or a sequence: out = gamma · (x − mean)
// / sqrt(var + eps) + beta, with the mean and the variance over all places and the C / G channels
// of a group, of each example. Wu and He, "Group Normalization", arXiv:1803.08494; G = C is
// instance normalisation, Ulyanov et al., arXiv:1607.08022.
//
// The statistics and sums of an example's channels are those of batch normalisation, and are joined
// to those of groups in float64.

import { LANES, loadLanes, multiplyAdd, storeLanes } from "../simd";
import { SHARED, threads } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";
import { COLUMN_WORK, eachRow, lowPart, momentsOfStrip, sumsOfStrip } from "./batchnorm";

/** A channel has two statistics beside the workspace of its moments. @inline */
const CHANNEL_WORK: usize = COLUMN_WORK + 2 * sizeof<f64>();

@unmanaged
class ExamplesJob {
  out: usize;
  saved: usize;
  x: usize;
  gamma: usize;
  beta: usize;
  dout: usize;
  work: usize;
  N: usize;
  S: usize;
  C: usize;
  G: usize;
  eps: f64;
}

/**
 * Returns how many bytes of workspace a forward or a backward pass needs: each thread has its own,
 * and the backward the sums of all examples.
 *
 * @kernel
 */
export function groupnormWorkBytes(N: usize, C: usize): usize {
  return (SHARED ? max(threads(), 1) : 1) * C * CHANNEL_WORK + 2 * N * C * sizeof<f64>();
}

/**
 * saved (N, G, 2) float64 receives what backward needs: of each group the mean, and
 * 1 / sqrt(var + eps). S ≥ 1; G divides C.
 *
 * @kernel
 */
export function groupnormForward<T extends number>(
  out: usize, // (N, S, C)
  saved: usize, // (N, G, 2) float64
  x: usize, // (N, S, C)
  gamma: usize, // (C,)
  beta: usize, // (C,)
  work: usize,
  N: usize,
  S: usize,
  C: usize,
  G: usize,
  eps: f64,
): void {
  if (SHARED && planSplit(N, 2 * S * C * sizeof<T>())) {
    const job = jobOf<ExamplesJob>();
    job.out = out;
    job.saved = saved;
    job.x = x;
    job.gamma = gamma;
    job.beta = beta;
    job.work = work;
    job.S = S;
    job.C = C;
    job.G = G;
    job.eps = eps;
    split((from, N, thread) => {
      const j = jobOf<ExamplesJob>();
      const first = from * j.S * j.C;
      const out = at<T>(j.out, first);
      const saved = at<f64>(j.saved, 2 * from * j.G);
      const work = j.work + thread * j.C * CHANNEL_WORK;
      const x = at<T>(j.x, first);
      groupnormForward<T>(out, saved, x, j.gamma, j.beta, work, N, j.S, j.C, j.G, j.eps);
    });
    return;
  }
  const step = C * sizeof<T>();
  const each = C / G;
  const means = work;
  const m2 = work + (C << 3);
  const high = m2 + (C << 3);
  const scale = high + step;
  const shift = scale + step;
  for (let n: usize = 0; n < N; n++) {
    momentsOfStrip<T>(means, m2, x, step, high, S, C);
    for (let from: usize = 0; from < C; from += each) {
      let mean: f64 = 0;
      for (let c = from; c < from + each; c++) mean += load<f64>(at<f64>(means, c));
      mean /= <f64>each;
      let squares: f64 = 0;
      for (let c = from; c < from + each; c++) {
        const d = load<f64>(at<f64>(means, c)) - mean;
        squares += load<f64>(at<f64>(m2, c)) + <f64>S * (d * d);
      }
      const invstd = 1 / sqrt<f64>(squares / <f64>(S * each) + eps);
      store<f64>(saved, mean);
      store<f64>(saved, invstd, 8);
      saved += 16;
      for (let c = from; c < from + each; c++) {
        const factor = <f64>load<T>(at<T>(gamma, c)) * invstd;
        store<T>(at<T>(high, c), <T>mean);
        store<T>(at<T>(scale, c), <T>factor);
        const low = lowPart<T>(mean) * factor;
        store<T>(at<T>(shift, c), <T>(<f64>load<T>(at<T>(beta, c)) - low));
      }
    }
    eachRow<T>(out, x, high, scale, shift, step, S, C);
    x += S * step;
    out += S * step;
  }
}

/**
 * Serves the forward, whose statistics stand where the backward has its sums: G ≤ M.
 *
 * @operation groupnorm @inline
 */
export function groupnormExamples<T extends number>(
  out: usize, // (N, D / M, M)
  x: usize, // (N, D / M, M)
  gamma: usize, // (M,)
  beta: usize, // (M,)
  work: usize,
  N: usize,
  D: usize,
  M: usize,
  groups: f64,
  eps: f64,
): void {
  const own = work + 2 * N * M * sizeof<f64>();
  groupnormForward<T>(out, work, x, gamma, beta, own, N, D / M, M, <usize>groups, eps);
}

/** @workBytes groupnorm @inline */
export function groupnormExamplesWorkBytes(N: usize, M: usize): usize {
  return groupnormWorkBytes(N, M);
}

/**
 * dbeta = Σ dout and dgamma = Σ dout · xNorm over examples and places, and
 * dx = (g − mean(g) − xNorm · mean(g · xNorm)) / std, where g = dout · gamma and the means are of a
 * group. An output whose address is 0 is not written.
 *
 * @kernel
 */
export function groupnormBackward<T extends number>(
  dx: usize, // (N, S, C)
  dgamma: usize, // (C,)
  dbeta: usize, // (C,)
  dout: usize, // (N, S, C)
  x: usize, // (N, S, C)
  gamma: usize, // (C,)
  saved: usize, // (N, G, 2) float64, as forward left it
  work: usize,
  N: usize,
  S: usize,
  C: usize,
  G: usize,
): void {
  const sums = work;
  const own = work + 2 * N * C * sizeof<f64>();
  gradientsOfExamples<T>(dx, sums, dout, x, gamma, saved, own, N, S, C, G);
  // The order of the examples is that of one thread.
  for (let c: usize = 0; c < C; c++) {
    let sum: f64 = 0;
    let product: f64 = 0;
    for (let p = at<f64>(sums, c); p < own; p += (2 * C) << 3) {
      sum += load<f64>(p);
      product += load<f64>(p + (C << 3));
    }
    if (dbeta != 0) store<T>(at<T>(dbeta, c), <T>sum);
    if (dgamma != 0) store<T>(at<T>(dgamma, c), <T>product);
  }
}

/** sums (N, 2, C) float64 receive Σ dout and Σ dout · xNorm over the places of each example. */
function gradientsOfExamples<T extends number>(
  dx: usize,
  sums: usize,
  dout: usize,
  x: usize,
  gamma: usize,
  saved: usize,
  work: usize,
  N: usize,
  S: usize,
  C: usize,
  G: usize,
): void {
  if (SHARED && planSplit(N, 2 * S * C * sizeof<T>())) {
    const job = jobOf<ExamplesJob>();
    job.out = dx;
    job.beta = sums;
    job.saved = saved;
    job.x = x;
    job.gamma = gamma;
    job.dout = dout;
    job.work = work;
    job.S = S;
    job.C = C;
    job.G = G;
    split((from, N, thread) => {
      const j = jobOf<ExamplesJob>();
      const first = from * j.S * j.C;
      const dx = j.out != 0 ? at<T>(j.out, first) : 0;
      const sums = at<f64>(j.beta, 2 * from * j.C);
      const dout = at<T>(j.dout, first);
      const saved = at<f64>(j.saved, 2 * from * j.G);
      const work = j.work + thread * j.C * CHANNEL_WORK;
      const x = at<T>(j.x, first);
      gradientsOfExamples<T>(dx, sums, dout, x, j.gamma, saved, work, N, j.S, j.C, j.G);
    });
    return;
  }
  const step = C * sizeof<T>();
  const each = C / G;
  const share = 1 / <f64>(S * each);
  const high = work;
  const scale = high + step;
  const weight = scale + step;
  const shift = weight + step;
  for (let n: usize = 0; n < N; n++) {
    for (let c: usize = 0; c < C; c++) {
      store<T>(at<T>(high, c), <T>load<f64>(saved + (c / each) * 16));
    }
    const products = sums + (C << 3);
    sumsOfStrip<T>(sums, products, dout, x, step, high, S, C);
    for (let from: usize = 0; from < C; from += each) {
      const low = lowPart<T>(load<f64>(saved));
      const invstd = load<f64>(saved, 8);
      let mean: f64 = 0;
      let product: f64 = 0;
      for (let c = from; c < from + each; c++) {
        const sum = load<f64>(at<f64>(sums, c));
        const p = at<f64>(products, c);
        const normalised = (load<f64>(p) - low * sum) * invstd;
        store<f64>(p, normalised);
        const g = <f64>load<T>(at<T>(gamma, c));
        mean += g * sum;
        product += g * normalised;
      }
      const w = invstd * invstd * (product * share);
      for (let c = from; c < from + each; c++) {
        store<T>(at<T>(scale, c), <T>(<f64>load<T>(at<T>(gamma, c)) * invstd));
        store<T>(at<T>(weight, c), <T>w);
        store<T>(at<T>(shift, c), <T>(invstd * (mean * share) - low * w));
      }
      saved += 16;
    }
    if (dx != 0) {
      for (let s: usize = 0; s < S; s++) {
        for (let c: usize = 0; c < C; c += LANES<T>()) {
          const p = c * sizeof<T>();
          const lanes = min(C - c, LANES<T>());
          const d = v128.sub<T>(loadLanes<T>(x + p, lanes), loadLanes<T>(high + p, lanes));
          const w = loadLanes<T>(weight + p, lanes);
          const less = multiplyAdd<T>(d, w, loadLanes<T>(shift + p, lanes));
          const g = v128.mul<T>(loadLanes<T>(dout + p, lanes), loadLanes<T>(scale + p, lanes));
          storeLanes<T>(dx + p, v128.sub<T>(g, less), lanes);
        }
        x += step;
        dout += step;
        dx += step;
      }
    } else {
      x += S * step;
      dout += S * step;
    }
    sums += (2 * C) << 3;
  }
}
