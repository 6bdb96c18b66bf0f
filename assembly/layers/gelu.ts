// The Gaussian error linear unit in its exact form: x · Φ(x), where Φ is the normal distribution's.
// Its derivative is Φ(x) + x · φ(x). It is computed for two float64 at a time for either dtype, as
// float32 would be 4 ULP off. Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016,
// arXiv:1606.08415.

import { bell, cutTail, tailRatio } from "../math/normal";
import { loadF64x2, storeF64x2 } from "../simd";
import { SHARED } from "../threads/queue";
import { Elements, splitElements } from "../threads/split";

/** Returns tail where x is below 0, and 1 − tail elsewhere. @inline */
function fromTail(tail: v128, x: v128): v128 {
  const one = f64x2.splat(1);
  return v128.bitselect(tail, f64x2.sub(one, tail), f64x2.lt(x, f64x2.splat(0)));
}

/** out overlaps nothing, as the backward needs x. @kernel @operation gelu */
export function geluForward<T extends number>(out: usize, x: usize, n: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, out, x) => geluForward<T>(out, x, n);
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
export function geluBackward<T extends number>(dx: usize, dout: usize, x: usize, n: usize): void {
  if (SHARED) {
    const kernel: Elements = (n, dx, dout, x) => geluBackward<T>(dx, dout, x, n);
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
