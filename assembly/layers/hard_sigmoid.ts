// The hard sigmoid: min(max(alpha · x + beta, 0), 1). Its derivative is alpha between the two
// bounds, and 0 at them. Courbariaux, Bengio and David, "BinaryConnect", 2015, arXiv:1511.00363.

import { Lanes, lightCost, mapLanes } from "./elementwise";

/** out may be x. alpha and beta are rounded to T once. @kernel @operation hardSigmoid */
export function hardSigmoidForward<T extends number>(
  out: usize,
  x: usize,
  n: usize,
  alpha: f64,
  beta: f64,
): void {
  // A NaN passes pmax and pmin.
  const f: Lanes = (x, _, alpha, beta) => {
    const line = v128.add<T>(v128.mul<T>(x, alpha), beta);
    return v128.pmin<T>(v128.pmax<T>(line, v128.splat<T>(<T>0)), v128.splat<T>(<T>1));
  };
  mapLanes<T>(f.index, out, x, x, n, alpha, beta, lightCost<T>());
}

/** dx = dout · alpha where 0 < out < 1, else 0. dx may be dout. @kernel */
export function hardSigmoidBackward<T extends number>(
  dx: usize,
  dout: usize,
  out: usize,
  n: usize,
  alpha: f64,
  _beta: f64,
): void {
  const f: Lanes = (dout, out, alpha, one) => {
    const isBetween = v128.and(v128.gt<T>(out, v128.splat<T>(<T>0)), v128.lt<T>(out, one));
    return v128.and(v128.mul<T>(dout, alpha), isBetween);
  };
  mapLanes<T>(f.index, dx, dout, out, n, alpha, 1, lightCost<T>());
}
