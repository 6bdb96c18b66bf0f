// What the recurrent layers have in common: the order in which steps go through time. The inputs of
// all steps are one product, and so are the gradients of the weights; only the products with the
// state are made step by step, with weights that are packed once. A layer's own file computes what
// is between two products, row by row.
//
// Rows are independent of each other, so that threads take rows of the batch and go through all
// steps with them: one job a call.

import { Recurrence } from "../abi/recurrence";
import { columnSum, columnSumWorkBytes } from "../blas/column_sum";
import {
  gemm,
  gemmPanels,
  gemmPanelsAlone,
  gemmPanelsAloneElements,
  gemmWorkBytes,
  tasksOf,
} from "../blas/gemm";
import { packPanels, packTurned } from "../blas/pack";
import { roundUp } from "../blas/tile";
import { LANES, loadLanes, storeLanes } from "../simd";
import { SHARED, threads } from "../threads/queue";
import { cut, jobOf, split } from "../threads/split";

/**
 * A function of this type computes a row of a step, between two products. `n` is the number of the
 * sequence, `i` that of the row among all (N · T), and `place` that among the steps there are (R).
 */
export type Row = (r: Recurrence, n: usize, i: usize, place: usize, temporary: usize) => void;

type Rows = (r: Recurrence, from: usize, count: usize, thread: usize) => void;

/** Returns the address of row i of an array with so many columns. @inline */
export function rowAt<T extends number>(address: usize, i: usize, columns: usize): usize {
  return address + i * columns * sizeof<T>();
}

/** to += from, n elements. */
export function addRow<T extends number>(to: usize, from: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    storeLanes<T>(to, v128.add<T>(loadLanes<T>(to, lanes), loadLanes<T>(from, lanes)), lanes);
    to += 16;
    from += 16;
  }
}

/** Returns y · (1 − y), the derivative of sigmoid where it is y. @inline */
export function sigmoidDerivative<T extends number>(y: v128): v128 {
  return v128.mul<T>(y, v128.sub<T>(v128.splat<T>(<T>1), y));
}

/** Returns 1 − y², the derivative of tanh where it is y. @inline */
export function tanhDerivative<T extends number>(y: v128): v128 {
  const one = v128.splat<T>(<T>1);
  return v128.mul<T>(v128.sub<T>(one, y), v128.add<T>(one, y));
}

/** Returns how many steps a sequence has. @inline */
function lengthOf(r: Recurrence, n: usize): usize {
  return r.lengths == 0 ? r.T : <usize>load<u32>(r.lengths + (n << 2));
}

/**
 * Returns the row of a state before row i: of `states` (N, H) at the layer's first step of a
 * sequence, zeros if there are none, else of `steps`, whose rows are `pitch` apart.
 */
export function rowBefore<T extends number>(
  r: Recurrence,
  n: usize,
  i: usize,
  states: usize,
  steps: usize,
  pitch: usize,
): usize {
  const first = r.isReverse ? lengthOf(r, n) - 1 : 0;
  if (i - n * r.T != first) return rowAt<T>(steps, r.isReverse ? i + 1 : i - 1, pitch);
  return states == 0 ? r.zeros : rowAt<T>(states, n, r.H);
}

/** Copies a row, or sets it to 0 where there is none to copy. @inline */
function copyRow<T extends number>(to: usize, from: usize, n: usize): void {
  if (from == 0) memory.fill(to, 0, n * sizeof<T>());
  else if (from != to) memory.copy(to, from, n * sizeof<T>());
}

/** Takes so many elements of the workspace. */
function take<T extends number>(r: Recurrence, elements: usize): usize {
  const address = r.rest;
  r.rest = address + roundUp(elements * sizeof<T>(), 16);
  return address;
}

/**
 * Takes what each thread has for its rows: a row of its own, and the workspace of a product (N, K)
 * · (K, columns). They begin at r.rest then.
 */
function takeParts<T extends number>(r: Recurrence, columns: usize, K: usize): void {
  const elements = gemmPanelsAloneElements<T>(r.N, columns, K);
  r.restEach = roundUp((r.H + elements) * sizeof<T>(), 16);
}

@unmanaged
class RowsJob {
  r: Recurrence;
  run: u32;
}

