// log(1 + e) for 0 ≤ e ≤ 1: with s = e / (2 + e), at most ⅓, it is 2 · artanh(s) = 2s + 2s³/3 +
// 2s⁵/5 + …, cut where a term is below 0.1 units in the last place. All terms are above 0, so a
// small e keeps its relative accuracy.
//
// Error: at most 2 ULP (measured in test/losses/bce.test.ts through the loss). log1p(0) = 0,
// log1p(NaN) = NaN.

import { horner } from "./horner";

/** Returns log(1 + e) of each lane. @inline */
export function log1p<T extends number>(e: v128): v128 {
  const s = v128.div<T>(e, v128.add<T>(e, v128.splat<T>(<T>2)));
  const z = v128.mul<T>(s, s);
  let p: v128;
  if (sizeof<T>() == 8) {
    p = v128.splat<T>(<T>(2.0 / 33.0));
    p = horner<T>(p, z, 2.0 / 31.0);
    p = horner<T>(p, z, 2.0 / 29.0);
    p = horner<T>(p, z, 2.0 / 27.0);
    p = horner<T>(p, z, 2.0 / 25.0);
    p = horner<T>(p, z, 2.0 / 23.0);
    p = horner<T>(p, z, 2.0 / 21.0);
    p = horner<T>(p, z, 2.0 / 19.0);
    p = horner<T>(p, z, 2.0 / 17.0);
  } else {
    p = v128.splat<T>(<T>(2.0 / 17.0));
  }
  p = horner<T>(p, z, 2.0 / 15.0);
  p = horner<T>(p, z, 2.0 / 13.0);
  p = horner<T>(p, z, 2.0 / 11.0);
  p = horner<T>(p, z, 2.0 / 9.0);
  p = horner<T>(p, z, 2.0 / 7.0);
  p = horner<T>(p, z, 2.0 / 5.0);
  p = horner<T>(p, z, 2.0 / 3.0);
  const twice = v128.add<T>(s, s);
  return v128.add<T>(twice, v128.mul<T>(v128.mul<T>(s, z), p));
}

/** As log1p, as a function of its own, for kernels whose bodies are small. */
export function log1pLanes<T extends number>(e: v128): v128 {
  return log1p<T>(e);
}

/**
 * Returns log(sum) for sums from 1 up, with the accuracy that T can show: k · ln 2 + log(1 + e),
 * sum = 2ᵏ · (1 + e). A NaN stays one.
 */
export function logOfSum<T extends number>(sum: f64): T {
  const bits = reinterpret<u64>(sum);
  const k = <f64>(<i32>(bits >> 52) - 1023);
  const e = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000) - 1;
  const rest = <f64>v128.extract_lane<T>(log1pLanes<T>(v128.splat<T>(<T>e)), 0);
  return <T>(k * 0.6931471805599453 + rest + (sum - sum));
}
