// silu(x) = x · σ(x), σ being the logistic sigmoid. Its derivative is σ(x) · (1 + x · σ(−x)).
// Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units for Neural Network Function
// Approximation in Reinforcement Learning", 2017, arXiv:1702.03118.

import { expLanes } from "../math/exp";
import { sigmoidLanes } from "../math/sigmoid";
import { Lanes, mapLanes } from "./elementwise";

/** @kernel @operation silu */
export function siluForward<T extends number>(out: usize, x: usize, n: usize): void {
  const f: Lanes = (x) => v128.mul<T>(x, sigmoidLanes<T>(x));
  mapLanes<T>(f.index, out, x, x, n);
}

/** dx may be dout. @kernel */
export function siluBackward<T extends number>(dx: usize, dout: usize, x: usize, n: usize): void {
  const f: Lanes = (dout, x) => {
    const one = v128.splat<T>(<T>1);
    const e = expLanes<T>(v128.neg<T>(v128.abs<T>(x)));
    // The larger and the smaller of σ(x) and σ(−x).
    const larger = v128.div<T>(one, v128.add<T>(one, e));
    const smaller = v128.mul<T>(e, larger);
    const isNegative = v128.lt<T>(x, v128.splat<T>(<T>0));
    const own = v128.bitselect(smaller, larger, isNegative);
    const other = v128.bitselect(larger, smaller, isNegative);
    const factor = v128.mul<T>(own, v128.add<T>(one, v128.mul<T>(x, other)));
    return v128.mul<T>(dout, factor);
  };
  mapLanes<T>(f.index, dx, dout, x, n);
}
