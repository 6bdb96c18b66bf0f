// Pooling of images: of each window of x (N, H, W, C) the largest value or the mean, channel by
// channel.
//
// A window is cut to its cells inside the image, and its channels are taken a vector at a time.
// Where C is no whole number of vectors, the last one begins earlier and writes some results twice.
//
// The backward goes along the rows of dx, and for each through the windows that have a line there,
// in their order: no two threads write to the same row, and each sum has one order.

import { Window } from "../abi/window";
import {
  LANES,
  loadLanes,
  loadTail,
  narrow,
  storeLanes,
  storeTail,
  widenHigh,
  widenLow,
} from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

/** An average is the sum itself. @constant divideByNothing @inline */
const BY_NOTHING: u32 = 0;
/** A sum is divided by the window's cells inside the image. @constant divideByImage @inline */
export const BY_IMAGE: u32 = 1;
/**
 * A sum is divided by the window's cells inside the padded image. @constant divideByPadded @inline
 */
const BY_PADDED: u32 = 2;
/** There is no sum, but the largest value. @inline */
const LARGEST: u32 = 3;

/** The sum of more cells than this is taken in float64. @inline */
const FEW: i32 = 8;

/**
 * Returns the first line of a window that lies in the image, where the window begins at `start`.
 */
function firstInside(start: i32, step: u32): i32 {
  return start >= 0 ? 0 : <i32>((step - 1 - <u32>start) / step);
}

/**
 * Returns the number of the lines of a window that begin before the end of an image of this length.
 */
function endInside(start: i32, step: u32, lines: u32, length: u32): i32 {
  const left = <i32>length - start;
  if (left > <i32>((lines - 1) * step)) return lines;
  return left > 0 ? <i32>((<u32>left + step - 1) / step) : 0;
}

/** Returns the first window of a row that has all its columns in the image. @inline */
function firstWhole(w: Window): u32 {
  return (w.left + w.SW - 1) / w.SW;
}

/** Returns the window behind the last such one. @inline */
function endWhole(w: Window): u32 {
  const padded = w.W + w.left;
  const covered = (w.KW - 1) * w.DW + 1;
  return padded < covered ? 0 : min(w.OW, (padded - covered) / w.SW + 1);
}

/**
 * Returns how many of a window's lines a sum is divided by, `inside` of which are in the image.
 */
function countOf(divisor: u32, inside: i32, start: i32, step: u32, lines: u32, padded: u32): i32 {
  if (divisor == BY_NOTHING) return 1;
  return divisor == BY_PADDED ? endInside(start, step, lines, padded) : inside;
}

/** Returns where x is above the most, or a NaN where there was none. @inline */
function isMore<T extends number>(x: v128, most: v128): v128 {
  return v128.andnot(v128.eq<T>(most, most), v128.le<T>(x, most));
}

/** @inline */
function splatIndex<T extends number>(index: i32): v128 {
  return sizeof<T>() == 4 ? i32x4.splat(index) : i64x2.splat(<i64>index);
}

/** Writes the indices of so many lanes as int32. @inline */
function storeIndices<T extends number>(p: usize, indices: v128, lanes: usize): void {
  if (sizeof<T>() == 4) storeLanes<f32>(p, indices, lanes);
  else storeTail<f32>(p, v128.shuffle<u32>(indices, indices, 0, 2, 0, 2), lanes);
}

/**
 * The largest values of `count` windows beside each other that have the same rows and columns in
 * the image, and which cells they are of; −∞ and −1 if there is no cell.
 */
