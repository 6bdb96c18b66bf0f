// The product that a convolution is: each of its rows is what an output pixel reads, tap after tap,
// and is never copied. Where a tap lies outside the source, nothing is added.
//
// Along either axis the output is cut where the taps that are inside change: for a filter of 3 × 3
// into the edge above, the middle and the edge below. All pixels of such a rectangle read by the
// same taps, whose neighbours along a line make one piece of memory. So a rectangle is a plain
// product, and padding is neither stored nor tested for.
//
// The order of every sum depends on the geometry alone: whole pieces, KC products at most, from
// zero; each such sum is added to what is there.

import { LANES, loadF64x2, storeF64x2 } from "../simd";
import { SHARED, threads } from "../threads/queue";
import { cut, jobOf, split } from "../threads/split";
import { Axis, endOfPixels, endOfTaps, firstTap, tapsOf } from "./axis";
import { addWidened } from "./column_sum";
import { depthwise_4x2v_simd128 } from "./depthwise_4x2v_simd128";
import { gather_4x2v_simd128 } from "./gather_4x2v_simd128";
import { gather_transposed_4x2v_simd128 } from "./gather_transposed_4x2v_simd128";
import { tasksOf } from "./gemm";
import { pack } from "./pack";
import { KC, MR, NR, roundUp } from "./tile";

/** This many pixels are computed at a time. @inline */
const BLOCK: usize = 128;
/** The tables of pixels have so much room: a block of a sum over pixels has KC of them. @inline */
const ROOM: usize = 256;
/** A strip of the filter's gradient has at most this many rows. @inline */
const STRIP: usize = 96;
/** A filter of so many channels and more is large enough to visit its taps one by one. @inline */
const MANY: usize = 32;
/** A strip of a depthwise filter's gradient has at most this many channels. @inline */
const CHANNELS: usize = 256;
/** At most this many elements of the filter are packed at a time, so that they stay in L2. @inline */
const PACKED: usize = 65536;

/** A gathered product, as its caller writes it into the workspace. */
@unmanaged
export class Gather {
  /** (N, h.size, w.size, C) */
  source: usize;
  /** (N, outH, outW, columns) */
  out: usize;
  /** (columns,), or 0 for none */
  row: usize;
  /** The filter, of which a tap has tapElements, and a line of taps has lineTaps. */
  filter: usize;
  /** What packFilter made of the filter, or 0 */
  panels: usize;
  work: usize;
  h: Axis;
  w: Axis;
  N: usize;
  C: usize;
  columns: usize;
  outH: usize;
  outW: usize;
  groups: usize;
  lineTaps: usize;
  tapElements: usize;
  /** The filter's elements from one group, channel and column to the next */
  groupStep: usize;
  channelStep: usize;
  columnStep: usize;
  /** The panels from firstPanel to lastPanel are at `packed`. */
  packed: usize;
  firstPanel: usize;
  lastPanel: usize;
  floor: f64;
  ceiling: f64;
  /** Whether the filter's gradient is computed: `out` is read and `filter` is written then. */
  isGradient: bool;
  isDepthwise: bool;
  /** The strips of the filter's gradient have so many rows, or channels. */
  strip: usize;
}

/** What a thread has at the beginning of its workspace. */
@unmanaged
class Part {
  /** A block's pixels: what each gathers begins at the first address, its row of out at the second. */
  pixels: usize;
  /** A table like that, whose second addresses are those of rows beside the output */
  spares: usize;
  /** Where each piece of a row begins, in bytes behind the row and in the filter */
  pieces: usize;
  endOfPieces: usize;
  /** A piece has so many elements. */
  length: usize;
  /** What else there is of workspace begins here. */
  rest: usize;
  /** The axes whose taps are visited, and the number of the first tap */
  h: Axis;
  w: Axis;
  tap: usize;
  /** The rows of the filter's gradient that are computed, or the channels if it is depthwise */
  firstRow: usize;
  lastRow: usize;
  /** Their sums so far, in float64 */
  sums: usize;
}

