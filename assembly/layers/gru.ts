// Gated recurrent units, in three blocks r, z, n: h = (1 − z) · n + z · h, step after step. The
// reset gate r multiplies after the product, n = tanh(x · wn + bn + r · (h · un + bhn)), as PyTorch
// and Keras have it, or before it, n = tanh(x · wn + bn + (r · h) · un + bhn), as in Cho et al.,
// "Learning Phrase Representations using RNN Encoder-Decoder", 2014, arXiv:1406.1078, and ONNX.

import { Recurrence } from "../abi/recurrence";
import { LANES, loadLanes, storeLanes } from "../simd";
import {
  addRow,
  backwardBytes,
  backwardSteps,
  forwardBytes,
  forwardSteps,
  Row,
  rowAt,
  sigmoidDerivative,
  tanhDerivative,
} from "./recurrent";
import { sigmoidRow } from "./sigmoid";
import { tanhRow } from "./tanh";

/**
 * Writes how many gates there are: the product for n is one of its own if it is of r · h. The
 * gradients by h are others than those by x if r multiplies what comes from h alone.
 */
function begin(r: Recurrence): void {
  r.G = 3;
  r.first = r.resetAfter ? 3 : 2;
  r.secondRow = 0;
  r.dhidden = r.resetAfter;
}

/** @kernel */
export function gruForwardWorkBytes<T extends number>(recurrence: usize): usize {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  return forwardBytes<T>(r);
}

/**
 * out, h, gates and, where r multiplies after the product, cells, from x, h0, wx, wh, b and bh.
 *
 * @kernel
 */
export function gruForward<T extends number>(recurrence: usize): void {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  if (r.resetAfter) {
    const row: Row = (r, n, i) => rowResetAfter<T>(r, n, i);
    r.row = row.index;
  } else {
    const row: Row = (r, n, i) => rowResetBefore<T>(r, n, i);
    const secondRow: Row = (r, n, i) => secondRowResetBefore<T>(r, n, i);
    r.row = row.index;
    r.secondRow = secondRow.index;
  }
  forwardSteps<T>(r);
}

/** to = a · b + (add ? to : 0), n elements. @inline */
function multiply<T extends number>(to: usize, a: usize, b: usize, n: usize, add: bool): void {
  for (let j: usize = 0; j < n; j += LANES<T>()) {
    const lanes = min(n - j, LANES<T>());
    let v = v128.mul<T>(loadLanes<T>(a, lanes), loadLanes<T>(b, lanes));
    if (add) v = v128.add<T>(loadLanes<T>(to, lanes), v);
    storeLanes<T>(to, v, lanes);
    to += 16;
    a += 16;
    b += 16;
  }
}

/** h = (1 − z) · tanh(a) + z · h, where a's place receives the tanh; z lies before a. */
function newState<T extends number>(h: usize, a: usize, H: usize): void {
  let z = a - H * sizeof<T>();
  const one = v128.splat<T>(<T>1);
  tanhRow<T>(a, a, H);
  for (let j: usize = 0; j < H; j += LANES<T>()) {
    const lanes = min(H - j, LANES<T>());
    const share = loadLanes<T>(z, lanes);
    const taken = v128.mul<T>(v128.sub<T>(one, share), loadLanes<T>(a, lanes));
    const kept = v128.mul<T>(share, loadLanes<T>(h, lanes));
    storeLanes<T>(h, v128.add<T>(taken, kept), lanes);
    a += 16;
    z += 16;
    h += 16;
  }
}

function rowResetAfter<T extends number>(r: Recurrence, n: usize, i: usize): void {
  const H = r.H;
  const a = rowAt<T>(r.a, i, 3 * H);
  const sums = rowAt<T>(r.sums, n, 3 * H);
  const inner = rowAt<T>(sums, 2, H);
  const last = rowAt<T>(a, 2, H);
  addRow<T>(a, sums, 2 * H);
  sigmoidRow<T>(a, a, 2 * H);
  if (r.cells != 0) memory.copy(rowAt<T>(r.cells, i, H), inner, H * sizeof<T>());
  multiply<T>(last, a, inner, H, true);
  newState<T>(rowAt<T>(r.h, n, H), last, H);
}

function rowResetBefore<T extends number>(r: Recurrence, n: usize, i: usize): void {
  const H = r.H;
  const a = rowAt<T>(r.a, i, 3 * H);
  addRow<T>(a, rowAt<T>(r.sums, n, 2 * H), 2 * H);
  sigmoidRow<T>(a, a, 2 * H);
  multiply<T>(rowAt<T>(r.second, n, H), a, rowAt<T>(r.h, n, H), H, false);
}

function secondRowResetBefore<T extends number>(r: Recurrence, n: usize, i: usize): void {
  const H = r.H;
  const last = rowAt<T>(rowAt<T>(r.a, i, 3 * H), 2, H);
  addRow<T>(last, rowAt<T>(r.product, n, H), H);
  newState<T>(rowAt<T>(r.h, n, H), last, H);
}

