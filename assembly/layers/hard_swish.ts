// The hard swish: x · min(max(x + 3, 0), 6) / 6. Its derivative is x / 3 + ½ on [−3, 3], both ends
// among them, as in PyTorch. Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244.

import { Lanes, lightCost, mapLanes } from "./elementwise";

/** @kernel @operation hardSwish */
export function hardSwishForward<T extends number>(out: usize, x: usize, n: usize): void {
  // x + 3 is exact near −3, where x / 6 + ½ would cancel. A NaN passes pmax and pmin.
  const f: Lanes = (x, _, three, six) => {
    const sum = v128.pmax<T>(v128.add<T>(x, three), v128.splat<T>(<T>0));
    return v128.mul<T>(x, v128.div<T>(v128.pmin<T>(sum, six), six));
  };
  mapLanes<T>(f.index, out, x, x, n, 3, 6, lightCost<T>());
}

/** dx may be dout. @kernel */
export function hardSwishBackward<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
): void {
  const f: Lanes = (dout, x, three, half) => {
    const line = v128.add<T>(v128.div<T>(x, three), half);
    const isAbove = v128.gt<T>(x, three);
    const isBelow = v128.lt<T>(x, v128.neg<T>(three));
    const inside = v128.bitselect(dout, v128.mul<T>(dout, line), isAbove);
    return v128.andnot(inside, isBelow);
  };
  mapLanes<T>(f.index, dx, dout, x, n, 3, 0.5, lightCost<T>());
}
