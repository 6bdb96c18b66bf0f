// Transposed convolution, channels last: the gradient of a convolution for its input, as PyTorch
// defines it. The window is that convolution's: its image (H, W, C) is what comes out, and its
// output (OH, OW, F) is what comes in. So nothing is computed in another way here.

import { Window } from "../abi/window";
import { columnSum, columnSumWorkBytes } from "../blas/column_sum";
import { filterBytes, isDepthwise } from "../blas/gather";
import {
  conv2dForward,
  conv2dForwardWorkBytes,
  filterGradient,
  filterGradientWorkBytes,
  inputGradient,
  inputGradientWorkBytes,
  packBackward,
  workBytesOfPanels,
} from "./conv2d";

/** Returns how many bytes of workspace convTranspose2dForward needs. @kernel */
export function convTranspose2dForwardWorkBytes<T extends number>(window: usize, N: usize): usize {
  return inputGradientWorkBytes<T>(window, N);
}

/** out = the transposed convolution of x with w, + b. @kernel */
export function convTranspose2dForward<T extends number>(
  out: usize, // (N, H, W, C)
  x: usize, // (N, OH, OW, F)
  w: usize, // (KH, KW, C/groups, F)
  b: usize, // (C,), or 0 for none
  work: usize,
  window: usize,
  N: usize,
): void {
  inputGradient<T>(out, x, w, 0, b, work, window, N, -Infinity, Infinity);
}

/** Returns how many bytes of workspace convTranspose2dBackward needs. @kernel */
export function convTranspose2dBackwardWorkBytes<T extends number>(window: usize, N: usize): usize {
  const dx = conv2dForwardWorkBytes<T>(window, N);
  const dw = filterGradientWorkBytes<T>(window, N);
  return max(max(dx, dw), columnSumWorkBytes(changetype<Window>(window).C));
}

/** An output whose address is 0 is not computed. @kernel */
export function convTranspose2dBackward<T extends number>(
  dx: usize, // (N, OH, OW, F) = the convolution of dout with w
  dw: usize, // (KH, KW, C/groups, F)
  db: usize, // (C,) = Σ dout over all but C
  dout: usize, // (N, H, W, C)
  x: usize, // (N, OH, OW, F)
  w: usize, // (KH, KW, C/groups, F)
  work: usize,
  window: usize,
  N: usize,
): void {
  const s = changetype<Window>(window);
  if (dx != 0) conv2dForward<T>(dx, dout, w, 0, work, window, N);
  if (dw != 0) filterGradient<T>(dw, x, dout, work, window, N);
  if (db != 0) columnSum<T>(db, dout, work, N * s.H * s.W, s.C);
}

/** @packBytes convTranspose2d */
export function convTranspose2dPanelsBytes<T extends number>(window: usize): usize {
  const s = changetype<Window>(window);
  const taps = s.KH * s.KW;
  if (isDepthwise(s.C, s.F, s.groups)) return taps * s.C * sizeof<T>();
  return filterBytes<T>(taps, s.F, s.C, s.groups);
}

/**
 * panels = w (KH, KW, C/groups, F), in the order in which convTranspose2dPanels reads it. The
 * workspace is that of the operation.
 *
 * @pack convTranspose2d
 */
export function convTranspose2dPack<T extends number>(
  panels: usize,
  w: usize,
  work: usize,
  window: usize,
): void {
  const s = changetype<Window>(window);
  if (isDepthwise(s.C, s.F, s.groups)) {
    memory.copy(panels, w, convTranspose2dPanelsBytes<T>(window));
  } else packBackward<T>(panels, w, work, window);
}

/** @workBytes convTranspose2d */
export function convTranspose2dPanelsWorkBytes<T extends number>(window: usize, N: usize): usize {
  return workBytesOfPanels<T>(window, N);
}

/**
 * out = min(max(the transposed convolution of x with w, + b, floor), ceiling).
 *
 * @operation convTranspose2d
 */
export function convTranspose2dPanels<T extends number>(
  out: usize, // (N, H, W, C)
  x: usize, // (N, OH, OW, F)
  panels: usize, // as convTranspose2dPack leaves them
  b: usize, // (C,), or 0 for none
  work: usize,
  window: usize,
  N: usize,
  floor: f64,
  ceiling: f64,
): void {
  inputGradient<T>(out, x, 0, panels, b, work, window, N, floor, ceiling);
}
