// (x − mean) / std by column, where mean and deviation are constants, such as those of a training
// set. It divides by std rather than multiply by 1 / std, so that the bits are NumPy's.

import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

@unmanaged
class RowsJob {
  out: usize;
  x: usize;
  mean: usize;
  std: usize;
  D: usize;
}

/** out may be x. @kernel @operation normalize */
export function normalizeForward<T extends number>(
  out: usize, // (N, D)
  x: usize, // (N, D)
  mean: usize, // (D,)
  std: usize, // (D,)
  N: usize,
  D: usize,
): void {
  if (SHARED && planSplit(N, 2 * D * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.out = out;
    job.x = x;
    job.mean = mean;
    job.std = std;
    job.D = D;
    split((from, N) => {
      const job = jobOf<RowsJob>();
      const first = from * job.D;
      const out = at<T>(job.out, first);
      normalizeForward<T>(out, at<T>(job.x, first), job.mean, job.std, N, job.D);
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

@unmanaged
class GradientsJob {
  dx: usize;
  dout: usize;
  std: usize;
  D: usize;
}

/** dx = dout / std. dx may be dout. @kernel */
export function normalizeBackward<T extends number>(
  dx: usize, // (N, D)
  dout: usize, // (N, D)
  std: usize, // (D,)
  N: usize,
  D: usize,
): void {
  if (SHARED && planSplit(N, 2 * D * sizeof<T>())) {
    const job = jobOf<GradientsJob>();
    job.dx = dx;
    job.dout = dout;
    job.std = std;
    job.D = D;
    split((from, N) => {
      const job = jobOf<GradientsJob>();
      const first = from * job.D;
      normalizeBackward<T>(at<T>(job.dx, first), at<T>(job.dout, first), job.std, N, job.D);
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
