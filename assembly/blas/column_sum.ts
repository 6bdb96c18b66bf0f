// Sums of columns, accumulated in float64 whatever the dtype.

import { loadF64x2, storeF64x2 } from "../simd";

/** out (M,) = Σₙ x (N, M), each column added from the first row to the last. */
export function columnSum<T>(out: usize, x: usize, N: usize, M: usize): void {
  const step = M * sizeof<T>();
  for (let j: usize = 0; j < M; j += 2) {
    const count = min(M - j, 2);
    let p = x + j * sizeof<T>();
    let sum = f64x2.splat(0);
    for (let n: usize = 0; n < N; n++) {
      sum = f64x2.add(sum, loadF64x2<T>(p, count));
      p += step;
    }
    storeF64x2<T>(out + j * sizeof<T>(), sum, count);
  }
}
