// A network for serving: its operations stand in memory, one after the other, and one call runs them.

import { gemmPanels, gemmWorkBytes } from "./blas/gemm";
import { packPanels } from "./blas/pack";
import { batchnormApply } from "./layers/batchnorm";
import { geluForward } from "./layers/gelu";
import { leakyReluForward } from "./layers/leaky_relu";
import { normalizeForward } from "./layers/normalize";
import { reluForward } from "./layers/relu";
import { sigmoidForward } from "./layers/sigmoid";
import { softmaxForward } from "./layers/softmax";
import { tanhForward } from "./layers/tanh";

// What an operation does. src/nn/program.ts has the same list.
// @ts-ignore: decorator
@inline
const AFFINE: u32 = 0;
// @ts-ignore: decorator
@inline
const BATCHNORM: u32 = 1;
// @ts-ignore: decorator
@inline
const GELU: u32 = 2;
// @ts-ignore: decorator
@inline
const LEAKY_RELU: u32 = 3;
// @ts-ignore: decorator
@inline
const NORMALIZE: u32 = 4;
// @ts-ignore: decorator
@inline
const RELU: u32 = 5;
// @ts-ignore: decorator
@inline
const SIGMOID: u32 = 6;
// @ts-ignore: decorator
@inline
const SOFTMAX: u32 = 7;
// @ts-ignore: decorator
@inline
const TANH: u32 = 8;

/** Bytes of one operation. */
// @ts-ignore: decorator
@inline
const OPERATION: usize = 48;

/** Bytes of workspace that an affine operation needs for batches of up to N. @kernel @serving */
export function predictWorkBytes<T>(N: usize, D: usize, M: usize): usize {
  return gemmWorkBytes<T>(N, M, D, 1);
}

/** panels (D · M,) = w (D, M), in the order in which an affine operation reads it. @kernel @serving */
export function predictPack<T>(panels: usize, w: usize, D: usize, M: usize): void {
  packPanels<T>(panels, w, D, M);
}

/**
 * Runs `count` operations on a batch of N. Each is 48 bytes: ten uint32, the kind and then the addresses out, x, a, b, c and
 * work, the sizes D and M, and 4 bytes that are not read; then a float64, `value`.
 *
 *   AFFINE      out (N, M) = max(x (N, D) · a (D, M) + b (M,), value), a in panels; b may be 0; −∞ is no ReLU
 *   BATCHNORM   out (N, D) = (x − a (D,)) · b (D,) + c (D,)
 *   NORMALIZE   out (N, D) = (x − a (D,)) / b (D,)
 *   SOFTMAX     over the last axis of x (N · D / M, M)
 *   LEAKY_RELU  with `value` as its slope; GELU, RELU, SIGMOID, TANH: out (N, D) from x
 *
 * @kernel @serving
 */
export function predict<T>(operations: usize, count: usize, N: usize): void {
  for (const end = operations + count * OPERATION; operations != end; operations += OPERATION) {
    const out = <usize>load<u32>(operations, 4);
    const x = <usize>load<u32>(operations, 8);
    const a = <usize>load<u32>(operations, 12);
    const b = <usize>load<u32>(operations, 16);
    const c = <usize>load<u32>(operations, 20);
    const work = <usize>load<u32>(operations, 24);
    const D = <usize>load<u32>(operations, 28);
    const M = <usize>load<u32>(operations, 32);
    const value = load<f64>(operations, 40);
    switch (load<u32>(operations)) {
      case AFFINE:
        gemmPanels<T>(out, x, a, b, <T>value, work, N, M, D);
        break;
      case BATCHNORM:
        batchnormApply<T>(out, x, a, b, c, N, D);
        break;
      case GELU:
        geluForward<T>(out, x, N * D);
        break;
      case LEAKY_RELU:
        leakyReluForward<T>(out, x, N * D, value);
        break;
      case NORMALIZE:
        normalizeForward<T>(out, x, a, b, N, D);
        break;
      case RELU:
        reluForward<T>(out, x, N * D);
        break;
      case SIGMOID:
        sigmoidForward<T>(out, x, N * D);
        break;
      case SOFTMAX:
        softmaxForward<T>(out, x, (N * D) / M, M);
        break;
      case TANH:
        tanhForward<T>(out, x, N * D);
        break;
      default:
        assert(false);
    }
  }
}
