// Scaled dot-product attention of several heads: of each, out = softmax(q · kᵀ / √d + mask) · v.
// Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762.
//
// Scores are there for ROWS queries of one head at a time, and nothing of their size is kept: as in
// Dao et al., "FlashAttention", 2022, arXiv:2205.14135, the backward computes them anew, and has of
// each row the largest score and the sum of exponentials. A head is read and written where it lies,
// as d columns of rows that are E elements apart.
//
// Threads have blocks of queries, and in the backward whole heads. No sum crosses a block in the
// forward, and the backward adds the blocks of a head up in their order.

import { Attention } from "../abi/attention";
import { gemmPart, partElements } from "../blas/gemm";
import { dot } from "../blas/level1";
import { roundUp } from "../blas/tile";
import { expShifted, rowMax, scaleRow } from "../math/reduce";
import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED, threads } from "../threads/queue";
import { at, cut, jobOf, split } from "../threads/split";

/** A block has this many queries, so that its scores stay in L2. @inline */
const ROWS: usize = 64;

/** What a call computes with; it stands at the beginning of the workspace. */
@unmanaged
class Call {
  sizes: Attention;
  out: usize;
  saved: usize;
  q: usize;
  k: usize;
  v: usize;
  mask: usize;
  dout: usize;
  dq: usize;
  dk: usize;
  dv: usize;
  /** The first thread's part of the workspace. */
  parts: usize;
}

/** @inline */
const CALL_BYTES: usize = 64;

@unmanaged
class CallJob {
  call: Call;
}

/** Returns how many blocks a head's queries are in. @inline */
function blocksOf(sizes: Attention): usize {
  return (<usize>sizes.T + ROWS - 1) / ROWS;
}

/** Returns how many keys serve a query at most, which are the first ones. @inline */
function seenBy(sizes: Attention, query: usize): usize {
  const S: usize = sizes.S;
  if (!sizes.isCausal) return S;
  const last = query + 1 + S;
  return last > <usize>sizes.T ? min(S, last - sizes.T) : 0;
}

/** Returns how many elements the scores of a block take. @inline */
function scoreElements(sizes: Attention): usize {
  return roundUp(min(<usize>sizes.T, ROWS) * sizes.S, 4);
}

/** Returns how many elements of workspace the products of a block need. */
function productElements<T extends number>(sizes: Attention, isBackward: bool): usize {
  const S: usize = sizes.S;
  const rows = min(<usize>sizes.T, ROWS);
  const d: usize = sizes.E / sizes.heads;
  const most = max(partElements<T>(rows, S, d), partElements<T>(rows, d, S));
  return roundUp(isBackward ? max(most, partElements<T>(S, d, rows)) : most, 4);
}

/** Returns how many bytes of workspace a thread needs. */
function partBytes<T extends number>(sizes: Attention, isBackward: bool): usize {
  const d: usize = sizes.E / sizes.heads;
  let elements = scoreElements(sizes) + productElements<T>(sizes, isBackward);
  if (isBackward) elements += scoreElements(sizes) + roundUp(sizes.S * d, 4);
  return elements * sizeof<T>();
}

/** @inline */
function workBytes<T extends number>(window: usize, isBackward: bool): usize {
  const each = partBytes<T>(changetype<Attention>(window), isBackward);
  return CALL_BYTES + (SHARED ? threads() : 1) * each;
}

/** Returns how many bytes of workspace attentionForward needs. @kernel */
export function attentionForwardWorkBytes<T extends number>(window: usize): usize {
  return workBytes<T>(window, false);
}

/** Returns how many bytes of workspace attentionBackward needs. @kernel */
export function attentionBackwardWorkBytes<T extends number>(window: usize): usize {
  return workBytes<T>(window, true);
}

/**
 * Plans to share `n` tasks of so many multiply-adds among the threads, and returns true, if all of
 * them take longer than to wake a worker does.
 */
function planTasks(n: usize, work: f64): bool {
  if (n < 2 || threads() < 2 || <f64>n * work < 1_000_000) return false;
  cut(n, max<usize>(1, <usize>(100_000 / max<f64>(work, 1))));
  return true;
}