/** Returns how many panels of NR columns the filters of all groups have. */
export function panelsOf<T extends number>(columns: usize, groups: usize): usize {
  return groups * ((columns / groups + NR<T>() - 1) / NR<T>());
}

/**
 * Returns how many panels are packed at a time, for sums of K products: so many that they stay in
 * L2, and no more than keeps them below one image's im2col matrix, but for tiny images.
 */
function panelsAtOnce<T extends number>(panels: usize, K: usize, pixels: usize): usize {
  const most = min(PACKED / max<usize>(K * NR<T>(), 1), max<usize>(pixels / NR<T>(), 4));
  return min(panels, max<usize>(most, 1));
}

/** Returns how many bytes of workspace a thread needs for a filter of so many taps. */
function partBytes<T extends number>(taps: usize): usize {
  return PART() + 8 * (taps + 3) + BLOCK * (8 + NR<T>() * sizeof<T>());
}

/** Returns how many bytes a part's fields and its tables of pixels take. @inline */
function PART(): usize {
  return offsetof<Part>() + 8 * ROOM;
}

/** Lays a thread's workspace out, without the spare rows. */
function partAt(g: Gather, work: usize): Part {
  const part = changetype<Part>(work);
  part.h = g.h;
  part.w = g.w;
  part.tap = 0;
  part.pixels = work + offsetof<Part>();
  part.pieces = part.pixels + 8 * ROOM;
  // There is room for a last tile of four.
  part.rest = part.pieces + 8 * (g.h.taps * g.w.taps + 3);
  return part;
}

/** Returns whether each channel is a group of its own with a filter of its own. */
export function isDepthwise(channels: usize, columns: usize, groups: usize): bool {
  return groups == channels && channels == columns && channels > 1;
}

/**
 * Returns how many bytes of workspace a gathered product needs beside its struct if its filter is
 * in panels, or depthwise.
 */
export function panelsWorkBytes<T extends number>(taps: usize): usize {
  return max<usize>(threads(), 1) * partBytes<T>(taps);
}

/**
 * Returns how many bytes of workspace a gathered product needs beside its struct: for a filter of
 * so many taps, and images of so many pixels.
 */
export function gatherWorkBytes<T extends number>(
  taps: usize,
  channels: usize,
  columns: usize,
  groups: usize,
  pixels: usize,
): usize {
  const parts = panelsWorkBytes<T>(taps);
  if (isDepthwise(channels, columns, groups)) return parts;
  const K = (taps * channels) / groups;
  return (
    parts + panelsAtOnce<T>(panelsOf<T>(columns, groups), K, pixels) * NR<T>() * K * sizeof<T>()
  );
}

/** Returns how many bytes the panels of packFilter have. */
export function filterBytes<T extends number>(
  taps: usize,
  channels: usize,
  columns: usize,
  groups: usize,
): usize {
  return panelsOf<T>(columns, groups) * NR<T>() * ((taps * channels) / groups) * sizeof<T>();
}

/**
 * Packs the panels `from` to `end` of the filter: NR columns of a group, tap after tap, with zeros
 * where the group has no more columns.
 */
export function packFilter<T extends number>(g: Gather, to: usize, from: usize, end: usize): void {
  const size = sizeof<T>();
  const h = g.h;
  const w = g.w;
  const depth = g.C / g.groups;
  const columns = g.columns / g.groups;
  const panels = (columns + NR<T>() - 1) / NR<T>();
  // A filter that is read forwards is one run of steps.
  const isOneRun = h.filterStep == 1 && w.filterStep == 1;
  for (let panel = from; panel < end; panel++) {
    const column = (panel % panels) * NR<T>();
    const count = min(columns - column, NR<T>());
    const filter = g.filter + ((panel / panels) * g.groupStep + column * g.columnStep) * size;
    if (isOneRun) {
      const K = h.taps * w.taps * depth;
      pack<T>(to, filter, 1, g.channelStep, count, NR<T>(), K);
      to += NR<T>() * K * size;
      continue;
    }
    for (let u: usize = 0; u < h.taps; u++) {
      for (let v: usize = 0; v < w.taps; v++) {
        const line = h.filter + <isize>u * h.filterStep;
        const tap = line * <isize>g.lineTaps + w.filter + <isize>v * w.filterStep;
        const source = filter + tap * g.tapElements * size;
        pack<T>(to, source, g.columnStep, g.channelStep, count, NR<T>(), depth);
        to += NR<T>() * depth * size;
      }
    }
  }
}

