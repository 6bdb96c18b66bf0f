// Convolution over images, channels last: out[n, i, j, f] = b[f] + Σ x[n, i · SH + u · DH − top,
// j · SW + v · DW − left, c] · w[u, v, c, f] over u, v and the channels c of f's group, and the
// three gradients of that sum.
//
// What lies beyond the image is padding and adds nothing: it is left out of the sums, so that an
// infinite weight gives no NaN there. A convolution that looks at one pixel at a time is a plain
// product, and has its bits.

import { Window } from "../abi/window";
import { Axis, backwardAxis, forwardAxis } from "../blas/axis";
import { columnSum, columnSumWorkBytes } from "../blas/column_sum";
import {
  filterBytes,
  Gather,
  gather,
  gatherGradient,
  gatherWorkBytes,
  gradientWorkBytes,
  isDepthwise,
  packFilter,
  panelsOf,
  panelsWorkBytes,
} from "../blas/gather";
import { gemm, gemmPanels, gemmWorkBytes } from "../blas/gemm";
import { packPanels } from "../blas/pack";

/** The structs of a gathered product take so many bytes of the workspace. @inline */
const STRUCTS: usize = 256;
/** A predictor gathers a plain product too if there are at least so many rows of it. @inline */
const FEW: usize = 4;

/** Returns a gathered product in the workspace, without its axes and tensors. */
function gatherAt(work: usize, N: usize, s: Window): Gather {
  if (offsetof<Gather>() + 2 * offsetof<Axis>() > STRUCTS) ERROR("the structs have no room");
  const g = changetype<Gather>(work);
  g.h = changetype<Axis>(work + offsetof<Gather>());
  g.w = changetype<Axis>(work + offsetof<Gather>() + offsetof<Axis>());
  g.row = 0;
  g.panels = 0;
  g.work = work + STRUCTS;
  g.N = N;
  g.groups = s.groups;
  g.lineTaps = s.KW;
  g.tapElements = (s.C / s.groups) * s.F;
  g.groupStep = s.F / s.groups;
  g.floor = -Infinity;
  g.ceiling = Infinity;
  g.isGradient = false;
  return g;
}

/** Writes what a convolution gathers from x for out. */
function writeForward(g: Gather, s: Window, out: usize, x: usize, w: usize): void {
  forwardAxis(g.h, s.OH, s.H, s.KH, s.SH, s.top, s.DH);
  forwardAxis(g.w, s.OW, s.W, s.KW, s.SW, s.left, s.DW);
  g.source = x;
  g.out = out;
  g.filter = w;
  g.C = s.C;
  g.columns = s.F;
  g.outH = s.OH;
  g.outW = s.OW;
  g.channelStep = s.F;
  g.columnStep = 1;
}

/** Writes what phase (i, j) of the gradient for x gathers from dout. */
function writeBackward(
  g: Gather,
  s: Window,
  dx: usize,
  dout: usize,
  w: usize,
  i: usize,
  j: usize,
): void {
  backwardAxis(g.h, i, s.H, s.OH, s.KH, s.SH, s.top, s.DH);
  backwardAxis(g.w, j, s.W, s.OW, s.KW, s.SW, s.left, s.DW);
  g.source = dout;
  g.out = dx;
  g.filter = w;
  g.C = s.F;
  g.columns = s.C;
  g.outH = s.H;
  g.outW = s.W;
  g.channelStep = 1;
  g.columnStep = s.F;
}

/** Returns whether each output pixel is a product of the input pixel at its place and w. */
function isProduct(s: Window): bool {
  return (
    s.KH * s.KW * s.SH * s.SW * s.groups == 1 && (s.top | s.left) == 0 && s.OH == s.H && s.OW == s.W
  );
}

/** Returns how many bytes of workspace conv2dForward needs. @kernel */
export function conv2dForwardWorkBytes<T extends number>(window: usize, N: usize): usize {
  const s = changetype<Window>(window);
  const pixels = s.OH * s.OW;
  if (isProduct(s)) return gemmWorkBytes<T>(N * pixels, s.F, s.C, 1);
  if (N == 0) return 0;
  return STRUCTS + gatherWorkBytes<T>(s.KH * s.KW, s.C, s.F, s.groups, pixels);
}

/** out = x * w + b, the convolution. @kernel */
export function conv2dForward<T extends number>(
  out: usize, // (N, OH, OW, F)
  x: usize, // (N, H, W, C)
  w: usize, // (KH, KW, C/groups, F)
  b: usize, // (F,), or 0 for none
  work: usize,
  window: usize,
  N: usize,
): void {
  convolve<T>(out, x, w, b, work, window, N, -Infinity);
}

