// What elementwise activations have in common: the loop over vectors with its tail, and the split
// among threads. A kernel names a function of lanes, which is called through the table: that costs
// little beside an exponential, and a kernel is a few bytes.

import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

/**
 * A function of this type computes result lanes from lanes of one or two operands and from two
 * numbers, which are in every lane.
 */
export type Lanes = (v: v128, x: v128, a: v128, b: v128) => v128;

@unmanaged
class LanesJob {
  f: u32;
  out: usize;
  v: usize;
  x: usize;
  a: f64;
  b: f64;
  cost: usize;
}

/**
 * out = f(v, x, a, b), element by element; out may be v or x. A kernel of one operand gives it as
 * both. `f` is the index of a function of lanes, and `cost` what one element is for planSplit: an
 * exponential is 16 · sizeof<T>().
 */
export function mapLanes<T extends number>(
  f: u32,
  out: usize, // (n,)
  v: usize, // (n,)
  x: usize, // (n,)
  n: usize,
  a: f64 = 0,
  b: f64 = 0,
  cost: usize = 16 * sizeof<T>(),
): void {
  if (SHARED && planSplit(n, cost, 16)) {
    const job = jobOf<LanesJob>();
    job.f = f;
    job.out = out;
    job.v = v;
    job.x = x;
    job.a = a;
    job.b = b;
    job.cost = cost;
    split((from, n) => {
      const job = jobOf<LanesJob>();
      const out = at<T>(job.out, from);
      const v = at<T>(job.v, from);
      const x = at<T>(job.x, from);
      mapLanes<T>(job.f, out, v, x, n, job.a, job.b, job.cost);
    });
    return;
  }
  const as = v128.splat<T>(<T>a);
  const bs = v128.splat<T>(<T>b);
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    const operand = loadLanes<T>(v, lanes);
    const other = loadLanes<T>(x, lanes);
    storeLanes<T>(out, call_indirect<v128>(f, operand, other, as, bs), lanes);
    out += 16;
    v += 16;
    x += 16;
  }
}

/** Returns what one element costs of a function that has no exponential. @inline */
export function lightCost<T extends number>(): usize {
  return 2 * sizeof<T>();
}
