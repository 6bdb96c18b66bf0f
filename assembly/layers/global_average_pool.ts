// Global average pooling where each channel is a run of memory, x (N, C, …): the mean of each row
// of (N · C, S). Of channels last it is average pooling by one window as large as the image.

import { rowMean } from "../math/moments";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

@unmanaged
class RowsJob {
  to: usize;
  input: usize;
  S: usize;
}

/** The means are float64 until they are rounded. @kernel */
export function globalAveragePoolForward<T extends number>(
  out: usize, // (R,)
  x: usize, // (R, S)
  R: usize,
  S: usize,
): void {
  if (SHARED && planSplit(R, S * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.to = out;
    job.input = x;
    job.S = S;
    split((from, R) => {
      const job = jobOf<RowsJob>();
      const x = at<T>(job.input, from * job.S);
      globalAveragePoolForward<T>(at<T>(job.to, from), x, R, job.S);
    });
    return;
  }
  for (let r: usize = 0; r < R; r++) {
    store<T>(at<T>(out, r), <T>rowMean<T>(at<T>(x, r * S), S));
  }
}

/** dx = dout / S. @kernel */
export function globalAveragePoolBackward<T extends number>(
  dx: usize, // (R, S)
  dout: usize, // (R,)
  R: usize,
  S: usize,
): void {
  if (SHARED && planSplit(R, S * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.to = dx;
    job.input = dout;
    job.S = S;
    split((from, R) => {
      const job = jobOf<RowsJob>();
      const dx = at<T>(job.to, from * job.S);
      globalAveragePoolBackward<T>(dx, at<T>(job.input, from), R, job.S);
    });
    return;
  }
  for (let r: usize = 0; r < R; r++) {
    const d = <T>(<f64>load<T>(at<T>(dout, r)) / <f64>S);
    for (let s: usize = 0; s < S; s++) store<T>(at<T>(dx, r * S + s), d);
  }
}