@unmanaged
class GatherJob {
  g: Gather;
}

/**
 * out = min(max(what each pixel gathers · the filter + row, floor), ceiling), on all threads if
 * there is enough to do. Each output pixel of the two axes is written, and no other.
 */
export function gather<T extends number>(g: Gather): void {
  const h = g.h;
  const w = g.w;
  const lines = g.N * h.n;
  if (lines * w.n == 0) return;
  g.isDepthwise = isDepthwise(g.C, g.columns, g.groups);
  const depth = g.C / g.groups;
  const K = h.taps * w.taps * depth;
  // A depthwise filter is not packed, and is all that there is to do.
  const panels = g.isDepthwise ? <usize>1 : panelsOf<T>(g.columns, g.groups);
  const isPacked = g.panels != 0 || g.isDepthwise;
  const each = isPacked ? panels : panelsAtOnce<T>(panels, K, g.outH * g.outW);
  const packed = g.work;
  g.packed = g.panels != 0 ? g.panels : packed;
  if (!isPacked) g.work += each * NR<T>() * K * sizeof<T>();
  const products = <f64>(lines * w.n) * <f64>K * <f64>g.columns;
  const tasks = SHARED ? tasksOf(products, lines) : 1;
  const strip = (lines + tasks - 1) / tasks;
  for (let from: usize = 0; from < panels; from += each) {
    g.firstPanel = from;
    g.lastPanel = min(from + each, panels);
    if (!isPacked) packFilter<T>(g, packed, from, g.lastPanel);
    if (SHARED && strip < lines) {
      jobOf<GatherJob>().g = g;
      cut(lines, strip);
      split((from, count, thread) => {
        const g = jobOf<GatherJob>().g;
        const part = thread * partBytes<T>(g.h.taps * g.w.taps);
        gatherLines<T>(g, from, from + count, g.work + part);
      });
    } else gatherLines<T>(g, 0, lines, g.work);
  }
}

/** Computes the lines `from` to `end` of all images' lines, one image's after the other's. */
function gatherLines<T extends number>(g: Gather, from: usize, end: usize, work: usize): void {
  const part = partAt(g, work);
  part.spares = part.rest;
  const spare = part.spares + 8 * BLOCK;
  for (let i: usize = 0; i < BLOCK; i++) {
    store<usize>(part.spares + 8 * i + 4, spare + i * NR<T>() * sizeof<T>());
  }
  visit<T>(g, part, from, end);
}

/**
 * Takes all pixels of the lines `from` to `end` in blocks that read by the same taps, and computes
 * each block.
 */