/** @kernel */
export function gruBackwardWorkBytes<T extends number>(recurrence: usize): usize {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  return backwardBytes<T>(r);
}

/**
 * dx, dh0, dwx, dwh, db and dbh, from dout, dh, x, h0, wx, wh, out, gates and cells, which is not
 * read where r multiplies before the product.
 *
 * @kernel
 */
export function gruBackward<T extends number>(recurrence: usize): void {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  if (r.resetAfter) {
    const row: Row = (r, n, i, place) => backwardResetAfter<T>(r, n, i, place);
    r.row = row.index;
  } else {
    const row: Row = (r, n, i, place) => backwardResetBefore<T>(r, n, i, place);
    const secondRow: Row = (r, n, i, place) => secondBackward<T>(r, n, i, place);
    r.row = row.index;
    r.secondRow = secondRow.index;
  }
  backwardSteps<T>(r);
}

/**
 * Writes the gradients of the sums of z and n, at da + H and da + 2H, and leaves of dh what the
 * state before has by z alone.
 */
function backwardState<T extends number>(
  da: usize,
  dh: usize,
  gate: usize,
  h: usize,
  H: usize,
): void {
  const block = H * sizeof<T>();
  const one = v128.splat<T>(<T>1);
  for (let j: usize = 0; j < H; j += LANES<T>()) {
    const lanes = min(H - j, LANES<T>());
    const z = loadLanes<T>(gate + block, lanes);
    const y = loadLanes<T>(gate + 2 * block, lanes);
    const up = loadLanes<T>(dh, lanes);
    const byShare = v128.mul<T>(up, v128.sub<T>(loadLanes<T>(h, lanes), y));
    const byNew = v128.mul<T>(up, v128.sub<T>(one, z));
    storeLanes<T>(da + block, v128.mul<T>(byShare, sigmoidDerivative<T>(z)), lanes);
    storeLanes<T>(da + 2 * block, v128.mul<T>(byNew, tanhDerivative<T>(y)), lanes);
    storeLanes<T>(dh, v128.mul<T>(up, z), lanes);
    da += 16;
    dh += 16;
    gate += 16;
    h += 16;
  }
}

/** da = by · (the derivative of sigmoid where it is gate) · times. */
function backwardReset<T extends number>(
  da: usize,
  by: usize,
  times: usize,
  gate: usize,
  H: usize,
): void {
  for (let j: usize = 0; j < H; j += LANES<T>()) {
    const lanes = min(H - j, LANES<T>());
    const up = v128.mul<T>(loadLanes<T>(by, lanes), loadLanes<T>(times, lanes));
    storeLanes<T>(da, v128.mul<T>(up, sigmoidDerivative<T>(loadLanes<T>(gate, lanes))), lanes);
    da += 16;
    by += 16;
    times += 16;
    gate += 16;
  }
}

function backwardResetAfter<T extends number>(
  r: Recurrence,
  n: usize,
  i: usize,
  place: usize,
): void {
  const H = r.H;
  const gate = rowAt<T>(r.gates, i, 3 * H);
  const da = rowAt<T>(r.dgates, place, 3 * H);
  const last = rowAt<T>(da, 2, H);
  backwardState<T>(da, rowAt<T>(r.dstate, n, H), gate, rowAt<T>(r.before, place, H), H);
  backwardReset<T>(da, last, rowAt<T>(r.cells, i, H), gate, H);
  const hidden = rowAt<T>(r.dhidden, place, 3 * H);
  memory.copy(hidden, da, 2 * H * sizeof<T>());
  multiply<T>(rowAt<T>(hidden, 2, H), last, gate, H, false);
  memory.copy(rowAt<T>(r.sums, n, 3 * H), hidden, 3 * H * sizeof<T>());
}

function backwardResetBefore<T extends number>(
  r: Recurrence,
  n: usize,
  i: usize,
  place: usize,
): void {
  const H = r.H;
  const gate = rowAt<T>(r.gates, i, 3 * H);
  const da = rowAt<T>(r.dgates, place, 3 * H);
  const h = rowAt<T>(r.before, place, H);
  backwardState<T>(da, rowAt<T>(r.dstate, n, H), gate, h, H);
  multiply<T>(rowAt<T>(r.reset, place, H), gate, h, H, false);
  memory.copy(rowAt<T>(r.second, n, H), rowAt<T>(da, 2, H), H * sizeof<T>());
}

/** Takes the gradient of r · h, which the second product has given. */
function secondBackward<T extends number>(r: Recurrence, n: usize, i: usize, place: usize): void {
  const H = r.H;
  const gate = rowAt<T>(r.gates, i, 3 * H);
  const da = rowAt<T>(r.dgates, place, 3 * H);
  const product = rowAt<T>(r.product, n, H);
  backwardReset<T>(da, product, rowAt<T>(r.before, place, H), gate, H);
  multiply<T>(rowAt<T>(r.dstate, n, H), product, gate, H, true);
  memory.copy(rowAt<T>(r.sums, n, 2 * H), da, 2 * H * sizeof<T>());
}