/** out = max(x * w + b, 0), which is the layer with ReLU, in one pass over out. @kernel */
export function conv2dReluForward<T extends number>(
  out: usize, // (N, OH, OW, F)
  x: usize, // (N, H, W, C)
  w: usize, // (KH, KW, C/groups, F)
  b: usize, // (F,), or 0 for none
  work: usize,
  window: usize,
  N: usize,
): void {
  convolve<T>(out, x, w, b, work, window, N, 0);
}

/** out = max(x * w + b, floor). */
function convolve<T extends number>(
  out: usize, // (N, OH, OW, F)
  x: usize, // (N, H, W, C)
  w: usize, // (KH, KW, C/groups, F)
  b: usize, // (F,), or 0 for none
  work: usize,
  window: usize,
  N: usize,
  floor: f64,
): void {
  const s = changetype<Window>(window);
  if (isProduct(s)) {
    const M = N * s.OH * s.OW;
    gemm<T>(out, x, s.C, 1, w, s.F, 1, b, <T>floor, work, M, s.F, s.C);
    return;
  }
  if (N == 0) return;
  const g = gatherAt(work, N, s);
  writeForward(g, s, out, x, w);
  g.row = b;
  g.floor = floor;
  gather<T>(g);
}

/** Returns how many bytes of workspace conv2dBackward needs. @kernel */
export function conv2dBackwardWorkBytes<T extends number>(window: usize, N: usize): usize {
  const s = changetype<Window>(window);
  const C = s.C;
  const F = s.F;
  const M = N * s.OH * s.OW;
  const both = isProduct(s)
    ? max(gemmWorkBytes<T>(M, C, F, 1), gemmWorkBytes<T>(C, F, M, C))
    : max(inputGradientWorkBytes<T>(window, N), filterGradientWorkBytes<T>(window, N));
  return max(both, columnSumWorkBytes(F));
}

/** An output whose address is 0 is not computed. @kernel */
export function conv2dBackward<T extends number>(
  dx: usize, // (N, H, W, C)
  dw: usize, // (KH, KW, C/groups, F)
  db: usize, // (F,) = Σ dout over all but F
  dout: usize, // (N, OH, OW, F)
  x: usize, // (N, H, W, C)
  w: usize, // (KH, KW, C/groups, F)
  work: usize,
  window: usize,
  N: usize,
): void {
  const s = changetype<Window>(window);
  const C = s.C;
  const F = s.F;
  const M = N * s.OH * s.OW;
  if (dx != 0) {
    if (isProduct(s)) gemm<T>(dx, dout, F, 1, w, 1, F, 0, <T>-Infinity, work, M, C, F);
    else inputGradient<T>(dx, dout, w, 0, 0, work, window, N, -Infinity, Infinity);
  }
  if (dw != 0) {
    if (isProduct(s)) gemm<T>(dw, x, 1, C, dout, F, 1, 0, <T>-Infinity, work, C, F, M);
    else filterGradient<T>(dw, dout, x, work, window, N);
  }
  if (db != 0) columnSum<T>(db, dout, work, M, F);
}

/** Returns how many bytes of workspace filterGradient needs. */
export function filterGradientWorkBytes<T extends number>(window: usize, N: usize): usize {
  const s = changetype<Window>(window);
  const pixels = N * s.OH * s.OW;
  return STRUCTS + gradientWorkBytes<T>(s.KH * s.KW, s.C, s.F, s.groups, pixels);
}

/** Computes dw of conv2dBackward. */
export function filterGradient<T extends number>(
  dw: usize,
  dout: usize,
  x: usize,
  work: usize,
  window: usize,
  N: usize,
): void {
  const s = changetype<Window>(window);
  const g = gatherAt(work, N, s);
  writeForward(g, s, dout, x, dw);
  gatherGradient<T>(g);
}

/** Returns how many bytes of workspace inputGradient needs. */
export function inputGradientWorkBytes<T extends number>(window: usize, N: usize): usize {
  const s = changetype<Window>(window);
  if (N == 0) return 0;
  return STRUCTS + gatherWorkBytes<T>(s.KH * s.KW, s.F, s.C, s.groups, s.H * s.W);
}

/**
 * Computes dx of conv2dBackward and adds a row (C,), if there is one: a product for each phase of
 * the strides. Where panels are given, they are those of packBackward.
 */
