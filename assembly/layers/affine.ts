// The fully connected layer: out = x · w + b, with ReLU on top of it if wanted, and the three
// gradients.

import { columnSum, columnSumWorkBytes } from "../blas/column_sum";
import { gemm, gemmPanels, gemmWorkBytes } from "../blas/gemm";
import { packPanels } from "../blas/pack";
import { Lanes, lightCost, mapLanes } from "./elementwise";

/** Returns how many bytes of workspace affineForward and affineReluForward need. @kernel */
export function affineForwardWorkBytes<T extends number>(N: usize, D: usize, M: usize): usize {
  return gemmWorkBytes<T>(N, M, D, 1);
}

/** out = x · w + b. @kernel */
export function affineForward<T extends number>(
  out: usize, // (N, M)
  x: usize, // (N, D)
  w: usize, // (D, M)
  b: usize, // (M,), or 0 for none
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  gemm<T>(out, x, D, 1, w, M, 1, b, <T>-Infinity, work, N, M, D);
}

/** out = max(x · w + b, 0), which is the layer with ReLU, in one pass over out. @kernel */
export function affineReluForward<T extends number>(
  out: usize, // (N, M)
  x: usize, // (N, D)
  w: usize, // (D, M)
  b: usize, // (M,), or 0 for none
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  gemm<T>(out, x, D, 1, w, M, 1, b, <T>0, work, N, M, D);
}

/** @workBytes affine */
export function affinePanelsWorkBytes<T extends number>(N: usize, D: usize, M: usize): usize {
  return gemmWorkBytes<T>(N, M, D, 1);
}

/** @packBytes affine */
export function affinePanelsBytes<T extends number>(D: usize, M: usize): usize {
  return D * M * sizeof<T>();
}

/** panels (D · M,) = w (D, M), in the order in which affinePanels reads it. @pack affine */
export function affinePack<T extends number>(panels: usize, w: usize, D: usize, M: usize): void {
  packPanels<T>(panels, w, M, D, M);
}

/**
 * out = min(max(x · w + b, floor), ceiling), with w in panels: a floor of 0 is ReLU, one of −∞
 * changes nothing, and neither does a ceiling of ∞.
 *
 * @operation affine @inline
 */
export function affinePanels<T extends number>(
  out: usize, // (N, M)
  x: usize, // (N, D)
  panels: usize, // (D · M,), as affinePack leaves them
  b: usize, // (M,), or 0 for none
  work: usize,
  N: usize,
  D: usize,
  M: usize,
  floor: f64,
  ceiling: f64,
): void {
  gemmPanels<T>(out, x, panels, b, <T>floor, work, N, M, D);
  if (ceiling < Infinity) {
    const f: Lanes = (v, _, ceiling) => v128.pmin<T>(v, ceiling);
    mapLanes<T>(f.index, out, out, out, N * M, ceiling, 0, lightCost<T>());
  }
}

/** Returns how many bytes of workspace affineBackward needs. @kernel */
export function affineBackwardWorkBytes<T extends number>(N: usize, D: usize, M: usize): usize {
  const products = max(gemmWorkBytes<T>(N, D, M, 1), gemmWorkBytes<T>(D, M, N, D));
  return max(products, columnSumWorkBytes(M));
}

/** An output whose address is 0 is not computed. @kernel */
export function affineBackward<T extends number>(
  dx: usize, // (N, D) = dout · wᵀ
  dw: usize, // (D, M) = xᵀ · dout
  db: usize, // (M,) = Σₙ dout
  dout: usize, // (N, M)
  x: usize, // (N, D)
  w: usize, // (D, M)
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  if (dx != 0) gemm<T>(dx, dout, M, 1, w, 1, M, 0, <T>-Infinity, work, N, D, M);
  if (dw != 0) gemm<T>(dw, x, 1, D, dout, M, 1, 0, <T>-Infinity, work, D, M, N);
  if (db != 0) columnSum<T>(db, dout, work, N, M);
}
