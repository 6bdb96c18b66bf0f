// Softmax of each row: exp(x − max) / Σ exp(x − max).

import { dot } from "../blas/level1";
import { expShifted, rowMax, scaleRow } from "../math/reduce";
import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";
import { stridedBackward, stridedForward } from "./strided_softmax";

@unmanaged
class RowsJob {
  out: usize;
  x: usize;
  C: usize;
}

/**
 * A row's elements are S apart; there are N rows. out may be x where S is 1.
 *
 * @kernel @operation softmax
 */
export function softmaxForward<T extends number>(
  out: usize, // (N / S, C, S)
  x: usize, // (N / S, C, S)
  N: usize,
  C: usize,
  S: f64,
): void {
  if (S > 1) {
    stridedForward<T>(out, x, N, C, <usize>S, false);
    return;
  }
  if (SHARED && planSplit(N, 16 * C * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.out = out;
    job.x = x;
    job.C = C;
    split((from, N) => {
      const job = jobOf<RowsJob>();
      const first = from * job.C;
      softmaxForward<T>(at<T>(job.out, first), at<T>(job.x, first), N, job.C, 1);
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

@unmanaged
class GradientsJob {
  dx: usize;
  dout: usize;
  out: usize;
  C: usize;
}

/** dx = out · (dout − Σ_c dout · out), the sum in float64. dx may be dout. @kernel */
export function softmaxBackward<T extends number>(
  dx: usize, // (N / S, C, S)
  dout: usize, // (N / S, C, S)
  out: usize, // (N / S, C, S)
  N: usize,
  C: usize,
  S: f64,
): void {
  if (S > 1) {
    stridedBackward<T>(dx, dout, out, N, C, <usize>S, false);
    return;
  }
  if (SHARED && planSplit(N, 4 * C * sizeof<T>())) {
    const job = jobOf<GradientsJob>();
    job.dx = dx;
    job.dout = dout;
    job.out = out;
    job.C = C;
    split((from, N) => {
      const job = jobOf<GradientsJob>();
      const first = from * job.C;
      const out = at<T>(job.out, first);
      softmaxBackward<T>(at<T>(job.dx, first), at<T>(job.dout, first), out, N, job.C, 1);
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
