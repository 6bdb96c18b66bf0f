// Softmax, or its logarithm, of rows whose elements are S apart: along an axis that is not the last
// one. It goes by single elements, as such rows are rare, and has the core's sums in float64.

import { expLanes } from "../math/exp";
import { logOfSum } from "../math/log1p";

/** Returns exp(x) of one element. */
function expOf<T extends number>(x: T): T {
  return v128.extract_lane<T>(expLanes<T>(v128.splat<T>(x)), 0);
}

/** Returns where row n of rows (N / S, C, S) begins, in bytes. @inline */
function rowAt<T extends number>(n: usize, C: usize, S: usize): usize {
  return ((n / S) * C * S + (n % S)) * sizeof<T>();
}

/** N rows of C elements; out may not be x. */
export function stridedForward<T extends number>(
  out: usize, // (N / S, C, S)
  x: usize, // (N / S, C, S)
  N: usize,
  C: usize,
  S: usize,
  isLog: bool,
): void {
  const step = S * sizeof<T>();
  for (let n: usize = 0; n < N; n++) {
    const from = rowAt<T>(n, C, S);
    const end = from + C * step;
    let most = <T>-Infinity;
    for (let p = from; p != end; p += step) {
      const v = load<T>(x + p);
      most = most < v ? v : most; // a NaN is passed over, as by rowMax
    }
    let sum: f64 = 0;
    for (let p = from; p != end; p += step) {
      const e = expOf<T>(<T>(load<T>(x + p) - most));
      sum += <f64>e;
      store<T>(out + p, e);
    }
    const total = isLog ? logOfSum<T>(sum) : <T>(1 / sum);
    for (let p = from; p != end; p += step) {
      const result = isLog ? load<T>(x + p) - most - total : load<T>(out + p) * total;
      store<T>(out + p, <T>result);
    }
  }
}

/** As softmaxBackward, or logSoftmaxBackward. dx may be dout. */
export function stridedBackward<T extends number>(
  dx: usize, // (N / S, C, S)
  dout: usize, // (N / S, C, S)
  out: usize, // (N / S, C, S)
  N: usize,
  C: usize,
  S: usize,
  isLog: bool,
): void {
  const step = S * sizeof<T>();
  for (let n: usize = 0; n < N; n++) {
    const from = rowAt<T>(n, C, S);
    const end = from + C * step;
    let sum: f64 = 0;
    for (let p = from; p != end; p += step) {
      sum += <f64>load<T>(dout + p) * (isLog ? 1 : <f64>load<T>(out + p));
    }
    const total = <T>sum;
    for (let p = from; p != end; p += step) {
      const up = load<T>(dout + p);
      const own = load<T>(out + p);
      store<T>(dx + p, <T>(isLog ? up - expOf<T>(own) * total : own * (up - total)));
    }
  }
}