/** Returns how many multiply-adds a block has, and its exponentials as if they were such. */
function blockWork(sizes: Attention): f64 {
  const d: usize = sizes.E / sizes.heads;
  return <f64>scoreElements(sizes) * <f64>(2 * d + 32);
}

/**
 * A query that no key serves gives 0. saved (N, heads, T, 2) float64 receives what backward needs:
 * of each row of scores what is subtracted from them, and 1 / Σ exp, or 0 where that sum is 0.
 *
 * @kernel
 */
export function attentionForward<T extends number>(
  out: usize, // (N, T, E)
  saved: usize, // (N, heads, T, 2) float64
  q: usize, // (N, T, E)
  k: usize, // (N, S, E)
  v: usize, // (N, S, E)
  mask: usize, // as the sizes tell, or 0 for none
  window: usize, // the sizes: an Attention
  work: usize,
  N: usize,
): void {
  const call = changetype<Call>(work);
  const sizes = changetype<Attention>(window);
  call.sizes = sizes;
  call.out = out;
  call.saved = saved;
  call.q = q;
  call.k = k;
  call.v = v;
  call.mask = mask;
  call.parts = work + CALL_BYTES;
  const tasks = N * sizes.heads * blocksOf(sizes);
  if (SHARED && planTasks(tasks, blockWork(sizes))) {
    jobOf<CallJob>().call = call;
    split((from, count, thread) => {
      const call = jobOf<CallJob>().call;
      const part = call.parts + thread * partBytes<T>(call.sizes, false);
      for (const end = from + count; from != end; from++) forwardBlock<T>(call, from, part);
    });
    return;
  }
  for (let task: usize = 0; task < tasks; task++) forwardBlock<T>(call, task, call.parts);
}

/** Does the queries of one block of one head. */
function forwardBlock<T extends number>(call: Call, task: usize, scores: usize): void {
  const sizes = call.sizes;
  const blocks = blocksOf(sizes);
  const E: usize = sizes.E;
  const d = E / sizes.heads;
  const n = task / (blocks * sizes.heads);
  const head = (task / blocks) % sizes.heads;
  const first = (task % blocks) * ROWS;
  const rows = min(sizes.T - first, ROWS);
  const columns = seenBy(sizes, first + rows - 1);
  const products = at<T>(scores, scoreElements(sizes));
  scoresOf<T>(call, scores, products, n, head, first, rows, columns);
  let saved = call.saved + (((n * sizes.heads + head) * sizes.T + first) << 4);
  for (let i: usize = 0; i < rows; i++) {
    const row = at<T>(scores, i * columns);
    const seen = seenBy(sizes, first + i);
    const most = rowMax<T>(row, seen);
    const shift = most == <T>-Infinity ? <T>0 : most;
    const sum = expShifted<T>(row, row, shift, seen);
    memory.fill(at<T>(row, seen), 0, (columns - seen) * sizeof<T>());
    store<f64>(saved, <f64>shift);
    store<f64>(saved, sum == 0 ? 0 : 1 / sum, 8);
    saved += 16;
  }
  saved -= rows << 4;
  const v = at<T>(call.v, n * sizes.S * E + head * d);
  let out = at<T>(call.out, (n * sizes.T + first) * E + head * d);
  product<T>(out, E, scores, columns, 1, v, E, 1, products, rows, d, columns);
  for (let i: usize = 0; i < rows; i++) {
    const factor = load<f64>(saved, 8);
    if (factor == 0) memory.fill(out, 0, d * sizeof<T>());
    else scaleRow<T>(out, <T>factor, d);
    out += E * sizeof<T>();
    saved += 16;
  }
}

/** c (M, N) = a · b on this thread, of operands and a c with strides in elements. @inline */
function product<T extends number>(
  c: usize,
  ldc: usize,
  a: usize,
  rsa: usize,
  csa: usize,
  b: usize,
  rsb: usize,
  csb: usize,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  gemmPart<T>(c, ldc, a, rsa, csa, b, rsb, csb, false, 0, <T>-Infinity, work, M, N, K);
}

