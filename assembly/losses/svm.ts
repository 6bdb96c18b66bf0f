// Multiclass support vector machine (hinge) loss of Weston and Watkins (1999) with margin 1:
//   loss = 1/W Σₙ wₙ · Σ_{j ≠ yₙ} max(0, x[n,j] − x[n,yₙ] + 1), with W = Σₙ wₙ.
// Without weights wₙ is 1 and W is N. Margins are float64 for either dtype.

import { loadF64x2, storeF64x2 } from "../simd";
import { MOST_TERMS, SHARED } from "../threads/queue";
import { addTerms, jobOf, leaveTerm, planSplit, split } from "../threads/split";
import { weightOf } from "./weights";

/** Returns what row n adds to W · loss, and writes dx[n] unless dx is 0. @inline */
function rowLoss<T extends number>(
  dx: usize,
  x: usize,
  y: usize,
  weights: usize,
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
  const rows = W / weight;
  const share = f64x2.splat(1 / rows);
  const zero = f64x2.splat(0);
  const one = f64x2.splat(1);
  const label = <usize>load<u32>(y + (n << 2));
  assert(label < C);
  const own = f64x2.splat(<f64>load<T>(x + row + label * sizeof<T>()));
  const ownIndex = f64x2.splat(<f64>label);
  let index = f64x2(0, 1);
  let sum = zero;
  let count = zero;
  for (let j: usize = 0; j < C; j += 2) {
    const lanes = min(C - j, 2);
    const at = row + j * sizeof<T>();
    // The lanes of the row count, except the label's own.
    const counts = v128.and(f64x2.ne(index, ownIndex), f64x2.lt(index, f64x2.splat(<f64>C)));
    const margin = f64x2.add(f64x2.sub(loadF64x2<T>(x + at, lanes), own), one);
    // pmax keeps a NaN.
    sum = f64x2.add(sum, v128.and(counts, f64x2.pmax(margin, zero)));
    const positive = v128.and(counts, f64x2.gt(margin, zero));
    count = f64x2.add(count, v128.and(positive, one));
    if (dx != 0) storeF64x2<T>(dx + at, v128.and(positive, share), lanes);
    index = f64x2.add(index, f64x2.splat(2));
  }
  if (dx != 0) {
    const positives = f64x2.extract_lane(count, 0) + f64x2.extract_lane(count, 1);
    store<T>(dx + row + label * sizeof<T>(), <T>((0 - positives) / rows));
  }
  return weight * (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
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
export function svmLoss<T extends number>(
  dx: usize, // (N, C)
  x: usize, // (N, C)
  y: usize, // (N,) int32
  weights: usize, // (N,) float64 for either dtype, from 0 up
  N: usize,
  C: usize,
  W: f64, // the sum of the weights
): f64 {
  let loss: f64 = 0;
  let n: usize = 0;
  if (SHARED) {
    while (planSplit(min(N - n, MOST_TERMS), 8 * C * sizeof<T>())) {
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
          const term = rowLoss<T>(job.dx, job.x, job.y, job.weights, n, job.C, job.W);
          leaveTerm(i, term);
        }
      });
      const rows = min(N - n, MOST_TERMS);
      loss = addTerms(loss, rows);
      n += rows;
    }
  }
  for (; n < N; n++) loss += rowLoss<T>(dx, x, y, weights, n, C, W);
  return W == 0 ? 0 : loss / W;
}
