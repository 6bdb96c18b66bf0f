// softsign(x) = x / (1 + |x|). Its derivative is 1 / (1 + |x|)². Turian, Bergstra and Bengio,
// "Quadratic Features and Deep Architectures for Chunking", 2009.

import { Lanes, lightCost, mapLanes } from "./elementwise";

/** @kernel @operation softsign */
export function softsignForward<T extends number>(out: usize, x: usize, n: usize): void {
  const f: Lanes = (x, _, one) => v128.div<T>(x, v128.add<T>(one, v128.abs<T>(x)));
  mapLanes<T>(f.index, out, x, x, n, 1, 0, lightCost<T>());
}

/** dx may be dout. @kernel */
export function softsignBackward<T extends number>(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
): void {
  // Two divisions, as the square may overflow.
  const f: Lanes = (dout, x, one) => {
    const sum = v128.add<T>(one, v128.abs<T>(x));
    return v128.div<T>(v128.div<T>(dout, sum), sum);
  };
  mapLanes<T>(f.index, dx, dout, x, n, 1, 0, lightCost<T>());
}
