// Softmax (cross-entropy) loss, with W = Σₙ wₙ; without weights wₙ is 1 and W is N:
//   loss = 1/W Σₙ wₙ · (−log softmax(x[n])[yₙ]),
//   dx[n] = wₙ/W · (softmax(x[n]) − onehot(yₙ)).

import { log } from "../math/log";
import { expShifted, rowMax, scaleRow } from "../math/reduce";
import { MOST_TERMS, SHARED } from "../threads/queue";
import { addTerms, jobOf, leaveTerm, planSplit, split } from "../threads/split";
import { weightOf } from "./weights";

/**
 * Returns how many bytes of workspace softmaxLoss needs: one row, for a call that leaves dx out.
 *
 * @kernel
 */
export function softmaxLossWorkBytes<T extends number>(C: usize): usize {
  return C * sizeof<T>();
}

/** Returns what row n adds to W · loss, and writes dx[n] unless dx is 0. @inline */
function rowLoss<T extends number>(
  dx: usize,
  x: usize,
  y: usize,
  weights: usize,
  work: usize,
  n: usize,
  C: usize,
  W: f64,
): f64 {
  const row = n * C * sizeof<T>();
  const weight = weightOf(weights, n);
  if (weight == 0) {
    if (dx != 0) memory.fill(dx + row, 0, C * sizeof<T>());
    return 0;
  }
  const label = <usize>load<u32>(y + (n << 2)) * sizeof<T>();
  assert(label < C * sizeof<T>());
  const most = rowMax<T>(x + row, C);
  const e = dx == 0 ? work : dx + row;
  const sum = expShifted<T>(e, x + row, most, C);
  if (dx != 0) {
    const atLabel = <f64>load<T>(e + label);
    const total = sum * (W / weight);
    scaleRow<T>(e, <T>(1 / total), C);
    store<T>(e + label, <T>((atLabel - sum) / total));
  }
  return weight * (log(sum) - (<f64>load<T>(x + row + label) - <f64>most));
}

@unmanaged
class RowsJob {
  dx: usize;
  x: usize;
  y: usize;
  weights: usize;
  C: usize;
  first: usize;
  W: f64;
}

/**
 * Returns the loss, and writes dx unless its address is 0. N ≥ 1, 0 ≤ y < C; dx overlaps nothing.
 * Without weights (address 0) the caller gives N as W. A row of weight 0 has no part in the loss,
 * whatever its scores are; where all weights are 0, the loss and dx are 0.
 *
 * @kernel
 */
export function softmaxLoss<T extends number>(
  dx: usize, // (N, C)
  x: usize, // (N, C)
  y: usize, // (N,) int32
  weights: usize, // (N,) float64 for either dtype, from 0 up
  work: usize,
  N: usize,
  C: usize,
  W: f64, // the sum of the weights
): f64 {
  let loss: f64 = 0;
  let n: usize = 0;
  if (SHARED && dx != 0) {
    while (planSplit(min(N - n, MOST_TERMS), 24 * C * sizeof<T>())) {
      const job = jobOf<RowsJob>();
      job.dx = dx;
      job.x = x;
      job.y = y;
      job.weights = weights;
      job.C = C;
      job.first = n;
      job.W = W;
      split((from, count) => {
        const job = jobOf<RowsJob>();
        for (let i = from; i < from + count; i++) {
          const n = job.first + i;
          const term = rowLoss<T>(job.dx, job.x, job.y, job.weights, 0, n, job.C, job.W);
          leaveTerm(i, term);
        }
      });
      const rows = min(N - n, MOST_TERMS);
      loss = addTerms(loss, rows);
      n += rows;
    }
  }
  for (; n < N; n++) loss += rowLoss<T>(dx, x, y, weights, work, n, C, W);
  return W == 0 ? 0 : loss / W;
}
