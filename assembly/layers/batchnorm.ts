// Batch normalisation over the rows of x (N, D): out = gamma · (x − mean) / sqrt(var + eps) + beta.
// Ioffe and Szegedy, "Batch Normalization", arXiv:1502.03167.
//
// Each pass walks along the rows, a few at a time, in strips of columns whose sums stay in L1. The
// sum of a few rows is computed in T; sums over all rows, and every statistic, in float64.
//
// Mean and variance are taken in one pass over x, in chunks of 1,024 rows: Σ (x − K) and Σ (x − K)²
// about K, the mean of the chunk's first eight rows, whose subtraction is exact where x is close to
// it. So no mean cancels digits, however large it is, and as K is the mean of these very rows, no
// more than 1,024 / 64 roundings of T can add up. Chunks are joined by the formula of Chan, Golub
// and LeVeque (Stanford STAN-CS-79-773, 1979).
//
// Where x is centred in T, a mean is high + low, high its rounding to T: x − high is exact for an x
// close to it, and low goes into the constants of the column.

import { addWidened } from "../blas/column_sum";
import { LANES, loadLanes, multiplyAdd, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

/** The sums of this many columns are taken at a time, so that they stay in L1. @inline */
const STRIP: usize = 1024;

/** A column needs this many bytes of workspace, six float64. @inline */
export const COLUMN_WORK: usize = 6 * sizeof<f64>();

/**
 * Returns how many bytes of workspace a forward or a backward pass needs. Each thread has a strip.
 *
 * @kernel
 */
export function batchnormWorkBytes(D: usize): usize {
  return (SHARED ? D : min(D, STRIP)) * COLUMN_WORK;
}

/** The sums of this many rows are taken about one K. @inline */
const CHUNK: usize = 1024;

/**
 * Sets K, shift (columns,), to the mean of the first rows, eight at most, or to 0 where it is not
 * finite.
 */
function shiftOf<T extends number>(
  shift: usize,
  x: usize,
  step: usize,
  rows: usize,
  columns: usize,
): void {
  const size = sizeof<T>();
  const count = min(rows, 8);
  const share = v128.splat<T>(<T>(1 / <f64>count));
  const zero = v128.splat<T>(<T>0);
  for (let j: usize = 0; j < columns; j += LANES<T>()) {
    const n = min(columns - j, LANES<T>());
    let p = x + j * size;
    let sum = zero;
    for (let i: usize = 0; i < count; i++) {
      sum = v128.add<T>(sum, loadLanes<T>(p, n));
      p += step;
    }
    sum = v128.mul<T>(sum, share);
    storeLanes<T>(shift + j * size, v128.and(sum, v128.eq<T>(v128.sub<T>(sum, sum), zero)), n);
  }
}

/**
 * Adds Σ (x − K) of a vector of columns over eight rows to s1, and Σ (x − K)² to s2. The eight are
 * summed in T and in pairs, so that no sum waits for seven others, and then added in float64.
 *
 * @inline
 */
function sumEight<T extends number>(s1: usize, s2: usize, x: usize, step: usize, k: v128): void {
  const x2 = x + 2 * step;
  const x4 = x2 + 2 * step;
  const x6 = x4 + 2 * step;
  let d = v128.sub<T>(v128.load(x), k);
  let e = v128.sub<T>(v128.load(x + step), k);
  let sum = v128.add<T>(d, e);
  let squares = multiplyAdd<T>(e, e, v128.mul<T>(d, d));
  d = v128.sub<T>(v128.load(x2), k);
  e = v128.sub<T>(v128.load(x2 + step), k);
  sum = v128.add<T>(sum, v128.add<T>(d, e));
  squares = v128.add<T>(squares, multiplyAdd<T>(e, e, v128.mul<T>(d, d)));
  d = v128.sub<T>(v128.load(x4), k);
  e = v128.sub<T>(v128.load(x4 + step), k);
  sum = v128.add<T>(sum, v128.add<T>(d, e));
  squares = v128.add<T>(squares, multiplyAdd<T>(e, e, v128.mul<T>(d, d)));
  d = v128.sub<T>(v128.load(x6), k);
  e = v128.sub<T>(v128.load(x6 + step), k);
  addWidened<T>(s1, v128.add<T>(sum, v128.add<T>(d, e)), LANES<T>());
  squares = v128.add<T>(squares, multiplyAdd<T>(e, e, v128.mul<T>(d, d)));
  addWidened<T>(s2, squares, LANES<T>());
}

/**
 * Adds the same sums for the columns from `from` on and the rows from `start` on, one by one in
 * float64.
 */
function sumEach<T extends number>(
  s1: usize,
  s2: usize,
  x: usize,
  step: usize,
  shift: usize,
  start: usize,
  rows: usize,
  from: usize,
  columns: usize,
): void {
  const size = sizeof<T>();
  for (let i = start; i < rows; i++) {
    const row = x + i * step;
    for (let j = from; j < columns; j++) {
      const d = <f64>load<T>(row + j * size) - <f64>load<T>(shift + j * size);
      store<f64>(s1 + (j << 3), load<f64>(s1 + (j << 3)) + d);
      store<f64>(s2 + (j << 3), load<f64>(s2 + (j << 3)) + d * d);
    }
  }
}

/** Sets the float64 of to (n,) to 0. */
function clear(to: usize, n: usize): void {
  for (let j: usize = 0; j < n; j++) store<f64>(to + (j << 3), 0);
}

/** s1 (columns,) = Σ (x − K) and s2 (columns,) = Σ (x − K)² over the rows of a chunk. */
function sumChunk<T extends number>(
  s1: usize,
  s2: usize,
  x: usize,
  step: usize,
  shift: usize,
  rows: usize,
  columns: usize,
): void {
  const size = sizeof<T>();
  const whole = columns & ~(LANES<T>() - 1);
  const eights = rows & ~7;
  clear(s1, columns);
  clear(s2, columns);
  let row = x;
  for (let i: usize = 0; i < eights; i += 8) {
    for (let j: usize = 0; j < whole; j += LANES<T>()) {
      sumEight<T>(s1 + (j << 3), s2 + (j << 3), row + j * size, step, v128.load(shift + j * size));
    }
    row += 8 * step;
  }
  sumEach<T>(s1, s2, x, step, shift, 0, eights, whole, columns);
  sumEach<T>(s1, s2, x, step, shift, eights, rows, 0, columns);
  for (let j: usize = 0; j < columns; j++) {
    if (load<f64>(s2 + (j << 3)) * 0 == 0) continue;
    // If a square went beyond float32, or there are infinities or NaN, float64 tells the two apart.
    clear(s1 + (j << 3), 1);
    clear(s2 + (j << 3), 1);
    sumEach<T>(s1, s2, x, step, shift, 0, rows, j, j + 1);
  }
}

/**
 * mean (columns,) and m2 (columns,) = Σ (x − mean)², float64, over N ≥ 1 rows that are step bytes
 * apart.
 */
export function momentsOfStrip<T extends number>(
  mean: usize,
  m2: usize,
  x: usize,
  step: usize,
  work: usize,
  N: usize,
  columns: usize,
): void {
  const s1 = work;
  const s2 = s1 + columns * sizeof<f64>();
  const shift = s2 + columns * sizeof<f64>();
  for (let start: usize = 0; start < N; start += CHUNK) {
    const rows = min(N - start, CHUNK);
    const chunk = x + start * step;
    shiftOf<T>(shift, chunk, step, rows, columns);
    sumChunk<T>(s1, s2, chunk, step, shift, rows, columns);
    const share = <f64>rows / <f64>(start + rows);
    for (let j: usize = 0; j < columns; j++) {
      const sum = load<f64>(s1 + (j << 3));
      const offset = sum / <f64>rows;
      let newMean = <f64>load<T>(shift + j * sizeof<T>()) + offset;
      const squares = load<f64>(s2 + (j << 3));
      let newM2 = squares - sum * offset;
      // Rounding may take a sum of squares below 0, which is lifted here; a NaN stays. Only finite
      // values whose squares overflow have an infinite variance.
      if (newM2 < 0) newM2 = 0;
      if (squares == Infinity && abs(sum) < Infinity) newM2 = Infinity;
      if (start > 0) {
        const oldMean = load<f64>(mean + (j << 3));
        const delta = newMean - oldMean;
        newMean = oldMean + delta * share;
        newM2 += load<f64>(m2 + (j << 3)) + delta * delta * (<f64>start * share);
      }
      store<f64>(mean + (j << 3), newMean);
      store<f64>(m2 + (j << 3), newM2);
    }
  }
}

@unmanaged
class MomentsJob {
  mean: usize;
  m2: usize;
  x: usize;
  work: usize;
  N: usize;
  D: usize;
}

/** mean (D,) and m2 (D,) = Σ (x − mean)², float64 both, over the rows of x. N ≥ 1. @kernel */
export function batchnormMoments<T extends number>(
  mean: usize,
  m2: usize,
  x: usize, // (N, D)
  work: usize,
  N: usize,
  D: usize,
): void {
  assert(N > 0);
  if (SHARED && planSplit(D, N * sizeof<T>(), STRIP)) {
    const job = jobOf<MomentsJob>();
    job.mean = mean;
    job.m2 = m2;
    job.x = x;
    job.work = work;
    job.N = N;
    job.D = D;
    split((from, columns) => {
      const job = jobOf<MomentsJob>();
      const mean = at<f64>(job.mean, from);
      const m2 = at<f64>(job.m2, from);
      const work = job.work + from * COLUMN_WORK;
      momentsOfStrip<T>(mean, m2, at<T>(job.x, from), job.D * sizeof<T>(), work, job.N, columns);
    });
    return;
  }
  const size = sizeof<T>();
  for (let from: usize = 0; from < D; from += STRIP) {
    const at = from * sizeof<f64>();
    const columns = min(D - from, STRIP);
    momentsOfStrip<T>(mean + at, m2 + at, x + from * size, D * size, work, N, columns);
  }
}

/** Returns what is left of a float64 beyond its rounding to T, or 0 if that is infinite. @inline */
export function lowPart<T extends number>(value: f64): f64 {
  const low = value - <f64>(<T>value);
  return low == low ? low : 0;
}

/** Sets one row of out or two to (x − high) · scale + shift, element by element over (columns,). */
function normalizeRows<T extends number>(
  out: usize,
  x: usize,
  step: usize,
  rows: usize,
  high: usize,
  scale: usize,
  shift: usize,
  columns: usize,
): void {
  const size = sizeof<T>();
  const whole = (columns & ~(LANES<T>() - 1)) * size;
  // If there is one row, the second is the first again.
  const second = rows == 2 ? step : 0;
  const x2 = x + second;
  const out2 = out + second;
  let j: usize = 0;
  while (j != whole) {
    const h = v128.load(high + j);
    const f = v128.load(scale + j);
    const s = v128.load(shift + j);
    v128.store(out + j, multiplyAdd<T>(v128.sub<T>(v128.load(x + j), h), f, s));
    v128.store(out2 + j, multiplyAdd<T>(v128.sub<T>(v128.load(x2 + j), h), f, s));
    j += 16;
  }
  for (; j < columns * size; j += size) {
    const h = load<T>(high + j);
    const f = load<T>(scale + j);
    const s = load<T>(shift + j);
    store<T>(out + j, <T>(<T>(<T>(load<T>(x + j) - h) * f) + s));
    store<T>(out2 + j, <T>(<T>(<T>(load<T>(x2 + j) - h) * f) + s));
  }
}

/**
 * out = (x − high) · scale + shift by column: test mode with its constants computed before. out is
 * not x.
 *
 * @operation batchnorm
 */
export function batchnormApply<T extends number>(
  out: usize, // (N, C)
  x: usize, // (N, C)
  high: usize, // (C,)
  scale: usize, // (C,)
  shift: usize, // (C,)
  N: usize,
  C: usize,
): void {
  applyRows<T>(out, x, high, scale, shift, C * sizeof<T>(), N, C, true);
}

@unmanaged
class RowsJob {
  out: usize;
  x: usize;
  high: usize;
  scale: usize;
  shift: usize;
  step: usize;
  columns: usize;
}

/**
 * Does what batchnormApply does for rows that are `step` bytes apart. A call for a range of columns
 * is one of many on all threads, and is not split again.
 *
 * @inline
 */
function applyRows<T extends number>(
  out: usize,
  x: usize,
  high: usize,
  scale: usize,
  shift: usize,
  step: usize,
  N: usize,
  columns: usize,
  isWhole: bool,
): void {
  if (SHARED && isWhole && planSplit(N, (columns * sizeof<T>()) / 2)) {
    const job = jobOf<RowsJob>();
    job.out = out;
    job.x = x;
    job.high = high;
    job.scale = scale;
    job.shift = shift;
    job.step = step;
    job.columns = columns;
    split((from, N) => {
      const job = jobOf<RowsJob>();
      const out = job.out + from * job.step;
      const x = job.x + from * job.step;
      eachRow<T>(out, x, job.high, job.scale, job.shift, job.step, N, job.columns);
    });
    return;
  }
  eachRow<T>(out, x, high, scale, shift, step, N, columns);
}

export function eachRow<T extends number>(
  out: usize,
  x: usize,
  high: usize,
  scale: usize,
  shift: usize,
  step: usize,
  N: usize,
  columns: usize,
): void {
  for (let i: usize = 0; i < N; i += 2) {
    const down = i * step;
    normalizeRows<T>(out + down, x + down, step, min(N - i, 2), high, scale, shift, columns);
  }
}

@unmanaged
class ForwardJob {
  out: usize;
  saved: usize;
  runningMean: usize;
  runningVar: usize;
  x: usize;
  gamma: usize;
  beta: usize;
  work: usize;
  N: usize;
  D: usize;
  training: bool;
  eps: f64;
  momentum: f64;
}

/**
 * saved (2, D) float64 receives what backward needs: the mean, then 1 / sqrt(var + eps).
 * Training (N ≥ 1) takes both from x and moves the running values; otherwise the running values
 * are the statistics, and stay as they are.
 *
 * @kernel
 */
export function batchnormForward<T extends number>(
  out: usize, // (N, D)
  saved: usize, // (2, D) float64
  runningMean: usize, // (D,)
  runningVar: usize, // (D,)
  x: usize, // (N, D)
  gamma: usize, // (D,)
  beta: usize, // (D,)
  work: usize,
  N: usize,
  D: usize,
  eps: f64,
  momentum: f64,
  training: bool,
): void {
  if (SHARED && planSplit(D, N * sizeof<T>(), STRIP)) {
    const job = jobOf<ForwardJob>();
    job.out = out;
    job.saved = saved;
    job.runningMean = runningMean;
    job.runningVar = runningVar;
    job.x = x;
    job.gamma = gamma;
    job.beta = beta;
    job.work = work;
    job.N = N;
    job.D = D;
    job.training = training;
    job.eps = eps;
    job.momentum = momentum;
    split((from, columns) => {
      const job = jobOf<ForwardJob>();
      forwardStrip<T>(
        from,
        columns,
        job.out,
        job.saved,
        job.runningMean,
        job.runningVar,
        job.x,
        job.gamma,
        job.beta,
        job.work + from * COLUMN_WORK,
        job.N,
        job.D,
        job.eps,
        job.momentum,
        job.training,
        false,
      );
    });
    return;
  }
  for (let from: usize = 0; from < D; from += STRIP) {
    forwardStrip<T>(
      from,
      min(D - from, STRIP),
      out,
      saved,
      runningMean,
      runningVar,
      x,
      gamma,
      beta,
      work,
      N,
      D,
      eps,
      momentum,
      training,
      true,
    );
  }
}

/** Does the pass for the columns from `from` on. @inline */
function forwardStrip<T extends number>(
  from: usize,
  columns: usize,
  out: usize,
  saved: usize,
  runningMean: usize,
  runningVar: usize,
  x: usize,
  gamma: usize,
  beta: usize,
  work: usize,
  N: usize,
  D: usize,
  eps: f64,
  momentum: f64,
  training: bool,
  isWhole: bool,
): void {
  const size = sizeof<T>();
  const step = D * size;
  const means = saved + from * sizeof<f64>();
  const invstds = means + D * sizeof<f64>();
  const high = work;
  const scale = high + columns * size;
  const shift = scale + columns * size;
  const across = from * size;
  if (training) momentsOfStrip<T>(means, invstds, x + across, step, work, N, columns);
  for (let j: usize = 0; j < columns; j++) {
    const column = across + j * size;
    let mean: f64;
    let variance: f64;
    if (training) {
      mean = load<f64>(means + (j << 3));
      variance = load<f64>(invstds + (j << 3)) / <f64>N;
      // One value has no variance that could be learned.
      if (N > 1) {
        const oldMean = <f64>load<T>(runningMean + column);
        const oldVar = <f64>load<T>(runningVar + column);
        store<T>(runningMean + column, <T>(momentum * oldMean + (1 - momentum) * mean));
        store<T>(runningVar + column, <T>(momentum * oldVar + (1 - momentum) * variance));
      }
    } else {
      mean = <f64>load<T>(runningMean + column);
      variance = <f64>load<T>(runningVar + column);
    }
    const invstd = 1 / sqrt<f64>(variance + eps);
    store<f64>(means + (j << 3), mean);
    store<f64>(invstds + (j << 3), invstd);
    const factor = <f64>load<T>(gamma + column) * invstd;
    store<T>(high + j * size, <T>mean);
    store<T>(scale + j * size, <T>factor);
    store<T>(shift + j * size, <T>(<f64>load<T>(beta + column) - lowPart<T>(mean) * factor));
  }
  applyRows<T>(out + across, x + across, high, scale, shift, step, N, columns, isWhole);
}

/**
 * Adds Σ dout and Σ dout · (x − high) of a vector of columns over four rows, taken in T, to the
 * float64 sums.
 *
 * @inline
 */
function sumsOfFour<T extends number>(
  sums: usize,
  products: usize,
  dout: usize,
  x: usize,
  step: usize,
  high: v128,
): void {
  const d0 = v128.load(dout);
  const d1 = v128.load(dout + step);
  const d2 = v128.load(dout + 2 * step);
  const d3 = v128.load(dout + 3 * step);
  let p = v128.mul<T>(d0, v128.sub<T>(v128.load(x), high));
  p = multiplyAdd<T>(d1, v128.sub<T>(v128.load(x + step), high), p);
  p = multiplyAdd<T>(d2, v128.sub<T>(v128.load(x + 2 * step), high), p);
  p = multiplyAdd<T>(d3, v128.sub<T>(v128.load(x + 3 * step), high), p);
  addWidened<T>(sums, v128.add<T>(v128.add<T>(d0, d1), v128.add<T>(d2, d3)), LANES<T>());
  addWidened<T>(products, p, LANES<T>());
}

/** Sets the float64 sums of a strip's columns to Σ dout and Σ dout · (x − high). */
export function sumsOfStrip<T extends number>(
  sums: usize,
  products: usize,
  dout: usize,
  x: usize,
  step: usize,
  high: usize,
  N: usize,
  columns: usize,
): void {
  const size = sizeof<T>();
  const whole = columns & ~(LANES<T>() - 1);
  const fours = N & ~3;
  for (let j: usize = 0; j < columns; j++) {
    store<f64>(sums + (j << 3), 0);
    store<f64>(products + (j << 3), 0);
  }
  let down: usize = 0;
  for (let i: usize = 0; i < fours; i += 4) {
    for (let j: usize = 0; j < whole; j += LANES<T>()) {
      const at = down + j * size;
      const mean = v128.load(high + j * size);
      sumsOfFour<T>(sums + (j << 3), products + (j << 3), dout + at, x + at, step, mean);
    }
    down += 4 * step;
  }
  // The columns beyond the last vector and the rows beyond the last four are added one by one.
  down = 0;
  for (let i: usize = 0; i < N; i++) {
    for (let j = i < fours ? whole : 0; j < columns; j++) {
      const at = down + j * size;
      const d = <f64>load<T>(dout + at);
      const centred = <f64>load<T>(x + at) - <f64>load<T>(high + j * size);
      store<f64>(sums + (j << 3), load<f64>(sums + (j << 3)) + d);
      store<f64>(products + (j << 3), load<f64>(products + (j << 3)) + d * centred);
    }
    down += step;
  }
}

/** Sets one or two rows of dx to ((dout − shift) − (x − high) · weights) · scale. */
function gradientRows<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  step: usize,
  rows: usize,
  high: usize,
  scale: usize,
  weights: usize,
  shift: usize,
  columns: usize,
): void {
  const size = sizeof<T>();
  const whole = (columns & ~(LANES<T>() - 1)) * size;
  const second = rows == 2 ? step : 0;
  const x2 = x + second;
  const dout2 = dout + second;
  const dx2 = dx + second;
  let j: usize = 0;
  while (j != whole) {
    const h = v128.load(high + j);
    const f = v128.load(scale + j);
    const g = v128.load(weights + j);
    const s = v128.load(shift + j);
    const t = v128.sub<T>(v128.load(dout + j), s);
    const t2 = v128.sub<T>(v128.load(dout2 + j), s);
    const d = v128.mul<T>(v128.sub<T>(v128.load(x + j), h), g);
    const d2 = v128.mul<T>(v128.sub<T>(v128.load(x2 + j), h), g);
    v128.store(dx + j, v128.mul<T>(v128.sub<T>(t, d), f));
    v128.store(dx2 + j, v128.mul<T>(v128.sub<T>(t2, d2), f));
    j += 16;
  }
  for (; j < columns * size; j += size) {
    const h = load<T>(high + j);
    const f = load<T>(scale + j);
    const g = load<T>(weights + j);
    const s = load<T>(shift + j);
    const t = <T>(load<T>(dout + j) - s);
    const t2 = <T>(load<T>(dout2 + j) - s);
    const d = <T>(<T>(load<T>(x + j) - h) * g);
    const d2 = <T>(<T>(load<T>(x2 + j) - h) * g);
    store<T>(dx + j, <T>(<T>(t - d) * f));
    store<T>(dx2 + j, <T>(<T>(t2 - d2) * f));
  }
}

