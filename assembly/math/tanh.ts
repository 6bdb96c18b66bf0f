// tanh(|x|) = t / (t + 2) with t = exp(2|x|) − 1, and the sign of x put back.
//
// From 10 (float32) and 20 (float64) on the result is 1 to the last bit, so 2|x| is cut off there.
// Error: see docs/numerics.md, at most 2 ULP for either dtype (measured in test/layers/tanh.test.ts); t keeps the
// relative accuracy of a small x. tanh(±0) = ±0, tanh(±∞) = ±1, tanh(NaN) = NaN.

import { expm1 } from "./exp";

/** tanh of each lane. */
// @ts-ignore: decorator
@inline
export function tanh<T>(x: v128): v128 {
  const magnitude = v128.abs<T>(x);
  const most = v128.splat<T>(sizeof<T>() == 8 ? <T>20 : <T>10);
  const cut = v128.pmin<T>(magnitude, most);
  const t = expm1<T>(v128.add<T>(cut, cut));
  const result = v128.div<T>(t, v128.add<T>(t, v128.splat<T>(2)));
  return v128.or(result, v128.xor(x, magnitude));
}
