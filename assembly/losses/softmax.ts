// Softmax (cross-entropy) loss: loss = −1/N Σₙ log softmax(x[n])[yₙ], dx = (softmax(x) − onehot(y)) / N.

import { log } from "../math/log";
import { expShifted, rowMax, scaleRow } from "../math/reduce";
import { MOST_TERMS, SHARED } from "../threads/queue";
import { addTerms, arg, leaveTerm, pass, split, splits } from "../threads/split";

/** Bytes of workspace for softmaxLoss: one row, for a call that leaves dx out. */
export function softmaxLossWorkBytes<T>(C: usize): usize {
  return C * sizeof<T>();
}

/** What row n adds to N · loss, and its dx. */
// @ts-ignore: decorator
@inline
function rowLoss<T>(dx: usize, x: usize, y: usize, work: usize, n: usize, N: usize, C: usize): f64 {
  const row = n * C * sizeof<T>();
  const label = <usize>load<u32>(y + (n << 2)) * sizeof<T>();
  assert(label < C * sizeof<T>());
  const most = rowMax<T>(x + row, C);
  const e = dx == 0 ? work : dx + row;
  const sum = expShifted<T>(e, x + row, most, C);
  if (dx != 0) {
    const atLabel = <f64>load<T>(e + label);
    const total = sum * <f64>N;
    scaleRow<T>(e, <T>(1 / total), C);
    store<T>(e + label, <T>((atLabel - sum) / total));
  }
  return log(sum) - (<f64>load<T>(x + row + label) - <f64>most);
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
  let n: usize = 0;
  if (SHARED && dx != 0) {
    while (splits(min(N - n, MOST_TERMS), 24 * C * sizeof<T>())) {
      pass(dx, x, y, N, C, n);
      split((from, count) => {
        for (let i: usize = 0; i < count; i++) {
          const n = arg(5) + from + i;
          leaveTerm(from + i, rowLoss<T>(arg(0), arg(1), arg(2), 0, n, arg(3), arg(4)));
        }
      });
      const rows = min(N - n, MOST_TERMS);
      loss = addTerms(loss, rows);
      n += rows;
    }
  }
  for (; n < N; n++) loss += rowLoss<T>(dx, x, y, work, n, N, C);
  return loss / <f64>N;
}
