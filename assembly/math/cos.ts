// cos(x) for |x| ≤ 2²⁰, and NaN beyond: x is brought to [−π/4, π/4] by a whole number of quarter
// turns, and there the Taylor series of cosine or sine serve, cut where the first term left out is
// below 0.1 units in the last place.
//
// π/2 is split in three (Cody and Waite, Software Manual for the Elementary Functions, 1980), of
// which the first two have 33 digits, so that their products with the number of turns are exact;
// what rounding takes off the remainder is carried along. Error: at most 0.9 ULP (measured in
// test/math/cos.test.ts).

/** @inline */
const PI_2_HIGH: f64 = 1.5707963267341256;
/** @inline */
const PI_2_MIDDLE: f64 = 6.077100506303966e-11;
/** @inline */
const PI_2_LOW: f64 = 2.0222662487959506e-21;

/** @kernel */
export function cos(x: f64): f64 {
  if (!(abs(x) <= 1048576)) return NaN;
  const turns = nearest(x * 0.63661977236758134);
  const a = x - turns * PI_2_HIGH;
  const b = turns * PI_2_MIDDLE;
  const c = a - b;
  const t = a - c; // b but for the rounding of c, by Knuth's sum without branches
  const middle = a - (c + t) + (t - b);
  const low = middle - turns * PI_2_LOW;
  const r = c + low;
  const rest = c - r + low;
  const z = r * r;
  const quarter = <i32>turns & 3;
  if (quarter & 1) {
    const s = r + (z * r * sineSeries(z) + rest * (1 - 0.5 * z));
    return quarter == 1 ? -s : s;
  }
  const half = 0.5 * z;
  const head = 1 - half;
  const d = head + (1 - head - half + (z * z * cosineSeries(z) - r * rest));
  return quarter == 0 ? d : -d;
}

/** Returns (cos(r) − 1 + r²/2) / r⁴ for z = r². @inline */
function cosineSeries(z: f64): f64 {
  let c: f64 = 1.0 / 20922789888000.0;
  c = c * z - 1.0 / 87178291200.0;
  c = c * z + 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  return c;
}

/** Returns (sin(r) − r) / r³ for z = r². @inline */
function sineSeries(z: f64): f64 {
  let s: f64 = 1.0 / 355687428096000.0;
  s = s * z - 1.0 / 1307674368000.0;
  s = s * z + 1.0 / 6227020800.0;
  s = s * z - 1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  return s;
}
