// Layer normalisation of each row of x (N, D): out = gamma · (x − mean) / sqrt(var + eps) + beta.
// Ba, Kiros and Hinton, "Layer Normalization", arXiv:1607.06450.
//
// Mean and variance are float64, in two passes over a row that is in L1 by then. As in batch
// normalisation a mean is high + low, and x − high is exact for an x close to it.

import { addWidened } from "../blas/column_sum";
import { rowMean, rowVariance } from "../math/moments";
import { LANES, loadLanes, multiplyAdd, storeLanes, widenHigh, widenLow } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";
import { lowPart } from "./batchnorm";

/** Returns the normalised values of a vector: (x − high) · invstd − low · invstd. @inline */
function normalised<T extends number>(x: v128, high: v128, invstd: v128, shift: v128): v128 {
  return multiplyAdd<T>(v128.sub<T>(x, high), invstd, shift);
}

/** The constants of a row, of what forward saved. @inline */
function highOf<T extends number>(saved: usize): v128 {
  return v128.splat<T>(<T>load<f64>(saved));
}
/** @inline */
function invstdOf<T extends number>(saved: usize): v128 {
  return v128.splat<T>(<T>load<f64>(saved, 8));
}
/** @inline */
function shiftOf<T extends number>(saved: usize): v128 {
  return v128.splat<T>(<T>(-lowPart<T>(load<f64>(saved)) * load<f64>(saved, 8)));
}

/** Does n lanes of a row. @inline */
function apply<T extends number>(
  out: usize,
  x: usize,
  gamma: usize,
  beta: usize,
  high: v128,
  invstd: v128,
  shift: v128,
  n: usize,
): void {
  const y = normalised<T>(loadLanes<T>(x, n), high, invstd, shift);
  storeLanes<T>(out, multiplyAdd<T>(y, loadLanes<T>(gamma, n), loadLanes<T>(beta, n)), n);
}

@unmanaged
class RowsJob {
  out: usize;
  saved: usize;
  x: usize;
  gamma: usize;
  beta: usize;
  dout: usize;
  D: usize;
  N: usize;
  work: usize;
  eps: f64;
}

/**
 * saved (N, 2) float64 receives what backward needs: of each row the mean, and 1 / sqrt(var + eps).
 * D ≥ 1.
 *
 * @kernel
 */
