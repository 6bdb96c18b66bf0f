// The normal distribution, two float64 at a time: its density φ(x) = exp(−x²/2) / √(2π) and its
// lower tail Φ(−a) = exp(−a²/2) · R(a), a ≥ 0, with the accuracy that a Result, float32 or float64,
// can show.
//
// R, which is Mills' ratio over √(2π), falls slowly and smoothly. (a + 4) · R(a) is a polynomial in
// t = (a − 4) / (a + 4), which takes [0, ∞) to [−1, 1): interpolated at Chebyshev nodes, up to a =
// 14.5 for float32 (relative error 2.6e-9) and up to 39 for float64 (3.6e-17), beyond which the
// tail is 0. For float64 the rounding error of the exponent, which counts a²/2 times in the result,
// is carried along; the square of a float32 has none.
//
// So a tail has its relative accuracy, where 1 + erf(x / √2) has lost it. Errors of what is made of
// it: docs/numerics.md.

import { expOfSum } from "./exp";
import { horner } from "./horner";

/** Returns |x|, or 39 where that is larger: exp(−x²/2) is 0 to the last bit there. @inline */
export function cutTail(x: v128): v128 {
  return f64x2.pmin(f64x2.abs(x), f64x2.splat(39));
}

/** Returns exp(−a²/2) for an a that cutTail gave. @inline */
export function bell<Result extends number>(a: v128): v128 {
  const half = f64x2.splat(-0.5);
  if (sizeof<Result>() == 4) {
    return expOfSum<Result>(f64x2.mul(f64x2.mul(a, a), half), f64x2.splat(0));
  }
  // The upper half of a's digits, whose square is exact.
  const high = v128.and(a, i64x2.splat(-0x8000000));
  const low = f64x2.mul(f64x2.sub(a, high), f64x2.add(a, high));
  return expOfSum<Result>(f64x2.mul(f64x2.mul(high, high), half), f64x2.mul(low, half));
}

/**
 * Returns R(a) = Φ(−a) · exp(a²/2) for an a that cutTail gave. For float32 it stays at R(14.5) from
 * there on, as the tail is 0.
 *
 * @inline
 */
export function tailRatio<Result extends number>(a: v128): v128 {
  if (sizeof<Result>() == 4) a = f64x2.pmin(a, f64x2.splat(14.5));
  const four = f64x2.splat(4);
  const y = f64x2.div(f64x2.splat(1), f64x2.add(a, four));
  const t = f64x2.mul(f64x2.sub(a, four), y);
  let p: v128;
  if (sizeof<Result>() == 8) {
    p = f64x2.splat(-9.6534254202285047e-10);
    p = horner<f64>(p, t, 7.2695454790266895e-11);
    p = horner<f64>(p, t, 1.392402399350171e-8);
    p = horner<f64>(p, t, 1.457859334703646e-8);
    p = horner<f64>(p, t, -7.6380820534904503e-8);
    p = horner<f64>(p, t, -1.5426320536771074e-7);
    p = horner<f64>(p, t, 2.6368248576407625e-7);
    p = horner<f64>(p, t, 1.0198048518135173e-6);
    p = horner<f64>(p, t, -6.2513210404786802e-7);
    p = horner<f64>(p, t, -5.9188927317632364e-6);
    p = horner<f64>(p, t, 7.1500559592160987e-7);
    p = horner<f64>(p, t, 3.5144181157760973e-5);
    p = horner<f64>(p, t, -1.9078665316613574e-6);
    p = horner<f64>(p, t, -0.00023109481831937621);
    p = horner<f64>(p, t, 0.00013334425401904912);
    p = horner<f64>(p, t, 0.0016308184418903596);
    p = horner<f64>(p, t, -0.0034796923622425333);
    p = horner<f64>(p, t, -0.007540188965593059);
    p = horner<f64>(p, t, 0.060396574890699464);
    p = horner<f64>(p, t, -0.18652185795969416);
    p = horner<f64>(p, t, 0.38713740074221888);
    p = horner<f64>(p, t, -0.60789664197189176);
    p = horner<f64>(p, t, 0.75528513041575148);
  } else {
    p = f64x2.splat(-5.26456498e-5);
    p = horner<f64>(p, t, -0.000234621761);
    p = horner<f64>(p, t, 0.000169355458);
    p = horner<f64>(p, t, 0.00164629561);
    p = horner<f64>(p, t, -0.00348807553);
    p = horner<f64>(p, t, -0.00754526816);
    p = horner<f64>(p, t, 0.0603972939);
    p = horner<f64>(p, t, -0.186521307);
    p = horner<f64>(p, t, 0.387137382);
    p = horner<f64>(p, t, -0.607896658);
    p = horner<f64>(p, t, 0.75528513);
  }
  return f64x2.mul(p, y);
}
