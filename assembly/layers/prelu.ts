// ReLU with a learned slope for each channel: x where x > 0, and slope · x elsewhere. Its
// derivative at 0 is the slope. He et al., "Delving Deep into Rectifiers", 2015, arXiv:1502.01852.
//
// x is (N, C, L): C channels, of which each has L elements in a row. Channels that come last are
// L = 1, and one slope for all elements is N = C = 1.

import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";
import { leakyReluBackward } from "./leaky_relu";

@unmanaged
class RowsJob {
  out: usize;
  v: usize;
  x: usize;
  slope: usize;
  C: usize;
}

/** out (N, C) = v where x > 0, else v · slope, for channels that come last. */
function scaleRows<T extends number>(
  out: usize,
  v: usize,
  x: usize,
  slope: usize, // (C,)
  N: usize,
  C: usize,
): void {
  if (SHARED && planSplit(N, 2 * C * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.out = out;
    job.v = v;
    job.x = x;
    job.slope = slope;
    job.C = C;
    split((from, N) => {
      const job = jobOf<RowsJob>();
      const first = from * job.C;
      const out = at<T>(job.out, first);
      scaleRows<T>(out, at<T>(job.v, first), at<T>(job.x, first), job.slope, N, job.C);
    });
    return;
  }
  const zero = v128.splat<T>(<T>0);
  for (let n: usize = 0; n < N; n++) {
    for (let c: usize = 0; c < C; c += LANES<T>()) {
      const p = c * sizeof<T>();
      const lanes = min(C - c, LANES<T>());
      const value = loadLanes<T>(v + p, lanes);
      const below = v128.mul<T>(value, loadLanes<T>(slope + p, lanes));
      const isAbove = v128.gt<T>(loadLanes<T>(x + p, lanes), zero);
      storeLanes<T>(out + p, v128.bitselect(value, below, isAbove), lanes);
    }
    out += C * sizeof<T>();
    v += C * sizeof<T>();
    x += C * sizeof<T>();
  }
}

/** out = v where x > 0, else v · slope. */
function scale<T extends number>(
  out: usize, // (N, C, L)
  v: usize, // (N, C, L)
  x: usize, // (N, C, L)
  slope: usize, // (C,)
  N: usize,
  C: usize,
  L: usize,
): void {
  if (L == 1) {
    scaleRows<T>(out, v, x, slope, N, C);
    return;
  }
  const bytes = L * sizeof<T>();
  for (let n: usize = 0; n < N; n++) {
    for (let c: usize = 0; c < C; c++) {
      leakyReluBackward<T>(out, v, x, L, <f64>load<T>(slope + c * sizeof<T>()));
      out += bytes;
      v += bytes;
      x += bytes;
    }
  }
}

/** out may be x, but the backward needs x. @kernel */
export function preluForward<T extends number>(
  out: usize, // (N, C, L)
  x: usize, // (N, C, L)
  slope: usize, // (C,)
  N: usize,
  C: usize,
  L: usize,
): void {
  scale<T>(out, x, x, slope, N, C, L);
}

/** Channels that come last. @operation prelu @inline */
export function preluRows<T extends number>(
  out: usize, // (N, C)
  x: usize, // (N, C)
  slope: usize, // (C,)
  N: usize,
  C: usize,
): void {
  scaleRows<T>(out, x, x, slope, N, C);
}

/**
 * dx = dout where x > 0, else dout · slope; dslope is the sum of dout · x where x ≤ 0, in float64.
 * dx may be dout. An output whose address is 0 is not computed.
 *
 * @kernel
 */
export function preluBackward<T extends number>(
  dx: usize, // (N, C, L)
  dslope: usize, // (C,)
  dout: usize, // (N, C, L)
  x: usize, // (N, C, L)
  slope: usize, // (C,)
  N: usize,
  C: usize,
  L: usize,
): void {
  // Before dx, which may be where dout is.
  for (let c: usize = 0; dslope != 0 && c < C; c++) {
    let sum: f64 = 0;
    for (let n: usize = 0; n < N; n++) {
      const first = (n * C + c) * L;
      for (let i = first; i < first + L; i++) {
        const value = load<T>(x + i * sizeof<T>());
        if (!(value > 0)) sum += <f64>value * <f64>load<T>(dout + i * sizeof<T>());
      }
    }
    store<T>(dslope + c * sizeof<T>(), <T>sum);
  }
  if (dx != 0) scale<T>(dx, dout, x, slope, N, C, L);
}
