// sigmoid(x) = 1 / (1 + exp(−x)), computed with e = exp(−|x|), which cannot overflow: 1 / (1 + e)
// from 0 up, and below q = e / (1 + e), where small results keep their relative accuracy; it is
// corrected by q = e − e · q, in which the quotient's error weighs less.
//
// Error: at most 2 ULP for either dtype (measured in test/layers/sigmoid.test.ts).
// sigmoid(∞) = 1, sigmoid(−∞) = 0, sigmoid(NaN) = NaN.

import { exp, expLanes } from "./exp";

/** Returns sigmoid of each lane x, from e = exp(−|x|). @inline */
function fromExp<T extends number>(x: v128, e: v128): v128 {
  const one = v128.splat<T>(<T>1);
  const isNegative = v128.lt<T>(x, v128.splat<T>(<T>0));
  const numerator = v128.bitselect(e, one, isNegative);
  const quotient = v128.div<T>(numerator, v128.add<T>(one, e));
  const corrected = v128.sub<T>(e, v128.mul<T>(e, quotient));
  return v128.bitselect(corrected, quotient, isNegative);
}

/** Returns sigmoid of each lane. @inline */
export function sigmoid<T extends number>(x: v128): v128 {
  return fromExp<T>(x, exp<T>(v128.neg<T>(v128.abs<T>(x))));
}

/** As sigmoid, as a function of its own, for kernels whose bodies are small. */
export function sigmoidLanes<T extends number>(x: v128): v128 {
  return fromExp<T>(x, expLanes<T>(v128.neg<T>(v128.abs<T>(x))));
}