function visit<T extends number>(g: Gather, part: Part, from: usize, end: usize): void {
  const size = sizeof<T>();
  const h = part.h;
  const w = part.w;
  const depth = g.C / g.groups;
  const xStep = w.step * g.C * size;
  const toStep = w.toStep * g.columns * size;
  const block = g.isGradient ? KC() : BLOCK;
  // A depthwise filter is read where it lies, another one in panels.
  const tapBytes = (g.isDepthwise ? g.C : depth * NR<T>()) * size;
  const tapStep = g.isDepthwise ? w.filterStep * tapBytes : tapBytes;
  const lineStep = g.isDepthwise ? h.filterStep * g.lineTaps * tapBytes : w.taps * tapBytes;
  let nextI: usize = 0;
  for (let i: usize = 0; i < h.n; i = nextI) {
    const u = firstTap(h, i);
    const endU = endOfTaps(h, i, u);
    nextI = endOfPixels(h, i, u, endU);
    let nextJ: usize = 0;
    for (let j: usize = 0; j < w.n; j = nextJ) {
      const v = firstTap(w, j);
      const endV = endOfTaps(w, j, v);
      nextJ = endOfPixels(w, j, v, endV);
      // Neighbours along a line are one piece, if nothing lies between them.
      const taps = g.groups == 1 && w.tapStep == 1 ? endV - v : 1;
      let piece = part.pieces;
      for (let a = u; a < endU && depth > 0; a++) {
        for (let b = v; b < endV; b += taps) {
          const x = ((a - u) * h.tapStep * w.size + (b - v) * w.tapStep) * g.C;
          store<usize>(piece, x * size);
          store<usize>(piece, a * lineStep + b * tapStep, 4);
          piece += 8;
        }
      }
      part.endOfPieces = piece;
      part.length = piece == part.pieces ? 0 : taps * depth;
      if (g.isGradient && part.length == 0) continue;
      let count: usize = 0;
      for (let n = from / h.n; n * h.n < end; n++) {
        const above = n * h.n;
        const last = min(nextI, end - above);
        for (let k = max(i, from > above ? from - above : 0); k < last; k++) {
          const line = n * h.size + h.first + k * h.step + u * h.tapStep;
          const pixel = line * w.size + w.first + j * w.step + v * w.tapStep;
          let x = g.source + pixel * g.C * size;
          const toLine = n * g.outH + h.to + k * h.toStep;
          let to = g.out + (toLine * g.outW + w.to + j * w.toStep) * g.columns * size;
          for (let m = j; m < nextJ; m++) {
            store<usize>(part.pixels + 8 * count, x);
            store<usize>(part.pixels + 8 * count, to, 4);
            x += xStep;
            to += toStep;
            if (++count == block) {
              compute<T>(g, part, count);
              count = 0;
            }
          }
        }
      }
      if (count > 0) compute<T>(g, part, count);
    }
  }
}

/** Computes what is due for a block of pixels. */
function compute<T extends number>(g: Gather, part: Part, count: usize): void {
  if (g.isDepthwise) {
    if (g.isGradient) addDepthwise<T>(g, part, count);
    else multiplyDepthwise<T>(g, part, count);
  } else if (g.isGradient) multiplyTransposed<T>(g, part, count);
  else multiply<T>(g, part, count);
}

/** Computes the outputs of a block of pixels of a depthwise convolution. */
function multiplyDepthwise<T extends number>(g: Gather, part: Part, count: usize): void {
  const tap = g.h.filter * g.lineTaps + g.w.filter;
  depthwise_4x2v_simd128<T>(
    part.pixels,
    part.pixels,
    fillTile(part.pixels, count),
    part.pieces,
    part.endOfPieces,
    g.filter + tap * g.C * sizeof<T>(),
    g.row,
    0,
    g.C,
    <T>g.floor,
    <T>g.ceiling,
  );
}

/** Fills the last tile of a table up with its last entry, and returns how many tiles there are. */
function fillTile(table: usize, count: usize): usize {
  const last = table + 8 * (count - 1);
  const tiles = (count + MR() - 1) / MR();
  const end = table + 8 * MR() * tiles;
  for (let to = last + 8; to != end; to += 8) store<u64>(to, load<u64>(last));
  return tiles;
}

