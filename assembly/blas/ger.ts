// The product of a column and a row, which has one multiplication an element and is as fast as
// memory takes it.

import { LANES, loadTail, multiplyAdd, storeTail } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

/** Returns 0 + a · b, which is never −0. @inline */
function product<T extends number>(a: v128, b: v128): v128 {
  return multiplyAdd<T>(a, b, v128.splat<T>(<T>0));
}

@unmanaged
class RowsJob {
  c: usize;
  a: usize;
  inca: usize;
  b: usize;
  row: usize;
  N: usize;
  floor: f64;
}

/**
 * c (M, N) = max(a (M,) · b (N,) + row (N,), floor), as gemm with K = 1; a's elements are inca
 * apart.
 */
export function ger<T extends number>(
  c: usize,
  a: usize,
  inca: usize,
  b: usize,
  row: usize,
  floor: T,
  M: usize,
  N: usize,
): void {
  if (SHARED && planSplit(M, (N * sizeof<T>()) / 4)) {
    const job = jobOf<RowsJob>();
    job.c = c;
    job.a = a;
    job.inca = inca;
    job.b = b;
    job.row = row;
    job.N = N;
    job.floor = floor;
    split((from, M) => {
      const job = jobOf<RowsJob>();
      const c = at<T>(job.c, from * job.N);
      const a = at<T>(job.a, from * job.inca);
      ger<T>(c, a, job.inca, job.b, job.row, <T>job.floor, M, job.N);
    });
    return;
  }
  const least = v128.splat<T>(floor);
  const whole = (N & ~(LANES<T>() - 1)) * sizeof<T>();
  const rest = N & (LANES<T>() - 1);
  for (let i: usize = 0; i < M; i++) {
    const ai = v128.load_splat<T>(a);
    let j: usize = 0;
    if (row == 0) {
      for (; j != whole; j += 16) {
        v128.store(c + j, v128.pmax<T>(product<T>(ai, v128.load(b + j)), least));
      }
    } else {
      for (; j != whole; j += 16) {
        const s = v128.add<T>(product<T>(ai, v128.load(b + j)), v128.load(row + j));
        v128.store(c + j, v128.pmax<T>(s, least));
      }
    }
    if (rest) {
      let s = product<T>(ai, loadTail<T>(b + j, rest));
      if (row != 0) s = v128.add<T>(s, loadTail<T>(row + j, rest));
      storeTail<T>(c + j, v128.pmax<T>(s, least), rest);
    }
    a += inca * sizeof<T>();
    c += N * sizeof<T>();
  }
}
