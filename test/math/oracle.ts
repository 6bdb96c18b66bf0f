// exp and log to far more digits than a float64 has, in whole-number arithmetic alone, and the
// error of a result against them.

/** digits · 2^exponent */
export interface Exact {
  digits: bigint;
  exponent: number;
}

/** Fraction bits of the arithmetic: 53 of the result, and as many again for log near 1, to spare. */
const BITS = 256;
const ONE = 1n << BigInt(BITS);

const view = new DataView(new ArrayBuffer(8));

/** A finite float64, exactly. */
export function toExact(x: number): Exact {
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const digits = biased === 0 ? fraction : fraction | (1n << 52n);
  return { digits: x < 0 ? -digits : digits, exponent: Math.max(biased, 1) - 1075 };
}

/** digits · 2^(exponent + fractionBits), rounded down. */
function toFixed({ digits, exponent }: Exact, fractionBits: number): bigint {
  const shift = exponent + fractionBits;
  return shift >= 0 ? digits << BigInt(shift) : digits >> BigInt(-shift);
}

function bitLength(digits: bigint): number {
  return (digits < 0n ? -digits : digits).toString(2).length;
}

/** 2 · artanh(s) = 2s + 2s³/3 + 2s⁵/5 + … */
function twiceArtanh(s: bigint): bigint {
  const square = (s * s) >> BigInt(BITS);
  let power = s;
  let sum = s;
  for (let n = 3n; power !== 0n && power !== -1n; n += 2n) {
    power = (power * square) >> BigInt(BITS);
    sum += power / n;
  }
  return 2n * sum;
}

const LN2 = twiceArtanh(ONE / 3n);

/** exp(x) = 2ᵏ · Σ rⁿ / n!, x = k · ln 2 + r */
export function expExact(x: number): Exact {
  const fixed = toFixed(toExact(x), BITS);
  const k = (2n * fixed + LN2) / (2n * LN2);
  const r = fixed - k * LN2;
  let term = ONE;
  let sum = ONE;
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    term = ((term * r) >> BigInt(BITS)) / n;
    sum += term;
  }
  return { digits: sum, exponent: Number(k) - BITS };
}

/** log(x) = k · ln 2 + 2 · artanh((m − 1) / (m + 1)), x = 2ᵏ · m > 0 */
export function logExact(x: number): Exact {
  const { digits, exponent } = toExact(x);
  let k = bitLength(digits) + exponent;
  let m = toFixed({ digits, exponent: exponent - k }, BITS); // on [½, 1)
  if (10n * m < 7n * ONE) {
    m *= 2n;
    k -= 1;
  }
  const s = ((m - ONE) << BigInt(BITS)) / (m + ONE);
  return { digits: BigInt(k) * LN2 + twiceArtanh(s), exponent: -BITS };
}

/**
 * |actual − exact| in units of the last place that exact has in float64, subnormal numbers
 * included. ∞ counts as 2¹⁰²⁴, and as no error where exact rounds to it.
 */
export function ulpError(actual: number, exact: Exact): number {
  const top = bitLength(exact.digits) + exact.exponent - 1; // 2^top ≤ |exact|
  const unit = Math.max(top, -1022) - 52;
  const fractionBits = 64 - unit;
  const expected = toFixed(exact, fractionBits);
  if (Math.abs(actual) === Infinity) {
    const border = toFixed({ digits: (1n << 54n) - 1n, exponent: 970 }, fractionBits);
    if ((actual > 0 ? expected : -expected) >= border) return 0;
    const beyond = toFixed({ digits: actual > 0 ? 1n : -1n, exponent: 1024 }, fractionBits);
    return Math.abs(Number(expected - beyond)) / 2 ** 64;
  }
  return Math.abs(Number(toFixed(toExact(actual), fractionBits) - expected)) / 2 ** 64;
}
