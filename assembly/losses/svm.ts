// Multiclass support vector machine (hinge) loss of Weston and Watkins (1999) with margin 1:
// loss = 1/N Σₙ Σ_{j ≠ yₙ} max(0, x[n,j] − x[n,yₙ] + 1). Margins are float64 for either dtype.

import { loadF64x2, storeF64x2 } from "../simd";

/** The loss; dx is not written where its address is 0. N ≥ 1, 0 ≤ y < C. dx overlaps nothing. */
export function svmLoss<T>(
  dx: usize, // (N, C)
  x: usize, // (N, C)
  y: usize, // (N,) int32
  N: usize,
  C: usize,
): f64 {
  const zero = f64x2.splat(0);
  const one = f64x2.splat(1);
  const share = f64x2.splat(1 / <f64>N);
  let loss: f64 = 0;
  for (let n: usize = 0; n < N; n++) {
    const row = n * C * sizeof<T>();
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
      // Lanes of the row but for the label's own.
      const counts = v128.and(
        f64x2.ne(index, ownIndex),
        f64x2.lt(index, f64x2.splat(<f64>C)),
      );
      const margin = f64x2.add(f64x2.sub(loadF64x2<T>(x + at, lanes), own), one);
      // pmax keeps a NaN.
      sum = f64x2.add(sum, v128.and(counts, f64x2.pmax(margin, zero)));
      const positive = v128.and(counts, f64x2.gt(margin, zero));
      count = f64x2.add(count, v128.and(positive, one));
      if (dx != 0) storeF64x2<T>(dx + at, v128.and(positive, share), lanes);
      index = f64x2.add(index, f64x2.splat(2));
    }
    loss += f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
    if (dx != 0) {
      const positives = f64x2.extract_lane(count, 0) + f64x2.extract_lane(count, 1);
      store<T>(dx + row + label * sizeof<T>(), <T>((0 - positives) / <f64>N));
    }
  }
  return loss / <f64>N;
}
