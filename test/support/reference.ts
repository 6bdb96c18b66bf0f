// Every operation of the library as plain float64 loops, with no eye to speed, and how far two
// arrays are apart. Arrays are row-major.

export type Numbers = ArrayLike<number>;

function zeros(n: number): number[] {
  return new Array<number>(n).fill(0);
}

/** out (N, M) = x (N, D) · w (D, M) + b (M,) */
export function affineForward(
  x: Numbers,
  w: Numbers,
  b: Numbers,
  [N, D, M]: readonly [number, number, number],
): number[] {
  const out = zeros(N * M);
  for (let n = 0; n < N; n++) {
    for (let m = 0; m < M; m++) {
      let sum = b[m]!;
      for (let d = 0; d < D; d++) sum += x[n * D + d]! * w[d * M + m]!;
      out[n * M + m] = sum;
    }
  }
  return out;
}

/** dx (N, D) = dout (N, M) · wᵀ, dw (D, M) = xᵀ · dout, db (M,) = Σₙ dout */
export function affineBackward(
  dout: Numbers,
  x: Numbers,
  w: Numbers,
  [N, D, M]: readonly [number, number, number],
): { dx: number[]; dw: number[]; db: number[] } {
  const [dx, dw, db] = [zeros(N * D), zeros(D * M), zeros(M)] as const;
  for (let n = 0; n < N; n++) {
    for (let m = 0; m < M; m++) {
      const d1 = dout[n * M + m]!;
      db[m]! += d1;
      for (let d = 0; d < D; d++) {
        dx[n * D + d]! += d1 * w[d * M + m]!;
        dw[d * M + m]! += x[n * D + d]! * d1;
      }
    }
  }
  return { dx, dw, db };
}

/** out = max(0, x); NaN stays NaN. */
export function reluForward(x: Numbers): number[] {
  return Array.from(x, (value) => Math.max(0, value));
}

/** dx = dout where x > 0, else 0 */
export function reluBackward(dout: Numbers, x: Numbers): number[] {
  return Array.from(x, (value, i) => (value > 0 ? dout[i]! : 0));
}

/** out = 1 / (1 + exp(−x)), by the form that keeps small results. */
export function sigmoidForward(x: Numbers): number[] {
  return Array.from(x, (v) => (v < 0 ? Math.exp(v) / (1 + Math.exp(v)) : 1 / (1 + Math.exp(-v))));
}

/** dx = dout · out · (1 − out) */
export function sigmoidBackward(dout: Numbers, out: Numbers): number[] {
  return Array.from(dout, (d, i) => d * (out[i]! * (1 - out[i]!)));
}

/** out = tanh(x) */
export function tanhForward(x: Numbers): number[] {
  return Array.from(x, Math.tanh);
}

/** dx = dout · (1 − out²) */
export function tanhBackward(dout: Numbers, out: Numbers): number[] {
  return Array.from(dout, (d, i) => d * ((1 - out[i]!) * (1 + out[i]!)));
}

/** out = x where x > 0, else slope · x */
export function leakyReluForward(x: Numbers, slope: number): number[] {
  return Array.from(x, (v) => (v > 0 ? v : slope * v));
}

/** dx = dout where x > 0, else slope · dout */
export function leakyReluBackward(dout: Numbers, x: Numbers, slope: number): number[] {
  return Array.from(dout, (d, i) => (x[i]! > 0 ? d : slope * d));
}