/** Sets dx (columns,) to dout · scale. */
function scaleRow<T extends number>(dx: usize, dout: usize, scale: usize, columns: usize): void {
  const size = sizeof<T>();
  const whole = (columns & ~(LANES<T>() - 1)) * size;
  let j: usize = 0;
  for (; j < whole; j += 16) {
    v128.store(dx + j, v128.mul<T>(v128.load(dout + j), v128.load(scale + j)));
  }
  for (; j < columns * size; j += size) {
    store<T>(dx + j, <T>(load<T>(dout + j) * load<T>(scale + j)));
  }
}

@unmanaged
class BackwardJob {
  dx: usize;
  dgamma: usize;
  dbeta: usize;
  dout: usize;
  x: usize;
  gamma: usize;
  saved: usize;
  work: usize;
  N: usize;
  D: usize;
  training: bool;
}

/**
 * dbeta = Σ dout, dgamma = Σ dout · xNorm, and
 * training: dx = gamma / (N · std) · (N · dout − dbeta − xNorm · dgamma),
 * otherwise, the statistics being constants: dx = gamma / std · dout.
 * An output whose address is 0 is not written.
 *
 * @kernel
 */
export function batchnormBackward<T extends number>(
  dx: usize, // (N, D)
  dgamma: usize, // (D,)
  dbeta: usize, // (D,)
  dout: usize, // (N, D)
  x: usize, // (N, D)
  gamma: usize, // (D,)
  saved: usize, // (2, D) float64, as forward left it
  work: usize,
  N: usize,
  D: usize,
  training: bool,
): void {
  if (SHARED && planSplit(D, (3 * N * sizeof<T>()) / 2, STRIP)) {
    const job = jobOf<BackwardJob>();
    job.dx = dx;
    job.dgamma = dgamma;
    job.dbeta = dbeta;
    job.dout = dout;
    job.x = x;
    job.gamma = gamma;
    job.saved = saved;
    job.work = work;
    job.N = N;
    job.D = D;
    job.training = training;
    split((from, columns) => {
      const job = jobOf<BackwardJob>();
      backwardStrip<T>(
        from,
        columns,
        job.dx,
        job.dgamma,
        job.dbeta,
        job.dout,
        job.x,
        job.gamma,
        job.saved,
        job.work + from * COLUMN_WORK,
        job.N,
        job.D,
        job.training,
      );
    });
    return;
  }
  for (let from: usize = 0; from < D; from += STRIP) {
    const columns = min(D - from, STRIP);
    backwardStrip<T>(from, columns, dx, dgamma, dbeta, dout, x, gamma, saved, work, N, D, training);
  }
}

