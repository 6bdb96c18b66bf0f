// Long short-term memory: a = x · wx + h · wh + b in four blocks i, f, o, g; c = σ(f) · c + σ(i) ·
// tanh(g) and h = σ(o) · tanh(c), step after step (Hochreiter and Schmidhuber, "Long Short-Term
// Memory", 1997; with the forget gate of Gers et al., 2000).

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
  rowBefore,
  sigmoidDerivative,
  tanhDerivative,
} from "./recurrent";
import { sigmoidRow } from "./sigmoid";
import { tanhRow } from "./tanh";

/** Writes how many gates there are. */
function begin(r: Recurrence): void {
  r.G = 4;
  r.first = 4;
  r.secondRow = 0;
  r.dhidden = 0;
}

/** @kernel */
export function lstmForwardWorkBytes<T extends number>(recurrence: usize): usize {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  return forwardBytes<T>(r);
}

/** out, h, c, gates and cells, from x, h0, c0, wx, wh and b. @kernel */
export function lstmForward<T extends number>(recurrence: usize): void {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  const row: Row = (r, n, i) => lstmRow<T>(r, n, i);
  r.row = row.index;
  forwardSteps<T>(r);
}

function lstmRow<T extends number>(r: Recurrence, n: usize, i: usize): void {
  const H = r.H;
  const block = H * sizeof<T>();
  let a = rowAt<T>(r.a, i, 4 * H);
  addRow<T>(a, rowAt<T>(r.sums, n, 4 * H), 4 * H);
  sigmoidRow<T>(a, a, 3 * H);
  tanhRow<T>(a + 3 * block, a + 3 * block, H);
  const cell = rowAt<T>(r.c, n, H);
  let c = cell;
  let f = a + block;
  let g = f + 2 * block;
  for (let j: usize = 0; j < H; j += LANES<T>()) {
    const lanes = min(H - j, LANES<T>());
    const kept = v128.mul<T>(loadLanes<T>(f, lanes), loadLanes<T>(c, lanes));
    const taken = v128.mul<T>(loadLanes<T>(a, lanes), loadLanes<T>(g, lanes));
    storeLanes<T>(c, v128.add<T>(kept, taken), lanes);
    a += 16;
    f += 16;
    g += 16;
    c += 16;
  }
  if (r.cells != 0) memory.copy(rowAt<T>(r.cells, i, H), cell, block);
  let h = rowAt<T>(r.h, n, H);
  tanhRow<T>(h, cell, H);
  let o = rowAt<T>(r.a, i, 4 * H) + 2 * block;
  for (let j: usize = 0; j < H; j += LANES<T>()) {
    const lanes = min(H - j, LANES<T>());
    storeLanes<T>(h, v128.mul<T>(loadLanes<T>(o, lanes), loadLanes<T>(h, lanes)), lanes);
    o += 16;
    h += 16;
  }
}

/** @kernel */
export function lstmBackwardWorkBytes<T extends number>(recurrence: usize): usize {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  return backwardBytes<T>(r);
}

/**
 * dx, dh0, dc0, dwx, dwh and db, from dout, dh, dc, x, h0, c0, wx, wh, out, gates and cells.
 * @kernel
 */
export function lstmBackward<T extends number>(recurrence: usize): void {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  const row: Row = (r, n, i, place, tanhs) => lstmRowBackward<T>(r, n, i, place, tanhs);
  r.row = row.index;
  backwardSteps<T>(r);
}

/** Uses (H,) at `tanhs` for tanh(c), which forward does not keep. */
function lstmRowBackward<T extends number>(
  r: Recurrence,
  n: usize,
  i: usize,
  place: usize,
  tanhs: usize,
): void {
  const H = r.H;
  const block = H * sizeof<T>();
  let gate = rowAt<T>(r.gates, i, 4 * H);
  let c0 = rowBefore<T>(r, n, i, r.c0, r.cells, H);
  let dh = rowAt<T>(r.dstate, n, H);
  let dc = rowAt<T>(r.dcell, n, H);
  const gradients = rowAt<T>(r.dgates, place, 4 * H);
  let da = gradients;
  tanhRow<T>(tanhs, rowAt<T>(r.cells, i, H), H);
  for (let j: usize = 0; j < H; j += LANES<T>()) {
    const lanes = min(H - j, LANES<T>());
    const i = loadLanes<T>(gate, lanes);
    const f = loadLanes<T>(gate + block, lanes);
    const o = loadLanes<T>(gate + 2 * block, lanes);
    const g = loadLanes<T>(gate + 3 * block, lanes);
    const y = loadLanes<T>(tanhs, lanes);
    const up = loadLanes<T>(dh, lanes);
    const through = v128.mul<T>(v128.mul<T>(up, o), tanhDerivative<T>(y));
    const cell = v128.add<T>(loadLanes<T>(dc, lanes), through);
    const byInput = v128.mul<T>(cell, g);
    const byForget = v128.mul<T>(cell, loadLanes<T>(c0, lanes));
    const byOutput = v128.mul<T>(up, y);
    storeLanes<T>(da, v128.mul<T>(byInput, sigmoidDerivative<T>(i)), lanes);
    storeLanes<T>(da + block, v128.mul<T>(byForget, sigmoidDerivative<T>(f)), lanes);
    storeLanes<T>(da + 2 * block, v128.mul<T>(byOutput, sigmoidDerivative<T>(o)), lanes);
    storeLanes<T>(da + 3 * block, v128.mul<T>(v128.mul<T>(cell, i), tanhDerivative<T>(g)), lanes);
    storeLanes<T>(dc, v128.mul<T>(cell, f), lanes);
    storeLanes<T>(dh, v128.splat<T>(<T>0), lanes);
    gate += 16;
    c0 += 16;
    dh += 16;
    dc += 16;
    da += 16;
    tanhs += 16;
  }
  memory.copy(rowAt<T>(r.sums, n, 4 * H), gradients, 4 * block);
}
