// The exponential linear unit: x where x > 0, and alpha · (exp(x) − 1) elsewhere. Its derivative at
// 0 is alpha. Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by
// Exponential Linear Units", 2015, arXiv:1511.07289.

import { expLanes, expm1Lanes } from "../math/exp";
import { Lanes, mapLanes } from "./elementwise";

/** out = scale · x where x > 0, else factor · (exp(x) − 1). */
export function scaledEluForward<T extends number>(
  out: usize,
  x: usize,
  n: usize,
  factor: f64,
  scale: f64,
): void {
  // From −40 down exp(x) − 1 is −1 to the last bit. A NaN passes pmin and pmax.
  const f: Lanes = (x, _, factor, scale) => {
    const zero = v128.splat<T>(<T>0);
    const least = v128.splat<T>(<T>-40);
    const below = v128.mul<T>(factor, expm1Lanes<T>(v128.pmax<T>(v128.pmin<T>(x, zero), least)));
    return v128.bitselect(v128.mul<T>(x, scale), below, v128.gt<T>(x, zero));
  };
  mapLanes<T>(f.index, out, x, x, n, factor, scale);
}

/** dx = dout · scale where x > 0, else dout · factor · exp(x). */
export function scaledEluBackward<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
  factor: f64,
  scale: f64,
): void {
  const f: Lanes = (dout, x, factor, scale) => {
    const zero = v128.splat<T>(<T>0);
    const below = v128.mul<T>(factor, expLanes<T>(v128.pmin<T>(x, zero)));
    return v128.mul<T>(dout, v128.bitselect(scale, below, v128.gt<T>(x, zero)));
  };
  mapLanes<T>(f.index, dx, dout, x, n, factor, scale);
}

/** alpha is rounded to T once. @kernel @operation elu */
export function eluForward<T extends number>(out: usize, x: usize, n: usize, alpha: f64): void {
  scaledEluForward<T>(out, x, n, alpha, 1);
}

/** dx may be dout. @kernel */
export function eluBackward<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
  alpha: f64,
): void {
  scaledEluBackward<T>(dx, dout, x, n, alpha, 1);
}
