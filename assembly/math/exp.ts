// exp(x) = 2ⁿ · exp(r), n the whole number nearest to x / ln 2, |r| ≤ ln 2 / 2.
//
// ln 2 is split in two so that n · ln2High is exact (Cody and Waite, Software Manual for the
// Elementary Functions, 1980). exp(r) is its Taylor series, cut where the first term left out is
// below 0.05 units in the last place; 2ⁿ is applied as two factors, so that results below the
// normal range are rounded once.
//
// Error: at most 1.1 ULP for float32 and for float64 (measured in test/math/exp.test.ts).
// exp(NaN) = NaN, exp(−∞) = 0, exp(∞) = ∞.

import { multiplyAdd } from "../simd";
import { horner } from "./horner";

/** @inline */
const LOG2E: f64 = 1.4426950408889634;

/** Returns the whole number nearest to x / ln 2. @inline */
function multipleOfLn2<T extends number>(x: v128): v128 {
  return v128.nearest<T>(v128.mul<T>(x, v128.splat<T>(<T>LOG2E)));
}

/** Returns x − n · ln 2. @inline */
function remainderOfLn2<T extends number>(x: v128, n: v128): v128 {
  const isDouble = sizeof<T>() == 8;
  const ln2High = v128.splat<T>(isDouble ? <T>6.9314718036912381649e-1 : <T>0.693359375);
  const ln2Low = v128.splat<T>(isDouble ? <T>1.90821492927058770002e-10 : <T>-2.1219444e-4);
  const r = v128.sub<T>(x, v128.mul<T>(n, ln2High));
  return v128.sub<T>(r, v128.mul<T>(n, ln2Low));
}

/**
 * Returns exp(r) − 1 for lanes of T and |r| ≤ ln 2 / 2, with the relative accuracy that a Result
 * can show.
 *
 * @inline
 */
function expm1Series<T extends number, Result extends number>(r: v128): v128 {
  let p: v128;
  if (sizeof<Result>() == 8) {
    p = v128.splat<T>(<T>(1.0 / 6227020800.0));
    p = horner<T>(p, r, 1.0 / 479001600.0);
    p = horner<T>(p, r, 1.0 / 39916800.0);
    p = horner<T>(p, r, 1.0 / 3628800.0);
    p = horner<T>(p, r, 1.0 / 362880.0);
    p = horner<T>(p, r, 1.0 / 40320.0);
    p = horner<T>(p, r, 1.0 / 5040.0);
  } else {
    p = v128.splat<T>(<T>(1.0 / 5040.0));
  }
  p = horner<T>(p, r, 1.0 / 720.0);
  p = horner<T>(p, r, 1.0 / 120.0);
  p = horner<T>(p, r, 1.0 / 24.0);
  p = horner<T>(p, r, 1.0 / 6.0);
  p = horner<T>(p, r, 0.5);
  return multiplyAdd<T>(p, v128.mul<T>(r, r), r);
}

/** Returns 2ⁿ for a whole n in the normal range of exponents. @inline */
function powerOf2<T extends number>(n: v128): v128 {
  if (sizeof<T>() == 8) {
    const e = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(n));
    return i64x2.shl(i64x2.add(e, i64x2.splat(1023)), 52);
  }
  return i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
}

/**
 * Returns p · 2ⁿ, with 2ⁿ as two factors, so that results below the normal range are rounded once.
 *
 * @inline
 */
function scaleByPowerOf2<T extends number>(p: v128, n: v128): v128 {
  if (sizeof<T>() == 8) {
    const e = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(n));
    const half = i64x2.shr_s(e, 1);
    const first = i64x2.shl(i64x2.add(half, i64x2.splat(1023)), 52);
    const second = i64x2.shl(i64x2.add(i64x2.sub(e, half), i64x2.splat(1023)), 52);
    return f64x2.mul(f64x2.mul(p, first), second);
  }
  const e = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(e, 1);
  const first = i32x4.shl(i32x4.add(half, i32x4.splat(127)), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(e, half), i32x4.splat(127)), 23);
  return f32x4.mul(f32x4.mul(p, first), second);
}

/**
 * Returns x within the bounds beyond which exp is ∞ or 0 already. A NaN passes pmin and pmax.
 *
 * @inline
 */
function clamp<T extends number>(x: v128): v128 {
  const most = v128.splat<T>(sizeof<T>() == 8 ? <T>710 : <T>89);
  const least = v128.splat<T>(sizeof<T>() == 8 ? <T>-746 : <T>-104);
  return v128.pmax<T>(v128.pmin<T>(x, most), least);
}

/** Returns exp of each lane. @inline */
export function exp<T extends number>(x: v128): v128 {
  const clamped = clamp<T>(x);
  const n = multipleOfLn2<T>(clamped);
  const series = expm1Series<T, T>(remainderOfLn2<T>(clamped, n));
  return scaleByPowerOf2<T>(v128.add<T>(series, v128.splat<T>(<T>1)), n);
}

/** As exp, as a function of its own, for kernels whose bodies are small: it is in the core once. */
export function expLanes<T extends number>(x: v128): v128 {
  return exp<T>(x);
}

/**
 * Returns exp(x + low) of two float64 for −761 ≤ x ≤ 0, with the accuracy that a Result can show.
 * low is what rounding has taken from x; it is 0 if Result is float32.
 *
 * @inline
 */
export function expOfSum<Result extends number>(x: v128, low: v128): v128 {
  const n = multipleOfLn2<f64>(x);
  let r = remainderOfLn2<f64>(x, n);
  if (sizeof<Result>() == 8) r = f64x2.add(r, low);
  const series = expm1Series<f64, Result>(r);
  return scaleByPowerOf2<f64>(f64x2.add(series, f64x2.splat(1)), n);
}

/** Returns exp(x) − 1 of each lane with its relative accuracy, for |x| ≤ 40. @inline */
export function expm1<T extends number>(x: v128): v128 {
  const n = multipleOfLn2<T>(x);
  const power = powerOf2<T>(n);
  const series = expm1Series<T, T>(remainderOfLn2<T>(x, n));
  return multiplyAdd<T>(series, power, v128.sub<T>(power, v128.splat<T>(<T>1)));
}

/** As expm1, as a function of its own. */
export function expm1Lanes<T extends number>(x: v128): v128 {
  return expm1<T>(x);
}
