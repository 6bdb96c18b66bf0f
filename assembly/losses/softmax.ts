// Softmax (cross-entropy) loss: loss = −1/N Σₙ log softmax(x[n])[yₙ], dx = (softmax(x) − onehot(y)) / N.

import { log } from "../math/log";
import { expShifted, rowMax, scaleRow } from "../math/reduce";

/** Bytes of workspace for softmaxLoss: one row, for a call that leaves dx out. */
export function softmaxLossWorkBytes<T>(C: usize): usize {
  return C * sizeof<T>();
}

/** The loss; dx is not written where its address is 0. N ≥ 1, 0 ≤ y < C. dx overlaps nothing. */
export function softmaxLoss<T>(
  dx: usize, // (N, C)
  x: usize, // (N, C)
  y: usize, // (N,) int32
  work: usize,
  N: usize,
  C: usize,
): f64 {
  let loss: f64 = 0;
  for (let n: usize = 0; n < N; n++) {
    const row = n * C * sizeof<T>();
    const label = <usize>load<u32>(y + (n << 2)) * sizeof<T>();
    assert(label < C * sizeof<T>());
    const most = rowMax<T>(x + row, C);
    const e = dx == 0 ? work : dx + row;
    const sum = expShifted<T>(e, x + row, most, C);
    loss += log(sum) - (<f64>load<T>(x + row + label) - <f64>most);
    if (dx != 0) {
      const atLabel = <f64>load<T>(e + label);
      const total = sum * <f64>N;
      scaleRow<T>(e, <T>(1 / total), C);
      store<T>(e + label, <T>((atLabel - sum) / total));
    }
  }
  return loss / <f64>N;
}