function largestOf<T extends number>(
  out: usize, // (count, C)
  argmax: usize, // (count, C) int32, or 0
  cells: usize, // the first in the image
  count: i32,
  hop: usize, // from a window's cells to the next one's
  rows: i32,
  columns: i32,
  down: usize,
  across: usize,
  first: i32,
  KW: i32,
  C: usize,
): void {
  const size = sizeof<T>();
  const lanes = min(C, LANES<T>());
  const isEmpty = rows <= 0 || columns <= 0;
  const isSquare = rows == 2 && columns == 2 && lanes == LANES<T>();
  const index0 = splatIndex<T>(isEmpty ? -1 : first);
  const index1 = splatIndex<T>(first + 1);
  const index2 = splatIndex<T>(first + KW);
  const index3 = splatIndex<T>(first + KW + 1);
  for (; count > 0; count--) {
    for (let j: usize = 0; j < C; j += LANES<T>()) {
      const c = min(j, C - lanes);
      let row = cells + c * size;
      let index = index0;
      let most: v128;
      if (isSquare) {
        most = v128.load(row);
        let x = v128.load(row + across);
        let m = isMore<T>(x, most);
        most = v128.bitselect(x, most, m);
        index = v128.bitselect(index1, index, m);
        row += down;
        x = v128.load(row);
        m = isMore<T>(x, most);
        most = v128.bitselect(x, most, m);
        index = v128.bitselect(index2, index, m);
        x = v128.load(row + across);
        m = isMore<T>(x, most);
        most = v128.bitselect(x, most, m);
        index = v128.bitselect(index3, index, m);
      } else {
        most = isEmpty ? v128.splat<T>(<T>-Infinity) : loadLanes<T>(row, lanes);
        for (let u: i32 = 0; u < rows; u++) {
          let p = row;
          for (let v: i32 = 0; v < columns; v++) {
            const x = loadLanes<T>(p, lanes);
            const m = isMore<T>(x, most);
            most = v128.bitselect(x, most, m);
            index = v128.bitselect(splatIndex<T>(first + u * KW + v), index, m);
            p += across;
          }
          row += down;
        }
      }
      storeLanes<T>(out + c * size, most, lanes);
      if (argmax != 0) storeIndices<T>(argmax + (c << 2), index, lanes);
    }
    cells += hop;
    out += C * size;
    if (argmax != 0) argmax += C << 2;
  }
}

/** The sums of the cells of such windows, times `scale`. */
function averageOf<T extends number>(
  out: usize, // (count, C)
  cells: usize, // the first in the image
  count: i32,
  hop: usize,
  rows: i32,
  columns: i32,
  down: usize,
  across: usize,
  scale: f64,
  C: usize,
): void {
  const size = sizeof<T>();
  const lanes = min(C, LANES<T>());
  const isSquare = rows == 2 && columns == 2 && lanes == LANES<T>();
  const by = v128.splat<T>(<T>scale);
  for (; count > 0; count--) {
    for (let j: usize = 0; j < C; j += LANES<T>()) {
      const c = min(j, C - lanes);
      let row = cells + c * size;
      let sum: v128;
      if (isSquare) {
        sum = v128.add<T>(v128.load(row), v128.load(row + across));
        row += down;
        sum = v128.add<T>(v128.add<T>(sum, v128.load(row)), v128.load(row + across));
      } else {
        sum = v128.splat<T>(<T>0);
        for (let u: i32 = 0; u < rows; u++) {
          let p = row;
          for (let v: i32 = 0; v < columns; v++) {
            sum = v128.add<T>(sum, loadLanes<T>(p, lanes));
            p += across;
          }
          row += down;
        }
      }
      storeLanes<T>(out + c * size, v128.mul<T>(sum, by), lanes);
    }
    cells += hop;
    out += C * size;
  }
}

/** Sums many cells in float64, as poolRun does few. */
function averageMany<T extends number>(
  out: usize, // (C,)
  cells: usize,
  rows: i32,
  columns: i32,
  down: usize,
  across: usize,
  scale: f64,
  C: usize,
): void {
  const size = sizeof<T>();
  const lanes = min(C, LANES<T>());
  const by = f64x2.splat(scale);
  for (let j: usize = 0; j < C; j += LANES<T>()) {
    const c = min(j, C - lanes);
    let row = cells + c * size;
    let low = f64x2.splat(0);
    let high = low;
    for (let u: i32 = 0; u < rows; u++) {
      let p = row;
      for (let v: i32 = 0; v < columns; v++) {
        const x = loadLanes<T>(p, lanes);
        low = f64x2.add(low, widenLow<T>(x));
        if (sizeof<T>() == 4) high = f64x2.add(high, widenHigh(x));
        p += across;
      }
      row += down;
    }
    storeLanes<T>(out + c * size, narrow<T>(f64x2.mul(low, by), f64x2.mul(high, by)), lanes);
  }
}