/** Calls a Rows function for all rows of the batch, on all threads. */
function forRows(r: Recurrence, run: u32): void {
  const N = r.N;
  if (SHARED) {
    const work = <f64>N * <f64>r.T * <f64>(r.G * r.H) * <f64>r.H;
    const tasks = tasksOf(work, max<usize>(N / 4, 1));
    const each = roundUp((N + tasks - 1) / tasks, 4);
    if (each < N) {
      cut(N, each);
      const job = jobOf<RowsJob>();
      job.r = r;
      job.run = run;
      split((from, count, thread) => {
        const job = jobOf<RowsJob>();
        call_indirect<void>(job.run, job.r, from, count, thread);
      });
      return;
    }
  }
  if (N > 0) call_indirect<void>(run, r, <usize>0, N, <usize>0);
}

/** Lays the workspace of a forward pass out, from r.rest on. */
function planForward<T extends number>(r: Recurrence): void {
  const H = r.H;
  const GH = r.G * H;
  r.a = r.gates == 0 ? take<T>(r, r.N * r.T * GH) : r.gates;
  r.panels = r.isPacked ? r.wh : take<T>(r, H * GH);
  r.secondPanels = r.panels + H * r.first * H * sizeof<T>();
  r.sums = take<T>(r, r.N * r.first * H);
  r.second = r.first < r.G ? take<T>(r, r.N * H) : 0;
  r.product = r.first < r.G ? take<T>(r, r.N * H) : 0;
  takeParts<T>(r, r.first * H, H);
}

/** Returns how many bytes of workspace forwardSteps needs; a layer has written G and first. */
export function forwardBytes<T extends number>(r: Recurrence): usize {
  r.rest = 0;
  planForward<T>(r);
  const product = gemmWorkBytes<T>(r.N * r.T, r.G * r.H, r.D, 1);
  return r.rest + max(product, max(threads(), 1) * r.restEach);
}

/** Packs wh for the products of a forward pass. */
export function packHidden<T extends number>(
  panels: usize,
  wh: usize,
  H: usize,
  G: usize,
  first: usize,
): void {
  packPanels<T>(panels, wh, G * H, H, first * H);
  const from = first * H * sizeof<T>();
  packPanels<T>(panels + H * from, wh + from, G * H, H, (G - first) * H);
}

/** Goes forward through all steps; a layer has written G, first and the functions for rows. */
export function forwardSteps<T extends number>(r: Recurrence): void {
  const N = r.N;
  const H = r.H;
  const rows = N * r.T;
  const GH = r.G * H;
  r.rest = r.work;
  planForward<T>(r);
  if (r.isPacked) {
    gemmPanels<T>(r.a, r.x, r.wx, r.b, <T>-Infinity, r.rest, rows, GH, r.D);
  } else {
    gemm<T>(r.a, r.x, r.D, 1, r.wx, GH, 1, r.b, <T>-Infinity, r.rest, rows, GH, r.D);
    packHidden<T>(r.panels, r.wh, H, r.G, r.first);
  }
  copyRow<T>(r.h, r.h0, N * H);
  if (r.c != 0) copyRow<T>(r.c, r.c0, N * H);
  const run: Rows = (r, from, count, thread) => forwardRows<T>(r, from, count, thread);
  forRows(r, run.index);
}

/** Goes forward through all steps of `count` sequences. */
function forwardRows<T extends number>(
  r: Recurrence,
  from: usize,
  count: usize,
  thread: usize,
): void {
  const H = r.H;
  const steps = r.T;
  const columns = r.first * H;
  const temporary = r.rest + thread * r.restEach;
  const work = rowAt<T>(temporary, 1, H);
  const sums = rowAt<T>(r.sums, from, columns);
  const second = rowAt<T>(r.second, from, H);
  const state = rowAt<T>(r.h, from, H);
  const end = from + count;
  for (let step: usize = 0; step < steps; step++) {
    const t = r.isReverse ? steps - 1 - step : step;
    gemmPanelsAlone<T>(sums, state, r.panels, r.bh, work, count, columns, H);
    for (let n = from; n < end; n++) {
      const i = n * steps + t;
      if (t < lengthOf(r, n)) call_indirect<void>(r.row, r, n, i, i, temporary);
    }
    if (r.secondRow != 0) {
      const bias = r.bh == 0 ? <usize>0 : rowAt<T>(r.bh, 1, columns);
      const product = rowAt<T>(r.product, from, H);
      gemmPanelsAlone<T>(product, second, r.secondPanels, bias, work, count, H, H);
      for (let n = from; n < end; n++) {
        const i = n * steps + t;
        if (t < lengthOf(r, n)) call_indirect<void>(r.secondRow, r, n, i, i, temporary);
      }
    }
    if (r.out == 0) continue;
    for (let n = from; n < end; n++) {
      const row = t < lengthOf(r, n) ? rowAt<T>(r.h, n, H) : 0;
      copyRow<T>(rowAt<T>(r.out, n * steps + t, r.pitch), row, H);
    }
  }
}