export function inputGradient<T extends number>(
  dx: usize,
  dout: usize,
  w: usize,
  panels: usize,
  row: usize,
  work: usize,
  window: usize,
  N: usize,
  floor: f64,
  ceiling: f64,
): void {
  const s = changetype<Window>(window);
  const channelwise = isDepthwise(s.C, s.F, s.groups);
  for (let i: usize = 0; i < min(s.SH, s.H) && N > 0; i++) {
    for (let j: usize = 0; j < min(s.SW, s.W); j++) {
      const g = gatherAt(work, N, s);
      writeBackward(g, s, dx, dout, panels != 0 && channelwise ? panels : w, i, j);
      g.row = row;
      g.floor = floor;
      g.ceiling = ceiling;
      if (panels != 0 && !channelwise) {
        g.panels = panels;
        panels += filterBytes<T>(g.h.taps * g.w.taps, s.F, s.C, s.groups);
      }
      gather<T>(g);
    }
  }
}

/** panels = w (KH, KW, C/groups, F), in the order in which inputGradient reads it. */
export function packBackward<T extends number>(
  panels: usize,
  w: usize,
  work: usize,
  window: usize,
): void {
  const s = changetype<Window>(window);
  for (let i: usize = 0; i < min(s.SH, s.H); i++) {
    for (let j: usize = 0; j < min(s.SW, s.W); j++) {
      const g = gatherAt(work, 0, s);
      writeBackward(g, s, 0, 0, w, i, j);
      packFilter<T>(g, panels, 0, panelsOf<T>(s.C, s.groups));
      panels += filterBytes<T>(g.h.taps * g.w.taps, s.F, s.C, s.groups);
    }
  }
}

/** Returns whether a predictor computes a convolution as a plain product of few rows. */
function isSmallProduct(s: Window): bool {
  return isProduct(s) && s.OH * s.OW < FEW;
}

/** @packBytes conv2d */
export function conv2dPanelsBytes<T extends number>(window: usize): usize {
  const s = changetype<Window>(window);
  const taps = s.KH * s.KW;
  if (isSmallProduct(s) || isDepthwise(s.C, s.F, s.groups)) {
    return taps * (s.C / s.groups) * s.F * sizeof<T>();
  }
  return filterBytes<T>(taps, s.C, s.F, s.groups);
}

/**
 * panels = w (KH, KW, C/groups, F), in the order in which conv2dPanels reads it. The workspace is
 * that of the operation.
 *
 * @pack conv2d
 */
export function conv2dPack<T extends number>(
  panels: usize,
  w: usize,
  work: usize,
  window: usize,
): void {
  const s = changetype<Window>(window);
  if (isSmallProduct(s)) packPanels<T>(panels, w, s.F, s.C, s.F);
  else if (isDepthwise(s.C, s.F, s.groups)) {
    memory.copy(panels, w, conv2dPanelsBytes<T>(window));
  } else {
    const g = gatherAt(work, 0, s);
    writeForward(g, s, 0, 0, w);
    packFilter<T>(g, panels, 0, panelsOf<T>(s.F, s.groups));
  }
}

/** @workBytes conv2d */
export function conv2dPanelsWorkBytes<T extends number>(window: usize, N: usize): usize {
  const s = changetype<Window>(window);
  const pixels = s.OH * s.OW;
  if (isSmallProduct(s)) return gemmWorkBytes<T>(N * pixels, s.F, s.C, 1);
  return workBytesOfPanels<T>(window, N);
}

/** Returns how many bytes of workspace a product with a filter in panels needs. */
export function workBytesOfPanels<T extends number>(window: usize, N: usize): usize {
  const s = changetype<Window>(window);
  return N == 0 ? 0 : STRUCTS + panelsWorkBytes<T>(s.KH * s.KW);
}

/** out = min(max(x * w + b, floor), ceiling), the convolution. @operation conv2d */
export function conv2dPanels<T extends number>(
  out: usize, // (N, OH, OW, F)
  x: usize, // (N, H, W, C)
  panels: usize, // as conv2dPack leaves them
  b: usize, // (F,), or 0 for none
  work: usize,
  window: usize,
  N: usize,
  floor: f64,
  ceiling: f64,
): void {
  const s = changetype<Window>(window);
  if (isSmallProduct(s)) {
    const M = N * s.OH * s.OW;
    gemmPanels<T>(out, x, panels, b, <T>floor, work, M, s.F, s.C);
    if (ceiling < Infinity) bound<T>(out, M * s.F, <T>ceiling);
    return;
  }
  if (N == 0) return;
  const g = gatherAt(work, N, s);
  writeForward(g, s, out, x, panels);
  g.row = b;
  g.panels = panels;
  g.floor = floor;
  g.ceiling = ceiling;
  gather<T>(g);
}

/** Sets x (n,) to min(x, ceiling); a NaN stays. */
function bound<T extends number>(x: usize, n: usize, ceiling: T): void {
  for (const end = x + n * sizeof<T>(); x != end; x += sizeof<T>()) {
    if (load<T>(x) > ceiling) store<T>(x, ceiling);
  }
}