/** scores (rows, columns) = q · kᵀ / √d + mask, of one head's queries from `first` on. */
function scoresOf<T extends number>(
  call: Call,
  scores: usize,
  work: usize,
  n: usize,
  head: usize,
  first: usize,
  rows: usize,
  columns: usize,
): void {
  const sizes = call.sizes;
  const E: usize = sizes.E;
  const d = E / sizes.heads;
  const q = at<T>(call.q, (n * sizes.T + first) * E + head * d);
  const k = at<T>(call.k, n * sizes.S * E + head * d);
  product<T>(scores, columns, q, E, 1, k, 1, E, work, rows, columns, d);
  const scale = scaleOf<T>(d);
  for (let i: usize = 0; i < rows; i++) {
    const row = at<T>(scores, i * columns);
    scaleRow<T>(row, scale, columns);
    if (call.mask == 0) continue;
    const offset = n * sizes.maskExample + (first + i) * sizes.maskRow;
    if (sizes.isBoolean) closeRow<T>(row, at<i32>(call.mask, offset), columns);
    else addRow<T>(row, at<T>(call.mask, offset), columns);
  }
}

/** @inline */
function scaleOf<T extends number>(d: usize): T {
  return <T>(1 / sqrt<f64>(<f64>d));
}

/** The scores of keys that the mask has 0 for are −∞. */
function closeRow<T extends number>(row: usize, mask: usize, n: usize): void {
  for (let j: usize = 0; j < n; j++) {
    if (load<i32>(mask + (j << 2)) == 0) store<T>(at<T>(row, j), <T>-Infinity);
  }
}

/** row (n,) += x (n,) */
function addRow<T extends number>(row: usize, x: usize, n: usize): void {
  for (let j: usize = 0; j < n; j += LANES<T>()) {
    const p = j * sizeof<T>();
    const lanes = min(n - j, LANES<T>());
    const sum = v128.add<T>(loadLanes<T>(row + p, lanes), loadLanes<T>(x + p, lanes));
    storeLanes<T>(row + p, sum, lanes);
  }
}

/**
 * With the probabilities P of a row and dP = dout · vᵀ: dv = Pᵀ · dout, dS = P · (dP − Σ P · dP),
 * dq = dS · k / √d and dk = dSᵀ · q / √d. An output whose address is 0 is not computed.
 *
 * @kernel
 */
export function attentionBackward<T extends number>(
  dq: usize, // (N, T, E)
  dk: usize, // (N, S, E)
  dv: usize, // (N, S, E)
  dout: usize, // (N, T, E)
  q: usize, // (N, T, E)
  k: usize, // (N, S, E)
  v: usize, // (N, S, E)
  mask: usize,
  saved: usize, // (N, heads, T, 2) float64, as forward left it
  window: usize, // the sizes: an Attention
  work: usize,
  N: usize,
): void {
  const call = changetype<Call>(work);
  const sizes = changetype<Attention>(window);
  call.sizes = sizes;
  call.saved = saved;
  call.q = q;
  call.k = k;
  call.v = v;
  call.mask = mask;
  call.dout = dout;
  call.dq = dq;
  call.dk = dk;
  call.dv = dv;
  call.parts = work + CALL_BYTES;
  const tasks = N * sizes.heads;
  if (SHARED && planTasks(tasks, <f64>blocksOf(sizes) * 3 * blockWork(sizes))) {
    jobOf<CallJob>().call = call;
    split((from, count, thread) => {
      const call = jobOf<CallJob>().call;
      const part = call.parts + thread * partBytes<T>(call.sizes, true);
      for (const end = from + count; from != end; from++) backwardHead<T>(call, from, part);
    });
    return;
  }
  for (let task: usize = 0; task < tasks; task++) backwardHead<T>(call, task, call.parts);
}

