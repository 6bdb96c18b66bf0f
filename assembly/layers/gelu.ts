// Gaussian error linear unit in its exact form: x · Φ(x), Φ the normal distribution's, and its gradient Φ(x) + x · φ(x).
// Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415.

import { bell, cutTail, tailRatio } from "../math/normal";
import { LANES, loadLanes, storeLanes } from "../simd";

/** Below 0 the tail's value, above it what is missing to 1. */
// @ts-ignore: decorator
@inline
function fromTail<T>(tail: v128, x: v128): v128 {
  const one = v128.splat<T>(1);
  return v128.bitselect(tail, v128.sub<T>(one, tail), v128.lt<T>(x, v128.splat<T>(0)));
}

// @ts-ignore: decorator
@inline
function gelu<T>(x: v128): v128 {
  const a = cutTail<T>(x);
  return v128.mul<T>(x, fromTail<T>(v128.mul<T>(bell<T>(a), tailRatio<T>(a)), x));
}

/** out overlaps nothing, as the backward needs x. */
export function geluForward<T>(out: usize, x: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    storeLanes<T>(out, gelu<T>(loadLanes<T>(x, lanes)), lanes);
    x += 16;
    out += 16;
  }
}

/** Below 0 the gradient is exp(−x²/2) · (R(|x|) − |x| / √(2π)), above it what is missing to 1. */
// @ts-ignore: decorator
@inline
function slope<T>(x: v128): v128 {
  const a = cutTail<T>(x);
  const density = v128.mul<T>(v128.abs<T>(x), v128.splat<T>(<T>0.3989422804014327));
  return fromTail<T>(v128.mul<T>(bell<T>(a), v128.sub<T>(tailRatio<T>(a), density)), x);
}

/** dx may be dout. */
export function geluBackward<T>(dx: usize, dout: usize, x: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += LANES<T>()) {
    const lanes = min(n - i, LANES<T>());
    const gradient = v128.mul<T>(loadLanes<T>(dout, lanes), slope<T>(loadLanes<T>(x, lanes)));
    storeLanes<T>(dx, gradient, lanes);
    dout += 16;
    x += 16;
    dx += 16;
  }
}
