// (x − mean) / std by column, with a mean and a deviation that are constants: those of a training set, for example.
// Divided, not multiplied by 1 / std, so that the bits are NumPy's.

import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { arg, at, pass, split, splits } from "../threads/split";

/** out may be x. @kernel @operation normalize */
export function normalizeForward<T extends number>(
  out: usize, // (N, D)
  x: usize, // (N, D)
  mean: usize, // (D,)
  std: usize, // (D,)
  N: usize,
  D: usize,
): void {
  if (SHARED && splits(N, 2 * D * sizeof<T>())) {
    pass(out, x, mean, std, D);
    split((from, N) => {
      const D = arg(4);
      normalizeForward<T>(at<T>(0, from * D), at<T>(1, from * D), arg(2), arg(3), N, D);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    for (let j: usize = 0; j < D; j += LANES<T>()) {
      const p = j * sizeof<T>();
      const lanes = min(D - j, LANES<T>());
      const centred = v128.sub<T>(loadLanes<T>(x + p, lanes), loadLanes<T>(mean + p, lanes));
      storeLanes<T>(out + p, v128.div<T>(centred, loadLanes<T>(std + p, lanes)), lanes);
    }
    x += D * sizeof<T>();
    out += D * sizeof<T>();
  }
}

/** dx = dout / std. dx may be dout. @kernel */
export function normalizeBackward<T extends number>(
  dx: usize, // (N, D)
  dout: usize, // (N, D)
  std: usize, // (D,)
  N: usize,
  D: usize,
): void {
  if (SHARED && splits(N, 2 * D * sizeof<T>())) {
    pass(dx, dout, std, D);
    split((from, N) => {
      const D = arg(3);
      normalizeBackward<T>(at<T>(0, from * D), at<T>(1, from * D), arg(2), N, D);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    for (let j: usize = 0; j < D; j += LANES<T>()) {
      const p = j * sizeof<T>();
      const lanes = min(D - j, LANES<T>());
      const gradient = v128.div<T>(loadLanes<T>(dout + p, lanes), loadLanes<T>(std + p, lanes));
      storeLanes<T>(dx + p, gradient, lanes);
    }
    dx += D * sizeof<T>();
    dout += D * sizeof<T>();
  }
}