/** Lays the workspace of a backward pass out, from r.rest on. */
function planBackward<T extends number>(r: Recurrence): void {
  const N = r.N;
  const H = r.H;
  const GH = r.G * H;
  const R = N * r.T; // at most
  const hasSecond = r.first < r.G;
  r.panels = take<T>(r, H * GH);
  r.secondPanels = r.panels + H * r.first * H * sizeof<T>();
  r.starts = take<f32>(r, N);
  r.zeros = take<T>(r, H);
  r.dgates = take<T>(r, R * GH);
  r.dhidden = r.dhidden != 0 ? take<T>(r, R * GH) : r.dgates;
  r.before = take<T>(r, R * H);
  r.reset = hasSecond ? take<T>(r, R * H) : 0;
  r.sums = take<T>(r, N * r.first * H);
  r.second = hasSecond ? take<T>(r, N * H) : 0;
  r.dstate = take<T>(r, N * H);
  r.dcell = take<T>(r, N * H);
  r.product = take<T>(r, N * H);
  takeParts<T>(r, H, r.first * H);
}

/** Returns how many bytes the products over all steps need beside the rest. */
function productBytes<T extends number>(r: Recurrence, R: usize): usize {
  const H = r.H;
  const D = r.D;
  const GH = r.G * H;
  const size = sizeof<T>();
  let bytes = columnSumWorkBytes(GH);
  // Fewer steps may take another path than all do.
  const inputs = r.lengths == 0 ? 0 : R * D * size;
  bytes = max(bytes, inputs + gemmWorkBytes<T>(R, D, GH, 1));
  bytes = max(bytes, inputs + gemmWorkBytes<T>(1, D, GH, 1));
  bytes = max(bytes, inputs + gemmWorkBytes<T>(2, D, GH, 1));
  bytes = max(bytes, inputs + gemmWorkBytes<T>(D, GH, R, D));
  return max(bytes, H * GH * size + gemmWorkBytes<T>(H, GH, R, H));
}

/** Returns how many bytes of workspace backwardSteps needs, as forwardBytes. */
export function backwardBytes<T extends number>(r: Recurrence): usize {
  r.rest = 0;
  planBackward<T>(r);
  return r.rest + max(productBytes<T>(r, r.N * r.T), max(threads(), 1) * r.restEach);
}

/** Numbers the steps that there are. */
function numberSteps(r: Recurrence): void {
  let R: usize = 0;
  for (let n: usize = 0; n < r.N; n++) {
    store<u32>(r.starts + (n << 2), <u32>R);
    R += lengthOf(r, n);
  }
  r.R = R;
}

/**
 * Goes back through all steps, and computes what is not left out of dx, dh0, dc0, dwx, dwh, db and
 * dbh; a layer has written G, first and the functions for rows, and dhidden if the gradients by h
 * are others than those by x.
 */