/** Computes the outputs of a block of pixels. */
function multiply<T extends number>(g: Gather, part: Part, count: usize): void {
  const size = sizeof<T>();
  const pixels = part.pixels;
  const spares = part.spares;
  const length = part.length;
  const tiles = fillTile(pixels, count);
  const depth = g.C / g.groups;
  const columns = g.columns / g.groups;
  const panelsOfGroup = (columns + NR<T>() - 1) / NR<T>();
  const panelBytes = g.h.taps * g.w.taps * depth * NR<T>() * size;
  const none = <T>-Infinity;
  let piece = part.pieces;
  let k: usize = 0;
  do {
    // A block of K is as many whole pieces as it holds, or a part of one.
    const kc = min(length - k, KC());
    const many = length > KC() ? <usize>8 : 8 * (KC() / max<usize>(length, 1));
    const end = min(piece + many, part.endOfPieces);
    const isFirst = piece == part.pieces && k == 0;
    const isLast = end == part.endOfPieces && k + kc == length;
    const floor = isLast ? <T>g.floor : none;
    const ceiling = isLast ? <T>g.ceiling : <T>Infinity;
    let b = g.packed + k * NR<T>() * size;
    for (let panel = g.firstPanel; panel < g.lastPanel; panel++) {
      const group = panel / panelsOfGroup;
      const column = (panel % panelsOfGroup) * NR<T>();
      const first = (group * depth + k) * size;
      const to = (group * columns + column) * size;
      const row = isFirst && g.row != 0 ? g.row + to : 0;
      const isWhole = columns - column >= NR<T>();
      gather_4x2v_simd128<T>(
        isWhole ? pixels : spares,
        isWhole ? to : 0,
        pixels,
        first,
        tiles,
        b,
        piece,
        end,
        kc * size,
        isWhole ? row : 0,
        isWhole && !isFirst,
        isWhole ? floor : none,
        isWhole ? ceiling : <T>Infinity,
      );
      for (let i: usize = 0; i < count && !isWhole; i++) {
        const c = load<usize>(pixels + 8 * i, 4) + to;
        const addend = isFirst ? row : c;
        finishRow<T>(c, load<usize>(spares + 8 * i, 4), addend, floor, ceiling, columns - column);
      }
      b += panelBytes;
    }
    k += kc;
    if (k == length) {
      k = 0;
      piece = end;
    }
  } while (piece != part.endOfPieces);
}

/**
 * c (n,) = min(max(sums + addend, floor), ceiling). A NaN stays a NaN; the addend is left out if
 * its address is 0.
 */
function finishRow<T extends number>(
  c: usize,
  sums: usize,
  addend: usize,
  floor: T,
  ceiling: T,
  n: usize,
): void {
  for (let i: usize = 0; i < n * sizeof<T>(); i += sizeof<T>()) {
    let sum = load<T>(sums + i);
    if (addend != 0) sum = <T>(sum + load<T>(addend + i));
    if (sum < floor) sum = floor;
    store<T>(c + i, sum > ceiling ? ceiling : sum);
  }
}

/**
 * Returns how many threads compute a filter's gradient, and have a workspace of their own, for sums
 * over so many pixels.
 */
function gradientThreads(K: usize, columns: usize, pixels: usize): usize {
  const products = <f64>K * <f64>columns * <f64>pixels;
  return SHARED && tasksOf(products, 1) > 1 ? threads() : 1;
}

/** Returns how many rows, or channels if it is depthwise, a strip of a filter's gradient has. */
function stripOf(rows: usize, count: usize, depthwise: bool): usize {
  return min(depthwise ? CHANNELS : STRIP, roundUp((rows + count - 1) / count, depthwise ? 16 : 4));
}

/**
 * Returns how many bytes of workspace a thread needs for a strip without its float64 sums: a panel
 * and copies of a block of pixels, and a tile; or four rows of channels.
 */
function stripBytes<T extends number>(taps: usize, strip: usize, depthwise: bool): usize {
  const own = PART() + 8 * (taps + 3) + 2 * offsetof<Axis>();
  const size = sizeof<T>();
  return depthwise
    ? roundUp(own + 4 * (8 + strip * size), 8)
    : roundUp(own + ROOM * (NR<T>() * size + 4 * size + 8) + 4 * NR<T>() * size, 8);
}

/** Returns how many bytes of workspace gatherGradient needs beside its struct. */
export function gradientWorkBytes<T extends number>(
  taps: usize,
  channels: usize,
  columns: usize,
  groups: usize,
  pixels: usize,
): usize {
  const K = (taps * channels) / groups;
  const count = gradientThreads(K, columns, pixels);
  const depthwise = isDepthwise(channels, columns, groups);
  const strip = stripOf(depthwise ? channels : K, count, depthwise);
  const sums = strip * (depthwise ? taps : columns);
  return count * (stripBytes<T>(taps, strip, depthwise) + 8 * sums);
}