/** Does one head of one example. */
function backwardHead<T extends number>(call: Call, task: usize, scores: usize): void {
  const sizes = call.sizes;
  const E: usize = sizes.E;
  const S: usize = sizes.S;
  const d = E / sizes.heads;
  const n = task / sizes.heads;
  const head = task % sizes.heads;
  const dscores = at<T>(scores, scoreElements(sizes));
  const terms = at<T>(dscores, scoreElements(sizes));
  const work = at<T>(terms, roundUp(S * d, 4));
  const keys = n * S * E + head * d;
  const k = at<T>(call.k, keys);
  const v = at<T>(call.v, keys);
  const dk = call.dk == 0 ? <usize>0 : at<T>(call.dk, keys);
  const dv = call.dv == 0 ? <usize>0 : at<T>(call.dv, keys);
  if (dk != 0) clearRows<T>(dk, S, d, E);
  if (dv != 0) clearRows<T>(dv, S, d, E);
  let saved = call.saved + ((task * sizes.T) << 4);
  const scale = scaleOf<T>(d);
  for (let first: usize = 0; first < <usize>sizes.T; first += ROWS) {
    const rows = min(sizes.T - first, ROWS);
    const columns = seenBy(sizes, first + rows - 1);
    const queries = (n * sizes.T + first) * E + head * d;
    const q = at<T>(call.q, queries);
    const dout = at<T>(call.dout, queries);
    scoresOf<T>(call, scores, work, n, head, first, rows, columns);
    for (let i: usize = 0; i < rows; i++) {
      const row = at<T>(scores, i * columns);
      const seen = seenBy(sizes, first + i);
      const factor = load<f64>(saved, 8);
      // Where no key serves the query, all exponentials are 0.
      expShifted<T>(row, row, <T>load<f64>(saved), seen);
      scaleRow<T>(row, <T>factor, seen);
      memory.fill(at<T>(row, seen), 0, (columns - seen) * sizeof<T>());
      saved += 16;
    }
    if (dv != 0) {
      product<T>(terms, d, scores, 1, columns, dout, E, 1, work, columns, d, rows);
      addTo<T>(dv, terms, columns, d, E);
    }
    if (call.dq == 0 && dk == 0) continue;
    product<T>(dscores, columns, dout, E, 1, v, 1, E, work, rows, columns, d);
    for (let i: usize = 0; i < rows; i++) {
      const row = i * columns;
      gradientsOfRow<T>(at<T>(dscores, row), at<T>(scores, row), columns, scale);
    }
    if (call.dq != 0) {
      const dq = at<T>(call.dq, queries);
      product<T>(dq, E, dscores, columns, 1, k, E, 1, work, rows, d, columns);
    }
    if (dk != 0) {
      product<T>(terms, d, dscores, 1, columns, q, E, 1, work, columns, d, rows);
      addTo<T>(dk, terms, columns, d, E);
    }
  }
}

/** ds (n,), which is dP, becomes P · (dP − Σ P · dP) · scale, the sum in float64. */
function gradientsOfRow<T extends number>(ds: usize, p: usize, n: usize, scale: T): void {
  const mean = v128.splat<T>(<T>dot<T>(n, p, ds));
  const factor = v128.splat<T>(scale);
  for (let j: usize = 0; j < n; j += LANES<T>()) {
    const x = j * sizeof<T>();
    const lanes = min(n - j, LANES<T>());
    const centred = v128.mul<T>(v128.sub<T>(loadLanes<T>(ds + x, lanes), mean), factor);
    storeLanes<T>(ds + x, v128.mul<T>(loadLanes<T>(p + x, lanes), centred), lanes);
  }
}

/** Sets rows of d elements, which are E apart, to 0. */
function clearRows<T extends number>(to: usize, rows: usize, d: usize, E: usize): void {
  for (let i: usize = 0; i < rows; i++) memory.fill(at<T>(to, i * E), 0, d * sizeof<T>());
}

/** Adds dense rows of d elements to those from `to` on, which are E apart. */
function addTo<T extends number>(to: usize, terms: usize, rows: usize, d: usize, E: usize): void {
  for (let i: usize = 0; i < rows; i++) addRow<T>(at<T>(to, i * E), at<T>(terms, i * d), d);
}
