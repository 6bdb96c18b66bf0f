// log(1 + e) for 0 ≤ e ≤ 1: with s = e / (2 + e), at most ⅓, it is 2 · artanh(s) = 2s + 2s³/3 +
// 2s⁵/5 + …, cut where a term is below 0.1 units in the last place. All terms are above 0, so a
// small e keeps its relative accuracy.
//
// Error: at most 2 ULP (measured in test/losses/bce.test.ts through the loss). log1p(0) = 0,
// log1p(NaN) = NaN.

import { horner } from "./horner";

/** Returns log(1 + e) of two float64. @inline */
export function log1p(e: v128): v128 {
  const s = f64x2.div(e, f64x2.add(e, f64x2.splat(2)));
  const z = f64x2.mul(s, s);
  let p = f64x2.splat(2.0 / 33.0);
  p = horner<f64>(p, z, 2.0 / 31.0);
  p = horner<f64>(p, z, 2.0 / 29.0);
  p = horner<f64>(p, z, 2.0 / 27.0);
  p = horner<f64>(p, z, 2.0 / 25.0);
  p = horner<f64>(p, z, 2.0 / 23.0);
  p = horner<f64>(p, z, 2.0 / 21.0);
  p = horner<f64>(p, z, 2.0 / 19.0);
  p = horner<f64>(p, z, 2.0 / 17.0);
  p = horner<f64>(p, z, 2.0 / 15.0);
  p = horner<f64>(p, z, 2.0 / 13.0);
  p = horner<f64>(p, z, 2.0 / 11.0);
  p = horner<f64>(p, z, 2.0 / 9.0);
  p = horner<f64>(p, z, 2.0 / 7.0);
  p = horner<f64>(p, z, 2.0 / 5.0);
  p = horner<f64>(p, z, 2.0 / 3.0);
  const twice = f64x2.add(s, s);
  return f64x2.add(twice, f64x2.mul(f64x2.mul(s, z), p));
}