/** Pools the windows of `count` rows of out from number `from` on. */
function poolRows<T extends number>(
  from: usize,
  count: usize,
  out: usize,
  argmax: usize,
  x: usize,
  window: usize,
  divisor: u32,
  bottom: u32,
  right: u32,
): void {
  const w = changetype<Window>(window);
  const C: usize = w.C;
  const cell = C * sizeof<T>();
  const line = <usize>w.W * cell;
  const down = <usize>w.DH * line;
  const across = <usize>w.DW * cell;
  const firstPixel = from * w.OW * C;
  const whole = firstWhole(w);
  const wholeEnd = endWhole(w);
  out = at<T>(out, firstPixel);
  if (argmax != 0) argmax = at<i32>(argmax, firstPixel);
  for (let r = from; r < from + count; r++) {
    const y = <i32>(<u32>(r % w.OH) * w.SH) - <i32>w.top;
    const u0 = firstInside(y, w.DH);
    const rows = endInside(y, w.DH, w.KH, w.H) - u0;
    const counts = countOf(divisor, rows, y, w.DH, w.KH, w.H + bottom);
    const above = x + ((r / w.OH) * w.H + <usize>(y + u0 * <i32>w.DH)) * line;
    let j: u32 = 0;
    while (j < w.OW) {
      const z = <i32>(j * w.SW) - <i32>w.left;
      const v0 = firstInside(z, w.DW);
      const columns = endInside(z, w.DW, w.KW, w.W) - v0;
      const cells = above + <usize>(z + v0 * <i32>w.DW) * cell;
      let run: usize = 1;
      const hop = <usize>w.SW * cell;
      if (divisor == LARGEST) {
        if (j == whole && wholeEnd > whole) run = wholeEnd - whole;
        const first = u0 * <i32>w.KW + v0;
        largestOf<T>(
          out,
          argmax,
          cells,
          <i32>run,
          hop,
          rows,
          columns,
          down,
          across,
          first,
          w.KW,
          C,
        );
        if (argmax != 0) argmax += (run * C) << 2;
      } else {
        const scale = 1 / <f64>(counts * countOf(divisor, columns, z, w.DW, w.KW, w.W + right));
        if (rows * columns > FEW) {
          averageMany<T>(out, cells, rows, columns, down, across, scale, C);
        } else {
          if (j == whole && wholeEnd > whole) run = wholeEnd - whole;
          averageOf<T>(out, cells, <i32>run, hop, rows, columns, down, across, scale, C);
        }
      }
      out += run * cell;
      j += <u32>run;
    }
  }
}

@unmanaged
class PoolJob {
  to: usize;
  input: usize;
  argmax: usize;
  window: usize;
  divisor: u32;
  bottom: u32;
  right: u32;
}

/** Plans a job for rows of `to`, and writes its words; returns false where there is none. */
function planRows(
  rows: usize,
  cost: usize,
  to: usize,
  input: usize,
  argmax: usize,
  window: usize,
  divisor: u32,
  bottom: u32,
  right: u32,
): bool {
  if (!planSplit(rows, cost)) return false;
  const job = jobOf<PoolJob>();
  job.to = to;
  job.input = input;
  job.argmax = argmax;
  job.window = window;
  job.divisor = divisor;
  job.bottom = bottom;
  job.right = right;
  return true;
}

function pool<T extends number>(
  out: usize,
  argmax: usize,
  x: usize,
  window: usize,
  N: usize,
  divisor: u32,
  bottom: u32,
  right: u32,
): void {
  const w = changetype<Window>(window);
  const rows = N * w.OH;
  const cost = min(w.KH, w.H) * w.W * w.C * sizeof<T>();
  if (SHARED && planRows(rows, cost, out, x, argmax, window, divisor, bottom, right)) {
    split((from, count) => {
      const j = jobOf<PoolJob>();
      const input = j.input;
      poolRows<T>(from, count, j.to, j.argmax, input, j.window, j.divisor, j.bottom, j.right);
    });
    return;
  }
  poolRows<T>(0, rows, out, argmax, x, window, divisor, bottom, right);
}

