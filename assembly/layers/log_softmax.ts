// The logarithm of softmax of each row: x − max − log Σ exp(x − max).

import { expLanes } from "../math/exp";
import { logOfSum } from "../math/log1p";
import { expShifted, rowMax } from "../math/reduce";
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
 * A row's elements are S apart; there are N rows. out may not be x.
 *
 * @kernel @operation logSoftmax
 */
export function logSoftmaxForward<T extends number>(
  out: usize, // (N / S, C, S)
  x: usize, // (N / S, C, S)
  N: usize,
  C: usize,
  S: f64,
): void {
  if (S > 1) {
    stridedForward<T>(out, x, N, C, <usize>S, true);
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
      logSoftmaxForward<T>(at<T>(job.out, first), at<T>(job.x, first), N, job.C, 1);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    const most = rowMax<T>(x, C);
    // The exponentials are in out until their sum is there.
    const total = v128.splat<T>(logOfSum<T>(expShifted<T>(out, x, most, C)));
    for (let j: usize = 0; j < C; j += LANES<T>()) {
      const p = j * sizeof<T>();
      const lanes = min(C - j, LANES<T>());
      const shifted = v128.sub<T>(loadLanes<T>(x + p, lanes), v128.splat<T>(most));
      storeLanes<T>(out + p, v128.sub<T>(shifted, total), lanes);
    }
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

/** dx = dout − exp(out) · Σ_c dout, the sum in float64. dx may be dout. @kernel */
export function logSoftmaxBackward<T extends number>(
  dx: usize, // (N / S, C, S)
  dout: usize, // (N / S, C, S)
  out: usize, // (N / S, C, S)
  N: usize,
  C: usize,
  S: f64,
): void {
  if (S > 1) {
    stridedBackward<T>(dx, dout, out, N, C, <usize>S, true);
    return;
  }
  if (SHARED && planSplit(N, 16 * C * sizeof<T>())) {
    const job = jobOf<GradientsJob>();
    job.dx = dx;
    job.dout = dout;
    job.out = out;
    job.C = C;
    split((from, N) => {
      const job = jobOf<GradientsJob>();
      const first = from * job.C;
      const out = at<T>(job.out, first);
      logSoftmaxBackward<T>(at<T>(job.dx, first), at<T>(job.dout, first), out, N, job.C, 1);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    let sum: f64 = 0;
    for (let j: usize = 0; j < C; j++) sum += <f64>load<T>(dout + j * sizeof<T>());
    const total = v128.splat<T>(<T>sum);
    for (let j: usize = 0; j < C; j += LANES<T>()) {
      const p = j * sizeof<T>();
      const lanes = min(C - j, LANES<T>());
      const share = v128.mul<T>(expLanes<T>(loadLanes<T>(out + p, lanes)), total);
      storeLanes<T>(dx + p, v128.sub<T>(loadLanes<T>(dout + p, lanes), share), lanes);
    }
    dx += C * sizeof<T>();
    dout += C * sizeof<T>();
    out += C * sizeof<T>();
  }
}
