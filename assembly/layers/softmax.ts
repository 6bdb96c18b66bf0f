// Softmax of each row: exp(x − max) / Σ exp(x − max).

import { dot } from "../blas/level1";
import { expShifted, rowMax, scaleRow } from "../math/reduce";
import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { arg, at, pass, split, splits } from "../threads/split";

/** out may be x. @kernel @operation softmax */
export function softmaxForward<T extends number>(
  out: usize, // (N, C)
  x: usize, // (N, C)
  N: usize,
  C: usize,
): void {
  if (SHARED && splits(N, 16 * C * sizeof<T>())) {
    pass(out, x, C);
    split((from, N) => {
      const C = arg(2);
      softmaxForward<T>(at<T>(0, from * C), at<T>(1, from * C), N, C);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    const sum = expShifted<T>(out, x, rowMax<T>(x, C), C);
    scaleRow<T>(out, <T>(1 / sum), C);
    x += C * sizeof<T>();
    out += C * sizeof<T>();
  }
}

/** dx = out · (dout − Σ_c dout · out), the sum in float64. dx may be dout. @kernel */
export function softmaxBackward<T extends number>(
  dx: usize, // (N, C)
  dout: usize, // (N, C)
  out: usize, // (N, C)
  N: usize,
  C: usize,
): void {
  if (SHARED && splits(N, 4 * C * sizeof<T>())) {
    pass(dx, dout, out, C);
    split((from, N) => {
      const C = arg(3);
      softmaxBackward<T>(at<T>(0, from * C), at<T>(1, from * C), at<T>(2, from * C), N, C);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    const mean = v128.splat<T>(<T>dot<T>(C, dout, out));
    for (let j: usize = 0; j < C; j += LANES<T>()) {
      const at = j * sizeof<T>();
      const lanes = min(C - j, LANES<T>());
      const centred = v128.sub<T>(loadLanes<T>(dout + at, lanes), mean);
      storeLanes<T>(dx + at, v128.mul<T>(loadLanes<T>(out + at, lanes), centred), lanes);
    }
    dx += C * sizeof<T>();
    dout += C * sizeof<T>();
    out += C * sizeof<T>();
  }
}
