// mish(x) = x · tanh(log(1 + exp(x))). With e = exp(−|x|) the hyperbolic tangent is u / (u + w),
// where u = 1 + 2e and w = 2e² from 0 up, and u = e · (e + 2) and w = 2 below: no logarithm, and
// nothing that overflows or cancels. Misra, "Mish: A Self Regularized Non-Monotonic Activation
// Function", 2019, arXiv:1908.08681.
//
// Its derivative is t + x · σ(x) · (1 − t²), where t is that tangent, and 1 − t² is
// w · (2u + w) / (u + w)².

import { expLanes } from "../math/exp";
import { Lanes, mapLanes } from "./elementwise";

/** Returns u. @inline */
function upper<T extends number>(e: v128, isNegative: v128): v128 {
  const two = v128.splat<T>(<T>2);
  const above = v128.add<T>(v128.splat<T>(<T>1), v128.mul<T>(two, e));
  return v128.bitselect(v128.mul<T>(e, v128.add<T>(e, two)), above, isNegative);
}

/** Returns w. @inline */
function complement<T extends number>(e: v128, isNegative: v128): v128 {
  const two = v128.splat<T>(<T>2);
  return v128.bitselect(two, v128.mul<T>(two, v128.mul<T>(e, e)), isNegative);
}

/** @kernel @operation mish */
export function mishForward<T extends number>(out: usize, x: usize, n: usize): void {
  const f: Lanes = (x) => {
    const e = expLanes<T>(v128.neg<T>(v128.abs<T>(x)));
    const isNegative = v128.lt<T>(x, v128.splat<T>(<T>0));
    const u = upper<T>(e, isNegative);
    const sum = v128.add<T>(u, complement<T>(e, isNegative));
    return v128.mul<T>(x, v128.div<T>(u, sum));
  };
  mapLanes<T>(f.index, out, x, x, n);
}

/** dx may be dout. @kernel */
export function mishBackward<T extends number>(dx: usize, dout: usize, x: usize, n: usize): void {
  const f: Lanes = (dout, x) => {
    const one = v128.splat<T>(<T>1);
    const e = expLanes<T>(v128.neg<T>(v128.abs<T>(x)));
    const isNegative = v128.lt<T>(x, v128.splat<T>(<T>0));
    const u = upper<T>(e, isNegative);
    const w = complement<T>(e, isNegative);
    const sum = v128.add<T>(u, w);
    const sigmoid = v128.div<T>(v128.bitselect(e, one, isNegative), v128.add<T>(one, e));
    const twice = v128.add<T>(u, v128.add<T>(u, w));
    const rest = v128.mul<T>(v128.div<T>(w, sum), v128.div<T>(twice, sum));
    const change = v128.mul<T>(v128.mul<T>(x, sigmoid), rest);
    return v128.mul<T>(dout, v128.add<T>(v128.div<T>(u, sum), change));
  };
  mapLanes<T>(f.index, dx, dout, x, n);
}
