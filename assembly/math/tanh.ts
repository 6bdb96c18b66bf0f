// tanh(|x|) = t / (t + 2) with t = exp(2|x|) − 1, which keeps the relative accuracy of a small x,
// and the sign of x put back. Where t is below 1, the quotient q is corrected by t / (t + 2) = t/2
// − t/2 · q, in which its error weighs less.
//
// From 10 (float32) and 20 (float64) on the result is 1 to the last bit, so 2|x| is cut off there.
// Error: at most 2.05 ULP for either dtype (measured in test/layers/tanh.test.ts).
// tanh(±0) = ±0, tanh(±∞) = ±1, tanh(NaN) = NaN.

import { expm1 } from "./exp";

/** Returns tanh of each lane. @inline */
export function tanh<T extends number>(x: v128): v128 {
  const magnitude = v128.abs<T>(x);
  const most = v128.splat<T>(sizeof<T>() == 8 ? <T>20 : <T>10);
  const cut = v128.pmin<T>(magnitude, most);
  const t = expm1<T>(v128.add<T>(cut, cut));
  const quotient = v128.div<T>(t, v128.add<T>(t, v128.splat<T>(<T>2)));
  const half = v128.mul<T>(t, v128.splat<T>(<T>0.5));
  const corrected = v128.sub<T>(half, v128.mul<T>(half, quotient));
  const isSmall = v128.lt<T>(t, v128.splat<T>(<T>1));
  const result = v128.bitselect(corrected, quotient, isSmall);
  return v128.or(result, v128.xor(x, magnitude));
}