/** φ(x) = exp(−x²/2) / √(2π) */
export function normalDensity(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

/**
 * Φ(x): the tail as a continued fraction (Laplace, 1805), the middle as ½ + φ(x) · (x + x³/3 +
 * x⁵/(3·5) + …).
 */
export function normalCdf(x: number): number {
  if (Number.isNaN(x)) return x;
  const a = Math.abs(x);
  if (a === Infinity) return x > 0 ? 1 : 0;
  if (a > 1) {
    let fraction = a;
    for (let k = 1000; k > 0; k--) fraction = a + k / fraction;
    const tail = normalDensity(a) / fraction;
    return x < 0 ? tail : 1 - tail;
  }
  let [term, sum] = [x, x];
  for (let k = 3; k < 60; k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + normalDensity(x) * sum;
}

/** out = x · Φ(x) */
export function geluForward(x: Numbers): number[] {
  return Array.from(x, (v) => v * normalCdf(v));
}

/** dx = dout · (Φ(x) + x · φ(x)) */
export function geluBackward(dout: Numbers, x: Numbers): number[] {
  return Array.from(dout, (d, i) => d * (normalCdf(x[i]!) + x[i]! * normalDensity(x[i]!)));
}

/** out (N, C) = exp(x) / Σ exp(x) by rows */
export function softmaxForward(x: Numbers, [N, C]: readonly [number, number]): number[] {
  const out: number[] = [];
  for (let n = 0; n < N; n++) {
    const row = Array.from(x).slice(n * C, n * C + C);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const exponentials = row.map((value) => Math.exp(value - most));
    const sum = exponentials.reduce((a, b) => a + b, 0);
    out.push(...exponentials.map((value) => value / sum));
  }
  return out;
}

/** dx = out · (dout − Σ dout · out) by rows */
export function softmaxBackward(dout: Numbers, out: Numbers, C: number): number[] {
  return Array.from(dout, (d, i) => {
    const row = i - (i % C);
    let sum = 0;
    for (let j = row; j < row + C; j++) sum += dout[j]! * out[j]!;
    return out[i]! * (d - sum);
  });
}

/** out (N, C) = x − log Σ exp(x) by rows */
export function logSoftmaxForward(x: Numbers, [N, C]: readonly [number, number]): number[] {
  const out: number[] = [];
  for (let n = 0; n < N; n++) {
    const row = Array.from(x).slice(n * C, n * C + C);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = row.map((value) => Math.exp(value - most)).reduce((a, b) => a + b, 0);
    out.push(...row.map((value) => value - most - Math.log(sum)));
  }
  return out;
}

/** dx = dout − exp(out) · Σ dout by rows */
export function logSoftmaxBackward(dout: Numbers, out: Numbers, C: number): number[] {
  return Array.from(dout, (d, i) => {
    const row = i - (i % C);
    let sum = 0;
    for (let j = row; j < row + C; j++) sum += dout[j]!;
    return d - Math.exp(out[i]!) * sum;
  });
}

/** out = x where x > 0, else slope · x, of x (N, C, L) with slope (C,) */
export function preluForward(x: Numbers, slope: Numbers, L: number): number[] {
  return Array.from(x, (v, i) => (v > 0 ? v : slope[Math.floor(i / L) % slope.length]! * v));
}

/** dx = dout where x > 0, else slope · dout; dslope = Σ dout · x where x ≤ 0 */
export function preluBackward(
  dout: Numbers,
  x: Numbers,
  slope: Numbers,
  L: number,
): { dx: number[]; dslope: number[] } {
  const dslope = zeros(slope.length);
  const dx = Array.from(dout, (d, i) => {
    const c = Math.floor(i / L) % slope.length;
    if (x[i]! > 0) return d;
    dslope[c]! += d * x[i]!;
    return slope[c]! * d;
  });
  return { dx, dslope };
}

/** out (N, D) = (x − mean) / std by columns */
export function normalizeForward(x: Numbers, mean: Numbers, std: Numbers): number[] {
  return Array.from(x, (v, i) => (v - mean[i % mean.length]!) / std[i % std.length]!);
}

/** dx = dout / std */
export function normalizeBackward(dout: Numbers, std: Numbers): number[] {
  return Array.from(dout, (d, i) => d / std[i % std.length]!);
}

/** (D,) each */
export interface Statistics {
  mean: number[];
  variance: number[];
}

/** The mean and the biased variance of each column of x (N, D). */
export function columnStatistics(x: Numbers, [N, D]: readonly [number, number]): Statistics {
  const [mean, variance] = [zeros(D), zeros(D)];
  for (let j = 0; j < D; j++) {
    for (let n = 0; n < N; n++) mean[j]! += x[n * D + j]! / N;
    for (let n = 0; n < N; n++) variance[j]! += (x[n * D + j]! - mean[j]!) ** 2 / N;
  }
  return { mean, variance };
}

/** xNorm (N, D) = (x − mean) / sqrt(variance + eps) */
function normalise(x: Numbers, { mean, variance }: Statistics, eps: number): number[] {
  const D = mean.length;
  return Array.from(x, (value, i) => (value - mean[i % D]!) / Math.sqrt(variance[i % D]! + eps));
}

/**
 * out (N, D) = gamma · xNorm + beta, by the batch's own statistics in training, else by the running
 * ones.
 */
export function batchnormForward(
  x: Numbers,
  gamma: Numbers,
  beta: Numbers,
  statistics: Statistics,
  eps: number,
): number[] {
  const D = gamma.length;
  return normalise(x, statistics, eps).map((value, i) => gamma[i % D]! * value + beta[i % D]!);
}

/** momentum · running + (1 − momentum) · batch; a batch of one example moves nothing */
export function movedRunning(
  running: Numbers,
  batch: Numbers,
  momentum: number,
  N: number,
): number[] {
  if (N === 1) return Array.from(running);
  return Array.from(running, (old, j) => momentum * old + (1 - momentum) * batch[j]!);
}

/** dgamma = Σ dout · xNorm, dbeta = Σ dout; in test mode the statistics are constants to dx. */
export function batchnormBackward(
  dout: Numbers,
  x: Numbers,
  gamma: Numbers,
  statistics: Statistics,
  eps: number,
  mode: "train" | "test",
): { dx: number[]; dgamma: number[]; dbeta: number[] } {
  const D = gamma.length;
  const N = x.length / D;
  const xNorm = normalise(x, statistics, eps);
  const [dgamma, dbeta] = [zeros(D), zeros(D)];
  for (let i = 0; i < x.length; i++) {
    dgamma[i % D]! += dout[i]! * xNorm[i]!;
    dbeta[i % D]! += dout[i]!;
  }
  const dx = xNorm.map((value, i) => {
    const j = i % D;
    const std = Math.sqrt(statistics.variance[j]! + eps);
    if (mode === "test") return (dout[i]! * gamma[j]!) / std;
    return (gamma[j]! / (N * std)) * (N * dout[i]! - dbeta[j]! - value * dgamma[j]!);
  });
  return { dx, dgamma, dbeta };
}

/** The mask that these draws give: (r >= p) / (1 − p). */
export function dropoutMask(draws: Numbers, p: number): number[] {
  return Array.from(draws, (r) => (r >= p ? 1 / (1 - p) : 0));
}

/** a · b: dropout's out = x · mask and dx = dout · mask. */
export function product(a: Numbers, b: Numbers): number[] {
  return Array.from(a, (value, i) => value * b[i]!);
}

/** What each row counts in a loss: the share of its weight; a row of weight 0 has no part in it. */
function sharesOf(y: Numbers, N: number, classWeights: Numbers | undefined): number[] {
  const weights = Array.from({ length: N }, (_, n) => classWeights?.[y[n]!] ?? 1);
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => (weight === 0 ? 0 : weight / sum));
}

/**
 * loss = Σₙ wₙ Σ_{j ≠ yₙ} max(0, x[n,j] − x[n,yₙ] + 1) / Σₙ wₙ with wₙ the weight of yₙ, and its
 * gradient
 */
export function svmLoss(
  x: Numbers,
  y: Numbers,
  [N, C]: readonly [number, number],
  classWeights?: Numbers,
): { loss: number; dx: number[] } {
  let loss = 0;
  const dx = zeros(N * C);
  const shares = sharesOf(y, N, classWeights);
  for (let n = 0; n < N; n++) {
    const share = shares[n]!;
    if (share === 0) continue;
    const own = n * C + y[n]!;
    for (let i = n * C; i < (n + 1) * C; i++) {
      if (i === own) continue;
      const margin = x[i]! - x[own]! + 1;
      loss += Math.max(0, margin) * share;
      if (margin > 0) {
        dx[i]! += share;
        dx[own]! -= share;
      }
    }
  }
  return { loss, dx };
}

/** loss = Σₙ wₙ · (−log softmax(x[n])[yₙ]) / Σₙ wₙ with wₙ the weight of yₙ, and its gradient */
export function softmaxLoss(
  x: Numbers,
  y: Numbers,
  [N, C]: readonly [number, number],
  classWeights?: Numbers,
): { loss: number; dx: number[] } {
  let loss = 0;
  const dx = zeros(N * C);
  const shares = sharesOf(y, N, classWeights);
  for (let n = 0; n < N; n++) {
    const share = shares[n]!;
    if (share === 0) continue;
    const row = Array.from(x).slice(n * C, n * C + C);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const exponentials = row.map((value) => Math.exp(value - most));
    const sum = exponentials.reduce((a, b) => a + b, 0);
    loss += (Math.log(sum) - (row[y[n]!]! - most)) * share;
    for (let j = 0; j < C; j++) {
      dx[n * C + j] = (exponentials[j]! / sum - (j === y[n] ? 1 : 0)) * share;
    }
  }
  return { loss, dx };
}

/** loss = mean of max(x, 0) − x · y + log(1 + exp(−|x|)), dx = (sigmoid(x) − y) / n */
export function bceWithLogitsLoss(x: Numbers, y: Numbers): { loss: number; dx: number[] } {
  const n = x.length;
  let loss = 0;
  for (let i = 0; i < n; i++) {
    loss += Math.max(x[i]!, 0) - x[i]! * y[i]! + Math.log1p(Math.exp(-Math.abs(x[i]!)));
  }
  return { loss: loss / n, dx: sigmoidForward(x).map((p, i) => (p - y[i]!) / n) };
}

/** loss = mean of (x − y)², dx = 2 · (x − y) / n */
export function mseLoss(x: Numbers, y: Numbers): { loss: number; dx: number[] } {
  const differences = Array.from(x, (v, i) => v - y[i]!);
  const n = x.length;
  return {
    loss: differences.reduce((sum, d) => sum + d * d, 0) / n,
    dx: differences.map((d) => (2 * d) / n),
  };
}

/** Normal with mean 0 and deviation 1, from uniform draws: Box and Muller. */
export function normals(n: number, random: () => number): number[] {
  return Array.from(
    { length: n },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}

/**
 * The largest |actual − expected| / scale. The scale is one number, by default the largest
 * |expected|, or one for each element. Equal values, NaNs and infinities included, are 0 apart; a
 * NaN or an infinity on one side alone, or another length, are Infinity apart.
 */
export function deviation(
  actual: Numbers,
  expected: Numbers,
  scale: Numbers | number = magnitude(expected),
): number {
  if (actual.length !== expected.length) return Infinity;
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (a === e || (Number.isNaN(a) && Number.isNaN(e))) continue;
    const apart = Math.abs(a - e) / (typeof scale === "number" ? scale : scale[i]!);
    most = Math.max(most, Number.isNaN(apart) ? Infinity : apart);
  }
  return most;
}

/** The largest finite |value|. */
export function magnitude(values: Numbers): number {
  return absolute(values).reduce((a, b) => (b < Infinity ? Math.max(a, b) : a), 0);
}

export function absolute(values: Numbers): number[] {
  return Array.from(values, Math.abs);
}

/** An image (H, W, C) and the window that goes over it: the fields of assembly/abi/window.ts. */
export interface WindowSizes {
  H: number;
  W: number;
  C: number;
  OH: number;
  OW: number;
  F: number;
  KH: number;
  KW: number;
  SH: number;
  SW: number;
  top: number;
  left: number;
  DH: number;
  DW: number;
  groups: number;
}

/**
 * Visits every product of a convolution of N images, channels last: the places of its factors in x (N, H, W, C) and w
 * (KH, KW, C/groups, F), and of its sum in out (N, OH, OW, F).
 */
function visitProducts(
  s: WindowSizes,
  N: number,
  visit: (x: number, w: number, out: number) => void,
): void {
  const { H, W, C, OH, OW, F, KH, KW, groups } = s;
  const [depth, columns] = [C / groups, F / groups];
  for (let out = 0; out < N * OH * OW * F; out++) {
    const f = out % F;
    const j = Math.floor(out / F) % OW;
    const i = Math.floor(out / F / OW) % OH;
    const n = Math.floor(out / F / OW / OH);
    const first = Math.floor(f / columns) * depth;
    for (let u = 0; u < KH; u++) {
      const y = i * s.SH + u * s.DH - s.top;
      for (let v = 0; v < KW && y >= 0 && y < H; v++) {
        const z = j * s.SW + v * s.DW - s.left;
        if (z < 0 || z >= W) continue;
        for (let c = 0; c < depth; c++) {
          const x = ((n * H + y) * W + z) * C + first + c;
          visit(x, ((u * KW + v) * depth + c) * F + f, out);
        }
      }
    }
  }
}

/** out (N, OH, OW, F) = the convolution of x (N, H, W, C) with w (KH, KW, C/groups, F), + b (F,) */
export function conv2dForward(
  x: Numbers,
  w: Numbers,
  b: Numbers | null,
  s: WindowSizes,
  N: number,
): number[] {
  const out = Array.from({ length: N * s.OH * s.OW * s.F }, (_, i) => b?.[i % s.F] ?? 0);
  visitProducts(s, N, (i, j, to) => {
    out[to]! += x[i]! * w[j]!;
  });
  return out;
}

/** dx, dw and db (F,) = Σ dout, the gradients of conv2dForward's sum. */
export function conv2dBackward(
  dout: Numbers,
  x: Numbers,
  w: Numbers,
  s: WindowSizes,
  N: number,
): { dx: number[]; dw: number[]; db: number[] } {
  const dx = zeros(N * s.H * s.W * s.C);
  const dw = zeros((s.KH * s.KW * s.C * s.F) / s.groups);
  const db = zeros(s.F);
  visitProducts(s, N, (i, j, to) => {
    dx[i]! += dout[to]! * w[j]!;
    dw[j]! += dout[to]! * x[i]!;
  });
  for (let i = 0; i < dout.length; i++) db[i % s.F]! += dout[i]!;
  return { dx, dw, db };
}

/**
 * out (N, H, W, C) = the transposed convolution of x (N, OH, OW, F) with w (KH, KW, C/groups, F), + b (C,): each value
 * of x is spread over its window of the image.
 */
export function convTranspose2dForward(
  x: Numbers,
  w: Numbers,
  b: Numbers | null,
  s: WindowSizes,
  N: number,
): number[] {
  const out = Array.from({ length: N * s.H * s.W * s.C }, (_, i) => b?.[i % s.C] ?? 0);
  visitProducts(s, N, (to, j, i) => {
    out[to]! += x[i]! * w[j]!;
  });
  return out;
}

/** dx (N, OH, OW, F), dw and db (C,) = Σ dout, the gradients of convTranspose2dForward's sum. */
export function convTranspose2dBackward(
  dout: Numbers,
  x: Numbers,
  w: Numbers,
  s: WindowSizes,
  N: number,
): { dx: number[]; dw: number[]; db: number[] } {
  const dx = zeros(N * s.OH * s.OW * s.F);
  const dw = zeros((s.KH * s.KW * s.C * s.F) / s.groups);
  const db = zeros(s.C);
  visitProducts(s, N, (from, j, to) => {
    dx[to]! += dout[from]! * w[j]!;
    dw[j]! += dout[from]! * x[to]!;
  });
  for (let i = 0; i < dout.length; i++) db[i % s.C]! += dout[i]!;
  return { dx, dw, db };
}

export {
  gruBackward,
  gruForward,
  lstmBackward,
  lstmForward,
  rnnBackward,
  rnnForward,
} from "./recurrent.ts";

/** out (…, D) = the rows of w (V, D) with these numbers */
export function embeddingForward(indices: Numbers, w: Numbers, D: number): number[] {
  return Array.from(indices).flatMap((index) =>
    Array.from({ length: D }, (_, j) => w[index * D + j]!),
  );
}

/** dw (V, D): for each row the sum of the rows of dout whose index it is, in their order. */
export function embeddingBackward(
  dout: Numbers,
  indices: Numbers,
  [V, D]: readonly [number, number],
): number[] {
  const dw = zeros(V * D);
  for (let i = 0; i < indices.length; i++) {
    for (let j = 0; j < D; j++) dw[indices[i]! * D + j]! += dout[i * D + j]!;
  }
  return dw;
}

/** The sizes and settings of attention, and what is added to the score of query i and key j. */
export interface Attending {
  readonly N: number;
  readonly T: number;
  readonly S: number;
  readonly E: number;
  readonly heads: number;
  readonly causal?: boolean;
  readonly mask?: (n: number, i: number, j: number) => number;
}

/** For each example, head and query the softmax of its scores, or zeros where no key serves it. */
export function attentionWeights(q: Numbers, k: Numbers, given: Attending): number[][] {
  const { N, T, S, E, heads, causal = false, mask = () => 0 } = given;
  const d = E / heads;
  const rows: number[][] = [];
  for (let n = 0; n < N; n++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < T; i++) {
        const scores = Array.from({ length: S }, (_, j) => {
          if (causal && j > i + S - T) return -Infinity;
          let sum = 0;
          for (let c = h * d; c < (h + 1) * d; c++) {
            sum += q[(n * T + i) * E + c]! * k[(n * S + j) * E + c]!;
          }
          return sum / Math.sqrt(d) + mask(n, i, j);
        });
        const most = Math.max(...scores);
        const powers = scores.map((score) => (most === -Infinity ? 0 : Math.exp(score - most)));
        const total = powers.reduce((a, b) => a + b, 0);
        rows.push(powers.map((power) => (total === 0 ? 0 : power / total)));
      }
    }
  }
  return rows;
}