/**
 * The largest value of each window; the padding is −∞, and a NaN is above all. argmax, which only
 * the backward needs, receives the cell that each value is of, the first of equal ones, as u · KW +
 * v, and −1 for a window in the padding alone; 0 leaves it out.
 *
 * @kernel @operation maxPool
 */
export function maxPoolForward<T extends number>(
  out: usize, // (N, OH, OW, C)
  argmax: usize, // (N, OH, OW, C) int32
  x: usize, // (N, H, W, C)
  window: usize,
  N: usize,
): void {
  pool<T>(out, argmax, x, window, N, LARGEST, 0, 0);
}

/**
 * The mean of each window's cells in the image, or by `divisor` their sum over all its cells in the
 * padded image, or their sum itself.
 *
 * @kernel
 */
export function averagePoolForward<T extends number>(
  out: usize, // (N, OH, OW, C)
  x: usize, // (N, H, W, C)
  window: usize,
  N: usize,
  divisor: u32,
): void {
  const s = changetype<Window>(window);
  pool<T>(out, 0, x, window, N, divisor, s.bottom, s.right);
}

/** @operation averagePool */
export function averagePool<T extends number>(
  out: usize, // (N, OH, OW, C)
  x: usize, // (N, H, W, C)
  window: usize,
  N: usize,
  divisor: f64,
): void {
  averagePoolForward<T>(out, x, window, N, <u32>divisor);
}

/**
 * Gives `count` windows beside each other what is theirs to their columns in one line of dx: dout
 * where the largest value is of that cell, or dout · scale. Where no other window gives it
 * anything, it is written, and otherwise added.
 */
function spreadRun<T extends number>(
  dx: usize, // the first cell
  dout: usize, // (count, C)
  argmax: usize, // (count, C) int32, or 0
  count: i32,
  hop: usize, // from a window's cells to the next one's
  columns: i32,
  across: usize,
  first: i32,
  scale: T,
  isAlone: bool,
  C: usize,
): void {
  const size = sizeof<T>();
  const by = v128.splat<T>(scale);
  const index0 = splatIndex<T>(first);
  const index1 = splatIndex<T>(first + 1);
  for (; count > 0; count--) {
    for (let c: usize = 0; c < C; c += LANES<T>()) {
      const lanes = min(C - c, LANES<T>());
      let to = dx + c * size;
      let d = loadLanes<T>(dout + c * size, lanes);
      let places = index0;
      if (argmax == 0) d = v128.mul<T>(d, by);
      else places = loadIndices<T>(argmax + (c << 2), lanes);
      if (columns == 2 && isAlone) {
        storeLanes<T>(to, argmax == 0 ? d : where<T>(d, places, index0), lanes);
        storeLanes<T>(to + across, argmax == 0 ? d : where<T>(d, places, index1), lanes);
        continue;
      }
      for (let v: i32 = 0; v < columns; v++) {
        let given = argmax == 0 ? d : where<T>(d, places, splatIndex<T>(first + v));
        if (!isAlone) given = v128.add<T>(loadLanes<T>(to, lanes), given);
        storeLanes<T>(to, given, lanes);
        to += across;
      }
    }
    dx += hop;
    dout += C * size;
    if (argmax != 0) argmax += C << 2;
  }
}

/** Returns d where the places are this one, and 0 elsewhere. @inline */
function where<T extends number>(d: v128, places: v128, place: v128): v128 {
  return v128.and(d, sizeof<T>() == 4 ? i32x4.eq(places, place) : i64x2.eq(places, place));
}

/** Loads so many int32 as indices are compared. @inline */
function loadIndices<T extends number>(p: usize, lanes: usize): v128 {
  if (sizeof<T>() == 4) return loadLanes<f32>(p, lanes);
  return i64x2.extend_low_i32x4_s(loadTail<f32>(p, lanes));
}

