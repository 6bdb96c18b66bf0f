// ReLU with an upper bound: min(max(x, 0), 6). Its derivative is 0 at 0 and at 6. Krizhevsky,
// "Convolutional Deep Belief Networks on CIFAR-10", 2010.

import { Lanes, lightCost, mapLanes } from "./elementwise";

/** out may be x. @kernel @operation relu6 */
export function relu6Forward<T extends number>(out: usize, x: usize, n: usize): void {
  // A NaN passes pmax and pmin, and adding 0 turns −0 into 0.
  const f: Lanes = (x, _, six) => {
    const zero = v128.splat<T>(<T>0);
    return v128.pmin<T>(v128.add<T>(v128.pmax<T>(x, zero), zero), six);
  };
  mapLanes<T>(f.index, out, x, x, n, 6, 0, lightCost<T>());
}

/** dx = dout where 0 < out < 6, else 0. dx may be dout. @kernel */
export function relu6Backward<T extends number>(
  dx: usize,
  dout: usize,
  out: usize,
  n: usize,
): void {
  const f: Lanes = (dout, out, six, zero) =>
    v128.and(dout, v128.and(v128.gt<T>(out, zero), v128.lt<T>(out, six)));
  mapLanes<T>(f.index, dx, dout, out, n, 6, 0, lightCost<T>());
}
