// (x − mean) / std by column, with a mean and a deviation that are constants: those of a training set, for example.
// Divided, not multiplied by 1 / std, so that the bits are NumPy's.

import { LANES, loadLanes, storeLanes } from "../simd";

/** out may be x. */
export function normalizeForward<T>(
  out: usize, // (N, D)
  x: usize, // (N, D)
  mean: usize, // (D,)
  std: usize, // (D,)
  N: usize,
  D: usize,
): void {
  for (let n: usize = 0; n < N; n++) {
    for (let j: usize = 0; j < D; j += LANES<T>()) {
      const at = j * sizeof<T>();
      const lanes = min(D - j, LANES<T>());
      const centred = v128.sub<T>(loadLanes<T>(x + at, lanes), loadLanes<T>(mean + at, lanes));
      storeLanes<T>(out + at, v128.div<T>(centred, loadLanes<T>(std + at, lanes)), lanes);
    }
    x += D * sizeof<T>();
    out += D * sizeof<T>();
  }
}

/** dx = dout / std. dx may be dout. */
export function normalizeBackward<T>(
  dx: usize, // (N, D)
  dout: usize, // (N, D)
  std: usize, // (D,)
  N: usize,
  D: usize,
): void {
  for (let n: usize = 0; n < N; n++) {
    for (let j: usize = 0; j < D; j += LANES<T>()) {
      const at = j * sizeof<T>();
      const lanes = min(D - j, LANES<T>());
      const gradient = v128.div<T>(loadLanes<T>(dout + at, lanes), loadLanes<T>(std + at, lanes));
      storeLanes<T>(dx + at, gradient, lanes);
    }
    dx += D * sizeof<T>();
    dout += D * sizeof<T>();
  }
}