/** out (N, T, E): of each head the values, weighted by the softmax of the scores. */
export function attentionForward(q: Numbers, k: Numbers, v: Numbers, given: Attending): number[] {
  const { N, T, S, E, heads } = given;
  const d = E / heads;
  const weights = attentionWeights(q, k, given);
  const out = zeros(N * T * E);
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < T; i++) {
      for (let c = 0; c < E; c++) {
        const row = weights[(n * heads + Math.floor(c / d)) * T + i]!;
        for (let j = 0; j < S; j++) out[(n * T + i) * E + c]! += row[j]! * v[(n * S + j) * E + c]!;
      }
    }
  }
  return out;
}

/** dq (N, T, E), dk and dv (N, S, E), by the chain rule through the weights. */
export function attentionBackward(
  dout: Numbers,
  q: Numbers,
  k: Numbers,
  v: Numbers,
  given: Attending,
): { dq: number[]; dk: number[]; dv: number[] } {
  const { N, T, S, E, heads } = given;
  const d = E / heads;
  const weights = attentionWeights(q, k, given);
  const [dq, dk, dv] = [zeros(N * T * E), zeros(N * S * E), zeros(N * S * E)] as const;
  for (let n = 0; n < N; n++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < T; i++) {
        const row = weights[(n * heads + h) * T + i]!;
        const at = (n * T + i) * E;
        const dp = row.map((_, j) => {
          let sum = 0;
          for (let c = h * d; c < (h + 1) * d; c++) sum += dout[at + c]! * v[(n * S + j) * E + c]!;
          return sum;
        });
        const mean = row.reduce((sum, p, j) => sum + p * dp[j]!, 0);
        for (let j = 0; j < S; j++) {
          const ds = (row[j]! * (dp[j]! - mean)) / Math.sqrt(d);
          for (let c = h * d; c < (h + 1) * d; c++) {
            dq[at + c]! += ds * k[(n * S + j) * E + c]!;
            dk[(n * S + j) * E + c]! += ds * q[at + c]!;
            dv[(n * S + j) * E + c]! += row[j]! * dout[at + c]!;
          }
        }
      }
    }
  }
  return { dq, dk, dv };
}