/** Does the pass for the columns from `from` on. @inline */
function backwardStrip<T extends number>(
  from: usize,
  columns: usize,
  dx: usize,
  dgamma: usize,
  dbeta: usize,
  dout: usize,
  x: usize,
  gamma: usize,
  saved: usize,
  work: usize,
  N: usize,
  D: usize,
  training: bool,
): void {
  const size = sizeof<T>();
  const step = D * size;
  const means = saved + from * sizeof<f64>();
  const invstds = means + D * sizeof<f64>();
  const sums = work;
  const products = sums + columns * sizeof<f64>();
  const high = products + columns * sizeof<f64>();
  const scale = high + columns * size;
  const weights = scale + columns * size;
  const shift = weights + columns * size;
  const across = from * size;
  for (let j: usize = 0; j < columns; j++) {
    store<T>(high + j * size, <T>load<f64>(means + (j << 3)));
  }
  sumsOfStrip<T>(sums, products, dout + across, x + across, step, high, N, columns);
  for (let j: usize = 0; j < columns; j++) {
    const column = across + j * size;
    const sum = load<f64>(sums + (j << 3));
    const low = lowPart<T>(load<f64>(means + (j << 3)));
    const invstd = load<f64>(invstds + (j << 3));
    const gradGamma = (load<f64>(products + (j << 3)) - low * sum) * invstd;
    if (dbeta != 0) store<T>(dbeta + column, <T>sum);
    if (dgamma != 0) store<T>(dgamma + column, <T>gradGamma);
    const weight = (invstd * gradGamma) / <f64>N;
    store<T>(scale + j * size, <T>(<f64>load<T>(gamma + column) * invstd));
    store<T>(weights + j * size, <T>weight);
    store<T>(shift + j * size, <T>(sum / <f64>N - low * weight));
  }
  if (dx == 0) return;
  let down = across;
  for (let i: usize = 0; i < N; i += 2) {
    const rows = min(N - i, 2);
    const to = dx + down;
    if (training) {
      gradientRows<T>(to, dout + down, x + down, step, rows, high, scale, weights, shift, columns);
    } else {
      scaleRow<T>(to, dout + down, scale, columns);
      if (rows == 2) scaleRow<T>(to + step, dout + down + step, scale, columns);
    }
    down += 2 * step;
  }
}