/** Computes `count` rows of dx from number `from` on. */
function spreadRows<T extends number>(
  from: usize,
  count: usize,
  dx: usize,
  argmax: usize,
  dout: usize,
  window: usize,
  divisor: u32,
  bottom: u32,
  right: u32,
): void {
  const w = changetype<Window>(window);
  const C: usize = w.C;
  const cell = C * sizeof<T>();
  const line = <usize>w.W * cell;
  const whole = firstWhole(w);
  const wholeEnd = endWhole(w);
  const covered = (w.KH - 1) * w.DH;
  const isAlone = w.SH > covered && w.SW > (w.KW - 1) * w.DW;
  // If windows cover a row without a gap, nothing of it has to be cleared.
  const isDense = covered == w.KH - 1 && w.SW == w.KW;
  const isFull = isAlone && isDense && w.left == 0 && w.OW * w.SW >= w.W;
  for (let r = from; r < from + count; r++) {
    const row = dx + r * line;
    // Window i has this row as its line u where i · SH + u · DH = y.
    const y = <u32>(r % w.H) + w.top;
    const end = min(w.OH, y / w.SH + 1);
    const start = y > covered ? (y - covered + w.SH - 1) / w.SH : 0;
    if (!isFull || start >= end) memory.fill(row, 0, line);
    for (let i = start; i < end; i++) {
      const below = y - i * w.SH;
      if (below % w.DH != 0) continue;
      const z0 = <i32>(i * w.SH) - <i32>w.top;
      const inside = endInside(z0, w.DH, w.KH, w.H) - firstInside(z0, w.DH);
      const counts = countOf(divisor, inside, z0, w.DH, w.KH, w.H + bottom);
      const first = ((r / w.H) * w.OH + i) * w.OW * C;
      let d = at<T>(dout, first);
      let places = argmax == 0 ? 0 : at<i32>(argmax, first);
      let j: u32 = 0;
      while (j < w.OW) {
        const z = <i32>(j * w.SW) - <i32>w.left;
        const v0 = firstInside(z, w.DW);
        const columns = endInside(z, w.DW, w.KW, w.W) - v0;
        const scale = 1 / <f64>(counts * countOf(divisor, columns, z, w.DW, w.KW, w.W + right));
        const to = row + <usize>(z + v0 * <i32>w.DW) * cell;
        const index = <i32>((below / w.DH) * w.KW) + v0;
        const run: usize = j == whole && wholeEnd > whole ? wholeEnd - whole : 1;
        spreadRun<T>(
          to,
          d,
          places,
          run,
          <usize>w.SW * cell,
          columns,
          <usize>w.DW * cell,
          index,
          <T>scale,
          isAlone,
          C,
        );
        d += run * cell;
        if (argmax != 0) places += (run * C) << 2;
        j += <u32>run;
      }
    }
  }
}

function spread<T extends number>(
  dx: usize,
  argmax: usize,
  dout: usize,
  window: usize,
  N: usize,
  divisor: u32,
  bottom: u32,
  right: u32,
): void {
  const w = changetype<Window>(window);
  const rows = N * w.H;
  const cost = w.W * w.C * sizeof<T>();
  if (SHARED && planRows(rows, cost, dx, dout, argmax, window, divisor, bottom, right)) {
    split((from, count) => {
      const j = jobOf<PoolJob>();
      const input = j.input;
      spreadRows<T>(from, count, j.to, j.argmax, input, j.window, j.divisor, j.bottom, j.right);
    });
    return;
  }
  spreadRows<T>(0, rows, dx, argmax, dout, window, divisor, bottom, right);
}

/** dx = Σ dout over the windows whose largest value a cell is. @kernel */
export function maxPoolBackward<T extends number>(
  dx: usize, // (N, H, W, C)
  dout: usize, // (N, OH, OW, C)
  argmax: usize, // (N, OH, OW, C) int32, as forward left it
  window: usize,
  N: usize,
): void {
  spread<T>(dx, argmax, dout, window, N, LARGEST, 0, 0);
}

/** dx = Σ dout / n over the windows that a cell is in, n what forward divided by. @kernel */
export function averagePoolBackward<T extends number>(
  dx: usize, // (N, H, W, C)
  dout: usize, // (N, OH, OW, C)
  window: usize,
  N: usize,
  divisor: u32,
): void {
  const s = changetype<Window>(window);
  spread<T>(dx, 0, dout, window, N, divisor, s.bottom, s.right);
}
