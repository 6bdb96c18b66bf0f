// The normal distribution: its density φ(x) = exp(−x²/2) / √(2π) and its lower tail Φ(−a) = exp(−a²/2) · R(a), a ≥ 0.
//
// R, which is Mills' ratio over √(2π), falls slowly and smoothly. (a + 4) · R(a) is a polynomial in
// t = (a − 4) / (a + 4), which takes [0, ∞) to [−1, 1): interpolated at Chebyshev nodes, for a up to 14.5 in float32
// (relative error 2.6e-9) and up to 39 in float64 (3.6e-17), beyond which the tail is 0. The exponent's own
// rounding error, which counts a²/2 times in the result, is carried along.
//
// So a tail has its relative accuracy, where 1 + erf(x / √2) has lost it. Errors: docs/numerics.md.

import { expOfSum } from "./exp";
import { horner } from "./horner";

/** |x| of each lane, but no further than where the tail is 0. */
// @ts-ignore: decorator
@inline
export function cutTail<T>(x: v128): v128 {
  return v128.pmin<T>(v128.abs<T>(x), v128.splat<T>(sizeof<T>() == 8 ? <T>39 : <T>14.5));
}

/** exp(−a²/2) of each lane, for a that is cut. */
// @ts-ignore: decorator
@inline
export function bell<T>(a: v128): v128 {
  // The upper half of a's digits, whose square is exact.
  const mask = sizeof<T>() == 8 ? i64x2.splat(-0x8000000) : i32x4.splat(-0x1000);
  const half = v128.splat<T>(<T>-0.5);
  const high = v128.and(a, mask);
  const square = v128.mul<T>(v128.mul<T>(high, high), half);
  const low = v128.mul<T>(v128.mul<T>(v128.sub<T>(a, high), v128.add<T>(a, high)), half);
  return expOfSum<T>(square, low);
}

/** R(a) = Φ(−a) · exp(a²/2) of each lane, for a that is cut. */
// @ts-ignore: decorator
@inline
export function tailRatio<T>(a: v128): v128 {
  const four = v128.splat<T>(4);
  const y = v128.div<T>(v128.splat<T>(1), v128.add<T>(a, four));
  const t = v128.mul<T>(v128.sub<T>(a, four), y);
  let p: v128;
  if (sizeof<T>() == 8) {
    p = v128.splat<T>(<T>-9.6534254202285047e-10);
    p = horner<T>(p, t, 7.2695454790266895e-11);
    p = horner<T>(p, t, 1.392402399350171e-8);
    p = horner<T>(p, t, 1.457859334703646e-8);
    p = horner<T>(p, t, -7.6380820534904503e-8);
    p = horner<T>(p, t, -1.5426320536771074e-7);
    p = horner<T>(p, t, 2.6368248576407625e-7);
    p = horner<T>(p, t, 1.0198048518135173e-6);
    p = horner<T>(p, t, -6.2513210404786802e-7);
    p = horner<T>(p, t, -5.9188927317632364e-6);
    p = horner<T>(p, t, 7.1500559592160987e-7);
    p = horner<T>(p, t, 3.5144181157760973e-5);
    p = horner<T>(p, t, -1.9078665316613574e-6);
    p = horner<T>(p, t, -0.00023109481831937621);
    p = horner<T>(p, t, 0.00013334425401904912);
    p = horner<T>(p, t, 0.0016308184418903596);
    p = horner<T>(p, t, -0.0034796923622425333);
    p = horner<T>(p, t, -0.007540188965593059);
    p = horner<T>(p, t, 0.060396574890699464);
    p = horner<T>(p, t, -0.18652185795969416);
    p = horner<T>(p, t, 0.38713740074221888);
    p = horner<T>(p, t, -0.60789664197189176);
    p = horner<T>(p, t, 0.75528513041575148);
  } else {
    p = v128.splat<T>(<T>-5.26456498e-5);
    p = horner<T>(p, t, -0.000234621761);
    p = horner<T>(p, t, 0.000169355458);
    p = horner<T>(p, t, 0.00164629561);
    p = horner<T>(p, t, -0.00348807553);
    p = horner<T>(p, t, -0.00754526816);
    p = horner<T>(p, t, 0.0603972939);
    p = horner<T>(p, t, -0.186521307);
    p = horner<T>(p, t, 0.387137382);
    p = horner<T>(p, t, -0.607896658);
    p = horner<T>(p, t, 0.75528513);
  }
  return v128.mul<T>(p, y);
}
