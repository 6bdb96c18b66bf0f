// The Gaussian error linear unit in its exact form: x · Φ(x), where Φ is the normal distribution's.
// Its derivative is Φ(x) + x · φ(x). It is computed for two float64 at a time for either dtype, as
// float32 would be 4 ULP off. Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016,
// arXiv:1606.08415.

import { bell, cutTail, tailRatio } from "../math/normal";
import { sigmoidLanes } from "../math/sigmoid";
import { loadF64x2, storeF64x2 } from "../simd";
import { SHARED } from "../threads/queue";
import { Elements, splitElements } from "../threads/split";
import { Lanes, mapLanes } from "./elementwise";

/** Returns tail where x is below 0, and 1 − tail elsewhere. @inline */
function fromTail(tail: v128, x: v128): v128 {
  const one = f64x2.splat(1);
  return v128.bitselect(tail, f64x2.sub(one, tail), f64x2.lt(x, f64x2.splat(0)));
}

/**
 * Returns x · (2√(2/π) + factor · x²). With the factor 2√(2/π) · 0.044715 it is the z whose
 * logistic sigmoid stands for Φ(x): ½ · (1 + tanh(√(2/π) · (x + 0.044715 · x³))). With three
 * times as much it is x · z'.
 *
 * @inline
 */
function cubic<T extends number>(factor: f64, x: v128): v128 {
  const square = v128.mul<T>(v128.splat<T>(<T>factor), v128.mul<T>(x, x));
  return v128.mul<T>(x, v128.add<T>(v128.splat<T>(<T>1.5957691216057308), square));
}

/**
 * out overlaps nothing, as the backward needs x. With `tanh` above 0 it is the approximation by
 * tanh.
 *
 * @kernel @operation gelu
 */
export function geluForward<T extends number>(out: usize, x: usize, n: usize, tanh: f64): void {
  if (tanh > 0) {
    const f: Lanes = (x) => v128.mul<T>(x, sigmoidLanes<T>(cubic<T>(0.07135481627260025, x)));
    mapLanes<T>(f.index, out, x, x, n);
    return;
  }
  if (SHARED) {
    const kernel: Elements = (n, out, x) => geluForward<T>(out, x, n, 0);
    if (splitElements<T>(kernel, n, 24 * sizeof<f64>(), out, x)) return;
  }
  for (let i: usize = 0; i < n; i += 2) {
    const lanes = min(n - i, 2);
    const v = loadF64x2<T>(x, lanes);
    const a = cutTail(v);
    const phi = fromTail(f64x2.mul(bell<T>(a), tailRatio<T>(a)), v);
    storeF64x2<T>(out, f64x2.mul(v, phi), lanes);
    x += 2 * sizeof<T>();
    out += 2 * sizeof<T>();
  }
}

/** dx may be dout. @kernel */
export function geluBackward<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
  tanh: f64,
): void {
  if (tanh > 0) {
    // σ(z) + x · z' · σ(z) · σ(−z)
    const f: Lanes = (dout, x) => {
      const z = cubic<T>(0.07135481627260025, x);
      const other = sigmoidLanes<T>(v128.neg<T>(z));
      const change = v128.mul<T>(cubic<T>(0.21406444881780073, x), other);
      const factor = v128.add<T>(v128.splat<T>(<T>1), change);
      return v128.mul<T>(dout, v128.mul<T>(sigmoidLanes<T>(z), factor));
    };
    mapLanes<T>(f.index, dx, dout, x, n);
    return;
  }
  if (SHARED) {
    const kernel: Elements = (n, dx, dout, x) => geluBackward<T>(dx, dout, x, n, 0);
    if (splitElements<T>(kernel, n, 24 * sizeof<f64>(), dx, dout, x)) return;
  }
  for (let i: usize = 0; i < n; i += 2) {
    const lanes = min(n - i, 2);
    const v = loadF64x2<T>(x, lanes);
    const a = cutTail(v);
    // Below 0, Φ + x · φ is t = exp(−x²/2) · (R(|x|) − |x| / √(2π)); from 0 up it is 1 − t.
    const scaled = f64x2.mul(f64x2.abs(v), f64x2.splat(0.3989422804014327));
    const derivative = fromTail(f64x2.mul(bell<T>(a), f64x2.sub(tailRatio<T>(a), scaled)), v);
    storeF64x2<T>(dx, f64x2.mul(loadF64x2<T>(dout, lanes), derivative), lanes);
    dout += 2 * sizeof<T>();
    x += 2 * sizeof<T>();
    dx += 2 * sizeof<T>();
  }
}
