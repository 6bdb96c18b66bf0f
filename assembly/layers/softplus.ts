// softplus(x) = log(1 + exp(x)), computed as max(x, 0) + log(1 + exp(−|x|)), which no x makes
// overflow. Its derivative is the logistic sigmoid. Dugas et al., "Incorporating Second-Order
// Functional Knowledge for Better Option Pricing", 2000.

import { expLanes } from "../math/exp";
import { log1pLanes } from "../math/log1p";
import { sigmoidLanes } from "../math/sigmoid";
import { Lanes, mapLanes } from "./elementwise";

/** @kernel @operation softplus */
export function softplusForward<T extends number>(out: usize, x: usize, n: usize): void {
  const f: Lanes = (x) => {
    const rest = log1pLanes<T>(expLanes<T>(v128.neg<T>(v128.abs<T>(x))));
    return v128.add<T>(v128.pmax<T>(x, v128.splat<T>(<T>0)), rest);
  };
  mapLanes<T>(f.index, out, x, x, n);
}

/** dx may be dout. @kernel */
export function softplusBackward<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
): void {
  const f: Lanes = (dout, x) => v128.mul<T>(dout, sigmoidLanes<T>(x));
  mapLanes<T>(f.index, dx, dout, x, n);
}