export function backwardSteps<T extends number>(r: Recurrence): void {
  const N = r.N;
  const H = r.H;
  const D = r.D;
  const G = r.G;
  const GH = G * H;
  const columns = r.first * H;
  const size = sizeof<T>();
  r.rest = r.work;
  planBackward<T>(r);
  memory.fill(r.zeros, 0, H * size);
  numberSteps(r);
  packTurned<T>(r.panels, r.wh, GH, columns, H);
  packTurned<T>(r.secondPanels, r.wh + columns * size, GH, GH - columns, H);
  copyRow<T>(r.dstate, r.dh, N * H);
  copyRow<T>(r.dcell, r.dc, N * H);
  memory.fill(r.sums, 0, N * columns * size);
  if (r.second != 0) memory.fill(r.second, 0, N * H * size);
  const run: Rows = (r, from, count, thread) => backwardRows<T>(r, from, count, thread);
  forRows(r, run.index);
  if (r.dh0 != 0) copyRow<T>(r.dh0, r.dstate, N * H);
  if (r.dc0 != 0) copyRow<T>(r.dc0, r.dcell, N * H);

  const R = r.R;
  const none = <T>-Infinity;
  if (r.db != 0) columnSum<T>(r.db, r.dgates, r.rest, R, GH);
  if (r.dbh != 0) columnSum<T>(r.dbh, r.dhidden, r.rest, R, GH);
  if (r.dwh != 0 && columns == GH) {
    gemm<T>(r.dwh, r.before, 1, H, r.dhidden, GH, 1, 0, none, r.rest, H, GH, R);
  } else if (r.dwh != 0) {
    const part = r.rest;
    const work = part + H * columns * size;
    gemm<T>(part, r.before, 1, H, r.dhidden, GH, 1, 0, none, work, H, columns, R);
    setColumns<T>(r.dwh, part, H, GH, columns);
    const gates = r.dhidden + columns * size;
    gemm<T>(part, r.reset, 1, H, gates, GH, 1, 0, none, work, H, GH - columns, R);
    setColumns<T>(r.dwh + columns * size, part, H, GH, GH - columns);
  }
  let x = r.x;
  let rows = r.dx;
  let work = r.rest;
  if (r.lengths != 0) {
    x = r.rest;
    rows = r.rest;
    work += R * D * size;
  }
  if (r.dwx != 0) {
    if (r.lengths != 0) {
      for (let n: usize = 0; n < N; n++) {
        memory.copy(placeOf<T>(r, x, n), rowAt<T>(r.x, n * r.T, D), lengthOf(r, n) * D * size);
      }
    }
    gemm<T>(r.dwx, x, 1, D, r.dgates, GH, 1, 0, none, work, D, GH, R);
  }
  if (r.dx != 0) {
    gemm<T>(rows, r.dgates, GH, 1, r.wx, 1, GH, 0, none, work, R, D, GH);
    if (r.lengths != 0) {
      for (let n: usize = 0; n < N; n++) {
        const bytes = lengthOf(r, n) * D * size;
        const to = rowAt<T>(r.dx, n * r.T, D);
        memory.copy(to, placeOf<T>(r, rows, n), bytes);
        memory.fill(to + bytes, 0, r.T * D * size - bytes);
      }
    }
  }
}

/** Returns where the steps of sequence n begin among those that there are. @inline */
function placeOf<T extends number>(r: Recurrence, address: usize, n: usize): usize {
  return rowAt<T>(address, <usize>load<u32>(r.starts + (n << 2)), r.D);
}

/** Copies `from` (M, N) to columns of an array that has `columns` of them. */
function setColumns<T extends number>(
  to: usize,
  from: usize,
  M: usize,
  columns: usize,
  N: usize,
): void {
  for (let i: usize = 0; i < M; i++) {
    memory.copy(rowAt<T>(to, i, columns), rowAt<T>(from, i, N), N * sizeof<T>());
  }
}

/** Goes back through all steps of `count` sequences. */
function backwardRows<T extends number>(
  r: Recurrence,
  from: usize,
  count: usize,
  thread: usize,
): void {
  const H = r.H;
  const steps = r.T;
  const columns = r.first * H;
  const temporary = r.rest + thread * r.restEach;
  const work = rowAt<T>(temporary, 1, H);
  const sums = rowAt<T>(r.sums, from, columns);
  const product = rowAt<T>(r.product, from, H);
  const end = from + count;
  for (let step: usize = 0; step < steps; step++) {
    const t = r.isReverse ? step : steps - 1 - step;
    for (let n = from; n < end; n++) {
      if (t >= lengthOf(r, n)) continue;
      const i = n * steps + t;
      const place = <usize>load<u32>(r.starts + (n << 2)) + t;
      const state = rowBefore<T>(r, n, i, r.h0, r.out, r.pitch);
      copyRow<T>(rowAt<T>(r.before, place, H), state, H);
      if (r.dout != 0) addRow<T>(rowAt<T>(r.dstate, n, H), rowAt<T>(r.dout, i, r.pitch), H);
      call_indirect<void>(r.row, r, n, i, place, temporary);
    }
    if (r.secondRow != 0) {
      gemmPanelsAlone<T>(
        product,
        rowAt<T>(r.second, from, H),
        r.secondPanels,
        0,
        work,
        count,
        H,
        H,
      );
      for (let n = from; n < end; n++) {
        if (t >= lengthOf(r, n)) continue;
        const place = <usize>load<u32>(r.starts + (n << 2)) + t;
        call_indirect<void>(r.secondRow, r, n, n * steps + t, place, temporary);
      }
    }
    gemmPanelsAlone<T>(product, sums, r.panels, 0, work, count, H, columns);
    for (let n = from; n < end; n++) {
      if (t < lengthOf(r, n)) addRow<T>(rowAt<T>(r.dstate, n, H), rowAt<T>(r.product, n, H), H);
    }
  }
}