/**
 * filter (taps, depth, columns) = Σ over the pixels of what each gathers · its row of out: the
 * gradient of a gathered product for its filter. At most KC pixels are summed in T, and these sums
 * are added up in float64, in an order that the geometry alone decides.
 */
export function gatherGradient<T extends number>(g: Gather): void {
  g.isGradient = true;
  g.isDepthwise = isDepthwise(g.C, g.columns, g.groups);
  const K = (g.h.taps * g.w.taps * g.C) / g.groups;
  const rows = g.isDepthwise ? g.C : K;
  const count = gradientThreads(K, g.columns, g.N * g.h.n * g.w.n);
  const strip = stripOf(rows, count, g.isDepthwise);
  g.strip = strip;
  if (SHARED && count > 1 && strip < rows) {
    jobOf<GatherJob>().g = g;
    cut(rows, strip);
    split((from, count, thread) => gradientStrip<T>(jobOf<GatherJob>().g, from, count, thread));
    return;
  }
  for (let from: usize = 0; from < rows; from += strip) {
    gradientStrip<T>(g, from, min(rows - from, strip), 0);
  }
}

/** Computes `count` rows of the filter's gradient, or channels if it is depthwise. */
function gradientStrip<T extends number>(
  g: Gather,
  from: usize,
  count: usize,
  thread: usize,
): void {
  const size = sizeof<T>();
  const all = g.h.taps * g.w.taps;
  const depth = g.C / g.groups;
  const bytes = stripBytes<T>(all, g.strip, g.isDepthwise);
  const sums = 8 * g.strip * (g.isDepthwise ? all : g.columns);
  const part = partAt(g, g.work + thread * (bytes + sums));
  part.firstRow = from;
  part.lastRow = from + count;
  part.sums = changetype<usize>(part) + bytes;
  memory.fill(part.sums, 0, sums);
  // The fewer taps are visited together, the longer are the blocks of pixels, which end where the
  // taps that are inside change; but each visit packs the rows of out anew.
  const lines = g.isDepthwise || depth < MR() ? g.h.taps : <usize>1;
  const taps = g.isDepthwise || depth < MANY ? g.w.taps : <usize>1;
  part.h = changetype<Axis>(part.rest);
  part.w = changetype<Axis>(part.rest + offsetof<Axis>());
  part.rest += 2 * offsetof<Axis>();
  for (let u: usize = 0; u < g.h.taps; u += lines) {
    tapsOf(part.h, g.h, u, lines);
    for (let v: usize = 0; v < g.w.taps; v += taps) {
      part.tap = u * g.w.taps + v;
      // The rows of these taps; a depthwise strip has all taps of its channels.
      const row = part.tap * depth;
      const end = g.isDepthwise ? part.lastRow : row + lines * taps * depth;
      if (row >= part.lastRow || end <= part.firstRow) continue;
      tapsOf(part.w, g.w, v, taps);
      visit<T>(g, part, 0, g.N * g.h.n);
    }
  }
  // Rows lie in one piece, and channels in one for each tap.
  const pieces = g.isDepthwise ? all : <usize>1;
  const length = g.isDepthwise ? count : count * g.columns;
  let filter = g.filter + from * (g.isDepthwise ? <usize>1 : g.columns) * size;
  let sum = part.sums;
  for (let piece: usize = 0; piece < pieces; piece++) {
    for (let i: usize = 0; i < length; i += 2) {
      const n = min<usize>(length - i, 2);
      storeF64x2<T>(filter + i * size, loadF64x2<f64>(sum, n), n);
      sum += 8 * n;
    }
    filter += g.C * size;
  }
}