export function layernormForward<T extends number>(
  out: usize, // (N, D)
  saved: usize, // (N, 2) float64
  x: usize, // (N, D)
  gamma: usize, // (D,)
  beta: usize, // (D,)
  N: usize,
  D: usize,
  eps: f64,
): void {
  if (SHARED && planSplit(N, 2 * D * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.out = out;
    job.saved = saved;
    job.x = x;
    job.gamma = gamma;
    job.beta = beta;
    job.D = D;
    job.eps = eps;
    split((from, N) => {
      const job = jobOf<RowsJob>();
      const first = from * job.D;
      const saved = at<f64>(job.saved, 2 * from);
      const x = at<T>(job.x, first);
      const out = at<T>(job.out, first);
      layernormForward<T>(out, saved, x, job.gamma, job.beta, N, job.D, job.eps);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    const mean = rowMean<T>(x, D);
    store<f64>(saved, mean);
    store<f64>(saved, 1 / sqrt<f64>(rowVariance<T>(x, D, mean) + eps), 8);
    const high = highOf<T>(saved);
    const invstd = invstdOf<T>(saved);
    const shift = shiftOf<T>(saved);
    const whole = D & ~(LANES<T>() - 1);
    for (let j: usize = 0; j < whole; j += LANES<T>()) {
      const p = j * sizeof<T>();
      apply<T>(out + p, x + p, gamma + p, beta + p, high, invstd, shift, LANES<T>());
    }
    if (whole < D) {
      const p = whole * sizeof<T>();
      apply<T>(out + p, x + p, gamma + p, beta + p, high, invstd, shift, D - whole);
    }
    saved += 16;
    x += D * sizeof<T>();
    out += D * sizeof<T>();
  }
}

/** Serves the forward, whose statistics go to the workspace. @operation layernorm @inline */
export function layernormRows<T extends number>(
  out: usize, // (N, C)
  x: usize, // (N, C)
  gamma: usize, // (C,)
  beta: usize, // (C,)
  work: usize,
  N: usize,
  C: usize,
  eps: f64,
): void {
  layernormForward<T>(out, work, x, gamma, beta, N, C, eps);
}

/** Each row of M has two float64. @workBytes layernorm @inline */
export function layernormRowsWorkBytes(N: usize, D: usize, M: usize): usize {
  return 2 * ((N * D) / M) * sizeof<f64>();
}

/** A column has two sums over all rows, and two over a few, which may be float64 too. @inline */
const COLUMN_WORK: usize = 4 * sizeof<f64>();

/** Returns how many bytes of workspace the backward needs. @kernel */
export function layernormWorkBytes(D: usize): usize {
  return D * COLUMN_WORK;
}

/**
 * dbeta = Σ dout and dgamma = Σ dout · xNorm over the rows, and
 * dx = (g − mean(g) − xNorm · mean(g · xNorm)) / std, where g = dout · gamma and the means are of a
 * row. An output whose address is 0 is not written.
 *
 * @kernel
 */
export function layernormBackward<T extends number>(
  dx: usize, // (N, D)
  dgamma: usize, // (D,)
  dbeta: usize, // (D,)
  dout: usize, // (N, D)
  x: usize, // (N, D)
  gamma: usize, // (D,)
  saved: usize, // (N, 2) float64, as forward left it
  work: usize,
  N: usize,
  D: usize,
): void {
  if (dgamma != 0 || dbeta != 0) gradientsOfColumns<T>(dgamma, dbeta, dout, x, saved, work, N, D);
  if (dx != 0) gradientsOfRows<T>(dx, dout, x, gamma, saved, N, D);
}

/** @inline */
function meanOf<T extends number>(sums: v128, D: usize): v128 {
  const sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  return v128.splat<T>(<T>(sum / <f64>D));
}

function gradientsOfRows<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  gamma: usize,
  saved: usize,
  N: usize,
  D: usize,
): void {
  if (SHARED && planSplit(N, 2 * D * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.out = dx;
    job.saved = saved;
    job.x = x;
    job.gamma = gamma;
    job.dout = dout;
    job.D = D;
    split((from, N) => {
      const job = jobOf<RowsJob>();
      const first = from * job.D;
      const saved = at<f64>(job.saved, 2 * from);
      const dout = at<T>(job.dout, first);
      const dx = at<T>(job.out, first);
      gradientsOfRows<T>(dx, dout, at<T>(job.x, first), job.gamma, saved, N, job.D);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    const high = highOf<T>(saved);
    const invstd = invstdOf<T>(saved);
    const shift = shiftOf<T>(saved);
    const zero = v128.splat<T>(<T>0);
    let sums = f64x2.splat(0);
    let products = sums;
    for (let from: usize = 0; from < D; from += 8 * LANES<T>()) {
      const end = min(D, from + 8 * LANES<T>());
      let sum = zero;
      let product = zero;
      for (let j = from; j < end; j += LANES<T>()) {
        const p = j * sizeof<T>();
        const lanes = min(D - j, LANES<T>());
        const y = normalised<T>(loadLanes<T>(x + p, lanes), high, invstd, shift);
        const g = v128.mul<T>(loadLanes<T>(dout + p, lanes), loadLanes<T>(gamma + p, lanes));
        sum = v128.add<T>(sum, g);
        product = multiplyAdd<T>(g, y, product);
      }
      sums = f64x2.add(sums, widenLow<T>(sum));
      products = f64x2.add(products, widenLow<T>(product));
      if (sizeof<T>() == 4) {
        sums = f64x2.add(sums, widenHigh(sum));
        products = f64x2.add(products, widenHigh(product));
      }
    }
    const mean = meanOf<T>(sums, D);
    const weight = meanOf<T>(products, D);
    for (let j: usize = 0; j < D; j += LANES<T>()) {
      const p = j * sizeof<T>();
      const lanes = min(D - j, LANES<T>());
      const y = normalised<T>(loadLanes<T>(x + p, lanes), high, invstd, shift);
      const g = v128.mul<T>(loadLanes<T>(dout + p, lanes), loadLanes<T>(gamma + p, lanes));
      const d = v128.sub<T>(v128.sub<T>(g, mean), v128.mul<T>(y, weight));
      storeLanes<T>(dx + p, v128.mul<T>(d, invstd), lanes);
    }
    saved += 16;
    x += D * sizeof<T>();
    dout += D * sizeof<T>();
    dx += D * sizeof<T>();
  }
}

/** Adds the sums of a few rows to those of all, and begins anew. @inline */
function flush<T extends number>(sums: usize, few: usize, columns: usize): void {
  for (let j: usize = 0; j < columns; j += LANES<T>()) {
    const lanes = min(columns - j, LANES<T>());
    const p = few + j * sizeof<T>();
    addWidened<T>(sums + (j << 3), loadLanes<T>(p, lanes), lanes);
    storeLanes<T>(p, v128.splat<T>(<T>0), lanes);
  }
}

/** Does the columns from `from` on, whose place in the workspace is their own. */
function gradientsOfStrip<T extends number>(
  from: usize,
  columns: usize,
  dgamma: usize,
  dbeta: usize,
  dout: usize,
  x: usize,
  saved: usize,
  work: usize,
  N: usize,
  D: usize,
): void {
  work += from * COLUMN_WORK;
  memory.fill(work, 0, columns * COLUMN_WORK);
  const products = work + (columns << 3);
  const few = products + (columns << 3);
  const fewProducts = at<T>(few, columns);
  dout = at<T>(dout, from);
  x = at<T>(x, from);
  for (let n: usize = 0; n < N; n++) {
    const high = highOf<T>(saved);
    const invstd = invstdOf<T>(saved);
    const shift = shiftOf<T>(saved);
    for (let j: usize = 0; j < columns; j += LANES<T>()) {
      const p = j * sizeof<T>();
      const lanes = min(columns - j, LANES<T>());
      const y = normalised<T>(loadLanes<T>(x + p, lanes), high, invstd, shift);
      const d = loadLanes<T>(dout + p, lanes);
      storeLanes<T>(few + p, v128.add<T>(loadLanes<T>(few + p, lanes), d), lanes);
      const product = multiplyAdd<T>(d, y, loadLanes<T>(fewProducts + p, lanes));
      storeLanes<T>(fewProducts + p, product, lanes);
    }
    if ((n & 7) == 7 || n + 1 == N) {
      flush<T>(work, few, columns);
      flush<T>(products, fewProducts, columns);
    }
    saved += 16;
    x += D * sizeof<T>();
    dout += D * sizeof<T>();
  }
  for (let j: usize = 0; j < columns; j++) {
    if (dbeta != 0) store<T>(at<T>(dbeta, from + j), <T>load<f64>(work + (j << 3)));
    if (dgamma != 0) store<T>(at<T>(dgamma, from + j), <T>load<f64>(products + (j << 3)));
  }
}

function gradientsOfColumns<T extends number>(
  dgamma: usize,
  dbeta: usize,
  dout: usize,
  x: usize,
  saved: usize,
  work: usize,
  N: usize,
  D: usize,
): void {
  if (SHARED && planSplit(D, 2 * N * sizeof<T>(), 16)) {
    const job = jobOf<RowsJob>();
    job.out = dgamma;
    job.beta = dbeta;
    job.saved = saved;
    job.x = x;
    job.dout = dout;
    job.work = work;
    job.N = N;
    job.D = D;
    split((from, columns) => {
      const j = jobOf<RowsJob>();
      gradientsOfStrip<T>(from, columns, j.out, j.beta, j.dout, j.x, j.saved, j.work, j.N, j.D);
    });
    return;
  }
  gradientsOfStrip<T>(0, D, dgamma, dbeta, dout, x, saved, work, N, D);
}
