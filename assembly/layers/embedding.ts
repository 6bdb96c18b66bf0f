// Rows of a table by their numbers, as words, keys and categories enter a network: out[i] is row
// x[i] of w.

import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

@unmanaged
class RowsJob {
  out: usize;
  x: usize;
  w: usize;
  D: usize;
}

/** Every index is in [0, V). @kernel */
export function embeddingForward<T extends number>(
  out: usize, // (n, D)
  x: usize, // (n,) int32
  w: usize, // (V, D)
  n: usize,
  D: usize,
): void {
  if (SHARED && planSplit(n, 2 * D * sizeof<T>())) {
    const job = jobOf<RowsJob>();
    job.out = out;
    job.x = x;
    job.w = w;
    job.D = D;
    split((from, n) => {
      const job = jobOf<RowsJob>();
      const out = at<T>(job.out, from * job.D);
      embeddingForward<T>(out, at<i32>(job.x, from), job.w, n, job.D);
    });
    return;
  }
  const bytes = D * sizeof<T>();
  for (const end = x + (n << 2); x != end; x += 4) {
    memory.copy(out, w + <usize>load<u32>(x) * bytes, bytes);
    out += bytes;
  }
}

@unmanaged
class SumsJob {
  dw: usize;
  dout: usize;
  x: usize;
  n: usize;
  V: usize;
  D: usize;
}

/**
 * dw is the sum of the rows of dout for each row of w, which are added in the order of x, in the
 * dtype. Threads have columns of their own.
 *
 * @kernel
 */
export function embeddingBackward<T extends number>(
  dw: usize, // (V, D)
  dout: usize, // (n, D)
  x: usize, // (n,) int32
  n: usize,
  V: usize,
  D: usize,
): void {
  if (SHARED && planSplit(D, (V + 2 * n) * sizeof<T>(), 16)) {
    const job = jobOf<SumsJob>();
    job.dw = dw;
    job.dout = dout;
    job.x = x;
    job.n = n;
    job.V = V;
    job.D = D;
    split((from, columns) => {
      const job = jobOf<SumsJob>();
      const dw = at<T>(job.dw, from);
      addRows<T>(dw, at<T>(job.dout, from), job.x, job.n, job.V, job.D, columns);
    });
    return;
  }
  addRows<T>(dw, dout, x, n, V, D, D);
}

/** Does so many columns of rows that are D elements apart. */
function addRows<T extends number>(
  dw: usize,
  dout: usize,
  x: usize,
  n: usize,
  V: usize,
  D: usize,
  columns: usize,
): void {
  const bytes = D * sizeof<T>();
  for (let row: usize = 0; row < V; row++) {
    memory.fill(dw + row * bytes, 0, columns * sizeof<T>());
  }
  for (const end = x + (n << 2); x != end; x += 4) {
    const row = dw + <usize>load<u32>(x) * bytes;
    for (let j: usize = 0; j < columns; j += LANES<T>()) {
      const p = j * sizeof<T>();
      const lanes = min(columns - j, LANES<T>());
      const sum = v128.add<T>(loadLanes<T>(row + p, lanes), loadLanes<T>(dout + p, lanes));
      storeLanes<T>(row + p, sum, lanes);
    }
    dout += bytes;
  }
}
