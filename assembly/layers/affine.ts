// Fully connected: out = x · w + b, ReLU on top of it where wanted, and the three gradients.

import { columnSum, columnSumWorkBytes } from "../blas/column_sum";
import { gemm, gemmWorkBytes } from "../blas/gemm";

/** Bytes of workspace for affineForward and affineReluForward. @kernel */
export function affineForwardWorkBytes<T>(N: usize, D: usize, M: usize): usize {
  return gemmWorkBytes<T>(N, M, D, 1);
}

/** out = x · w + b. @kernel */
export function affineForward<T>(
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

/** out = max(x · w + b, 0): the layer with ReLU in one pass over out. @kernel */
export function affineReluForward<T>(
  out: usize, // (N, M)
  x: usize, // (N, D)
  w: usize, // (D, M)
  b: usize, // (M,), or 0 for none
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  gemm<T>(out, x, D, 1, w, M, 1, b, 0, work, N, M, D);
}

/** Bytes of workspace for affineBackward. @kernel */
export function affineBackwardWorkBytes<T>(N: usize, D: usize, M: usize): usize {
  const products = max(gemmWorkBytes<T>(N, D, M, 1), gemmWorkBytes<T>(D, M, N, D));
  return max(products, columnSumWorkBytes(M));
}

/** An output whose address is 0 is not computed. @kernel */
export function affineBackward<T>(
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
