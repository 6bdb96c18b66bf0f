// Binary cross-entropy from scores: the mean over all elements of −y · log p − (1 − y) · log(1 −
// p), p = sigmoid(x), computed as max(x, 0) − x · y + log(1 + exp(−|x|)), which no score makes
// overflow. float64 throughout for either dtype.

import { exp } from "../math/exp";
import { log1p } from "../math/log1p";
import { loadF64x2, storeF64x2 } from "../simd";
import { MOST_TERMS, SHARED, terms } from "../threads/queue";
import { jobOf, planSplit, split } from "../threads/split";

/** Returns what elements i and i + 1 add to n · loss, and writes their dx. @inline */
function pairLoss<T extends number>(
  dx: usize,
  x: usize,
  y: usize,
  i: usize,
  n: usize,
  count: v128,
): v128 {
  const zero = f64x2.splat(0);
  const one = f64x2.splat(1);
  const at = i * sizeof<T>();
  const lanes = min(n - i, 2);
  const score = loadF64x2<T>(x + at, lanes);
  const target = loadF64x2<T>(y + at, lanes);
  const e = exp<f64>(f64x2.neg(f64x2.abs(score)));
  const linear = f64x2.sub(f64x2.pmax(score, zero), f64x2.mul(score, target));
  // The lane beyond the end holds log 2.
  const whole = f64x2.add(linear, log1p<f64>(e));
  const term = lanes == 2 ? whole : v128.and(whole, i64x2(-1, 0));
  if (dx != 0) {
    // sigmoid(x) − y over the common denominator 1 + e, so that a small difference keeps its
    // digits.
    const isNegative = f64x2.lt(score, zero);
    const p = v128.bitselect(e, one, isNegative);
    const q = v128.bitselect(one, e, isNegative);
    const numerator = f64x2.sub(f64x2.mul(p, f64x2.sub(one, target)), f64x2.mul(q, target));
    const denominator = f64x2.mul(f64x2.add(one, e), count);
    storeF64x2<T>(dx + at, f64x2.div(numerator, denominator), lanes);
  }
  return term;
}

@unmanaged
class PairsJob {
  dx: usize;
  x: usize;
  y: usize;
  n: usize;
  first: usize;
}

/**
 * Returns the loss. dx = (sigmoid(x) − y) / n is not written if its address is 0. n ≥ 1; dx
 * overlaps nothing.
 *
 * @kernel
 */
export function bceWithLogitsLoss<T extends number>(
  dx: usize, // (n,)
  x: usize, // (n,)
  y: usize, // (n,) in [0, 1]
  n: usize,
): f64 {
  const count = f64x2.splat(<f64>n);
  let sum = f64x2.splat(0);
  let i: usize = 0;
  if (SHARED) {
    while (planSplit(min(n - i, MOST_TERMS), 48 * sizeof<f64>(), 16)) {
      const job = jobOf<PairsJob>();
      job.dx = dx;
      job.x = x;
      job.y = y;
      job.n = n;
      job.first = i;
      split((from, count) => {
        const job = jobOf<PairsJob>();
        const all = f64x2.splat(<f64>job.n);
        for (let j = from; j < from + count; j += 2) {
          const term = pairLoss<T>(job.dx, job.x, job.y, job.first + j, job.n, all);
          v128.store(terms() + (j << 3), term);
        }
      });
      const elements = min(n - i, MOST_TERMS);
      for (let j: usize = 0; j < elements; j += 2) {
        sum = f64x2.add(sum, v128.load(terms() + (j << 3)));
      }
      i += elements;
    }
  }
  for (; i < n; i += 2) sum = f64x2.add(pairLoss<T>(dx, x, y, i, n, count), sum);
  return (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)) / <f64>n;
}