/** Adds to the gradient of a depthwise filter what a block of pixels gives. */
function addDepthwise<T extends number>(g: Gather, part: Part, count: usize): void {
  const size = sizeof<T>();
  const from = part.firstRow;
  const channels = part.lastRow - from;
  const spare = part.rest + 32;
  for (let i: usize = 0; i < 4; i++) {
    store<usize>(part.rest + 8 * i, spare + i * channels * size - from * size, 4);
  }
  fillTile(part.pieces, (part.endOfPieces - part.pieces) / 8);
  for (let piece = part.pieces; piece < part.endOfPieces; piece += 32) {
    const pixels = part.pixels;
    const end = pixels + 8 * count;
    const none = <T>-Infinity;
    depthwise_4x2v_simd128<T>(
      part.rest,
      piece,
      1,
      pixels,
      end,
      0,
      0,
      from,
      part.lastRow,
      none,
      <T>Infinity,
    );
    const taps = min((part.endOfPieces - piece) / 8, 4);
    for (let i: usize = 0; i < taps; i++) {
      const tap = load<usize>(piece + 8 * i, 4) / (g.C * size);
      addRow<T>(part.sums + 8 * tap * channels, spare + i * channels * size, channels);
    }
  }
}

/** Adds a row of n elements, with room up to a whole vector, to as many float64. */
function addRow<T extends number>(sums: usize, row: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    addWidened<T>(sums + 8 * i, v128.load(row + i * sizeof<T>()), lanes);
  }
}

/** Adds to a strip of the filter's gradient what a block of pixels gives. */
function multiplyTransposed<T extends number>(g: Gather, part: Part, count: usize): void {
  const size = sizeof<T>();
  const depth = g.C / g.groups;
  const columns = g.columns / g.groups;
  const tapBytes = depth * NR<T>() * size;
  const panel = part.rest;
  const tile = panel + ROOM * NR<T>() * size;
  const copies = tile + MR() * NR<T>() * size;
  const length = part.length;
  for (let group: usize = 0; group < g.groups; group++) {
    for (let column: usize = 0; column < columns; column += NR<T>()) {
      const first = group * columns + column;
      const width = min(columns - column, NR<T>());
      packPixels<T>(panel, NR<T>() * size, part.pixels + 4, count, first * size, width);
      for (let piece = part.pieces; piece != part.endOfPieces; piece += 8) {
        const top = (part.tap + load<usize>(piece, 4) / tapBytes) * depth;
        const end = min(top + length, part.lastRow);
        const x = load<usize>(piece) + group * depth * size;
        for (let row = max(top, part.firstRow); row < end; row += MR()) {
          // The last tile of a piece begins before its first row, so that it has four.
          let begin = row;
          let pixels = part.pixels;
          let from = x;
          if (length >= MR()) {
            begin = min(row, top + length - MR());
            from += (begin - top) * size;
          } else {
            begin = top;
            packPixels<T>(copies + 8 * ROOM, MR() * size, pixels, count, x, length);
            pixels = copies;
            from = 0;
            for (let i: usize = 0; i < count; i++) {
              store<usize>(copies + 8 * i, copies + 8 * ROOM + i * MR() * size);
            }
          }
          gather_transposed_4x2v_simd128<T>(tile, pixels, pixels + 8 * count, from, panel);
          for (let i = row; i < min(row + MR(), end); i++) {
            const sums = part.sums + 8 * ((i - part.firstRow) * g.columns + first);
            addRow<T>(sums, tile + (i - begin) * NR<T>() * size, width);
          }
        }
      }
    }
  }
}

/**
 * rows (count, step) = the elements that stand `offset` bytes behind every second one of the
 * addresses, `width` of them, and zeros up to the step, which is in bytes and whole vectors.
 */
function packPixels<T extends number>(
  rows: usize,
  step: usize,
  addresses: usize,
  count: usize,
  offset: usize,
  width: usize,
): void {
  const given = width * sizeof<T>();
  for (const end = rows + count * step; rows != end; rows += step) {
    const from = load<usize>(addresses) + offset;
    if (given == 32) {
      v128.store(rows, v128.load(from));
      v128.store(rows, v128.load(from, 16), 16);
    } else {
      let i: usize = 0;
      for (; i < given; i += sizeof<T>()) store<T>(rows + i, load<T>(from + i));
      for (; i < step; i += sizeof<T>()) store<T>(rows + i, <T>0);
    }
    addresses += 8;
  }
}
