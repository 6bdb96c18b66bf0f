// The plain recurrent layer: h = tanh(x · wx + h · wh + b), step after step (Elman, "Finding
// Structure in Time", 1990).

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
  tanhDerivative,
} from "./recurrent";
import { tanhRow } from "./tanh";

/** Writes how many gates there are. */
function begin(r: Recurrence): void {
  r.G = 1;
  r.first = 1;
  r.secondRow = 0;
  r.dhidden = 0;
}

/** @kernel */
export function rnnForwardWorkBytes<T extends number>(recurrence: usize): usize {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  return forwardBytes<T>(r);
}

/** out and h, from x, h0, wx, wh and b. @kernel */
export function rnnForward<T extends number>(recurrence: usize): void {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  const row: Row = (r, n, i) => rnnRow<T>(r, n, i);
  r.row = row.index;
  forwardSteps<T>(r);
}

function rnnRow<T extends number>(r: Recurrence, n: usize, i: usize): void {
  const H = r.H;
  const a = rowAt<T>(r.a, i, H);
  addRow<T>(a, rowAt<T>(r.sums, n, H), H);
  tanhRow<T>(rowAt<T>(r.h, n, H), a, H);
}

/** @kernel */
export function rnnBackwardWorkBytes<T extends number>(recurrence: usize): usize {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  return backwardBytes<T>(r);
}

/** dx, dh0, dwx, dwh and db, from dout, dh, x, h0, wx, wh and out. @kernel */
export function rnnBackward<T extends number>(recurrence: usize): void {
  const r = changetype<Recurrence>(recurrence);
  begin(r);
  const row: Row = (r, n, i, place) => rnnRowBackward<T>(r, n, i, place);
  r.row = row.index;
  backwardSteps<T>(r);
}

function rnnRowBackward<T extends number>(r: Recurrence, n: usize, i: usize, place: usize): void {
  const H = r.H;
  let h = rowAt<T>(r.out, i, r.pitch);
  let dh = rowAt<T>(r.dstate, n, H);
  let da = rowAt<T>(r.dgates, place, H);
  const step = rowAt<T>(r.sums, n, H);
  const gradients = da;
  for (let j: usize = 0; j < H; j += LANES<T>()) {
    const lanes = min(H - j, LANES<T>());
    const factor = tanhDerivative<T>(loadLanes<T>(h, lanes));
    storeLanes<T>(da, v128.mul<T>(loadLanes<T>(dh, lanes), factor), lanes);
    storeLanes<T>(dh, v128.splat<T>(<T>0), lanes);
    h += 16;
    dh += 16;
    da += 16;
  }
  memory.copy(step, gradients, H * sizeof<T>());
}
