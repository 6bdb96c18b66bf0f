// Mean squared error over all elements. Differences and squares are float64 for either dtype.

import { loadF64x2, storeF64x2 } from "../simd";

/**
 * Returns the loss. dx = 2 · (x − y) / n is not written if its address is 0. n ≥ 1; dx overlaps
 * nothing.
 *
 * @kernel
 */
export function mseLoss<T extends number>(
  dx: usize, // (n,)
  x: usize, // (n,)
  y: usize, // (n,)
  n: usize,
): f64 {
  const count = f64x2.splat(<f64>n);
  let sum = f64x2.splat(0);
  for (let i: usize = 0; i < n; i += 2) {
    const at = i * sizeof<T>();
    const lanes = min(n - i, 2);
    const d = f64x2.sub(loadF64x2<T>(x + at, lanes), loadF64x2<T>(y + at, lanes));
    sum = f64x2.add(sum, f64x2.mul(d, d));
    if (dx != 0) storeF64x2<T>(dx + at, f64x2.div(f64x2.add(d, d), count), lanes);
  }
  return (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)) / <f64>n;
}
