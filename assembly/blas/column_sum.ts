// Sums of columns. Eight rows at a time are summed in T, and these sums are added up in float64.

import { LANES, loadF64x2, loadLanes, storeF64x2, widenHigh, widenLow } from "../simd";

/** The sums of this many columns are taken at a time, so that they stay in L1. @inline */
const STRIP: usize = 512;

/** Returns how many bytes of workspace columnSum needs. */
export function columnSumWorkBytes(M: usize): usize {
  return min(M, STRIP) * sizeof<f64>();
}

/** Adds the n lanes of v to as many float64 at sums. @inline */
export function addWidened<T extends number>(sums: usize, v: v128, n: usize): void {
  const low = min(n, 2);
  storeF64x2<f64>(sums, f64x2.add(loadF64x2<f64>(sums, low), widenLow<T>(v)), low);
  if (sizeof<T>() == 4 && n > 2) {
    storeF64x2<f64>(sums + 16, f64x2.add(loadF64x2<f64>(sums + 16, n - 2), widenHigh(v)), n - 2);
  }
}

/** Adds eight rows of n columns to the sums. @inline */
function addEightRows<T extends number>(sums: usize, x: usize, step: usize, n: usize): void {
  const x2 = x + 2 * step;
  const x4 = x + 4 * step;
  const x6 = x4 + 2 * step;
  const a = v128.add<T>(loadLanes<T>(x, n), loadLanes<T>(x + step, n));
  const b = v128.add<T>(loadLanes<T>(x2, n), loadLanes<T>(x2 + step, n));
  const c = v128.add<T>(loadLanes<T>(x4, n), loadLanes<T>(x4 + step, n));
  const d = v128.add<T>(loadLanes<T>(x6, n), loadLanes<T>(x6 + step, n));
  addWidened<T>(sums, v128.add<T>(v128.add<T>(a, b), v128.add<T>(c, d)), n);
}

/** Computes out (M,) = Σₙ x (N, M). */
export function columnSum<T extends number>(
  out: usize,
  x: usize,
  work: usize,
  N: usize,
  M: usize,
): void {
  const size = sizeof<T>();
  const step = M * size;
  for (let from: usize = 0; from < M; from += STRIP) {
    const columns = min(M - from, STRIP);
    const whole = columns & ~(LANES<T>() - 1);
    for (let j: usize = 0; j < columns; j++) store<f64>(work + j * sizeof<f64>(), 0);
    let row = x + from * size;
    let n: usize = 0;
    for (; n + 8 <= N; n += 8) {
      let j: usize = 0;
      for (; j < whole; j += LANES<T>()) {
        addEightRows<T>(work + j * sizeof<f64>(), row + j * size, step, LANES<T>());
      }
      if (j < columns) {
        addEightRows<T>(work + j * sizeof<f64>(), row + j * size, step, columns - j);
      }
      row += 8 * step;
    }
    for (; n < N; n++) {
      for (let j: usize = 0; j < columns; j += LANES<T>()) {
        const lanes = min(columns - j, LANES<T>());
        addWidened<T>(work + j * sizeof<f64>(), loadLanes<T>(row + j * size, lanes), lanes);
      }
      row += step;
    }
    for (let j: usize = 0; j < columns; j++) {
      store<T>(out + (from + j) * size, <T>load<f64>(work + j * sizeof<f64>()));
    }
  }
}
