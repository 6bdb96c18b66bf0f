// One step of a polynomial, from its highest coefficient down: p · x + c.

import { multiplyAdd } from "../simd";

/** @inline */
export function horner<T extends number>(p: v128, x: v128, c: f64): v128 {
  return multiplyAdd<T>(p, x, v128.splat<T>(<T>c));
}
