// exp and log to far more digits than a float64 has, in whole-number arithmetic alone, and the
// error of a result against them.

/** digits · 2^exponent */
export interface Exact {
  digits: bigint;
  exponent: number;
}

/**
 * Fraction bits of the arithmetic: 53 of the result, and as many again for log near 1, to spare.
 */
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
export function toFixed({ digits, exponent }: Exact, fractionBits: number): bigint {
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

/** a + b, neither of them far below the other's last digit. */
function add(a: Exact, b: Exact): Exact {
  const exponent = Math.min(a.exponent, b.exponent);
  return { digits: toFixed(a, -exponent) + toFixed(b, -exponent), exponent };
}

/** a / b to BITS digits and more. */
function divide(a: Exact, b: Exact): Exact {
  const shift = Math.max(0, BITS + bitLength(b.digits) - bitLength(a.digits));
  return {
    digits: (a.digits << BigInt(shift)) / b.digits,
    exponent: a.exponent - b.exponent - shift,
  };
}

function integer(digits: bigint): Exact {
  return { digits, exponent: 0 };
}

/** exp(x) / (1 + exp(x)) for x ≤ 0, and 1 / (1 + exp(−x)) above */
export function sigmoidExact(x: number): Exact {
  const e = expExact(-Math.abs(x));
  return divide(x < 0 ? e : integer(1n), add(e, integer(1n)));
}

/** t / (t + 2), t = exp(2|x|) − 1, with the sign of x */
export function tanhExact(x: number): Exact {
  const t = add(expExact(2 * Math.abs(x)), integer(-1n));
  const { digits, exponent } = divide(t, add(t, integer(2n)));
  return { digits: x < 0 ? -digits : digits, exponent };
}

/** √digits as a fixed-point number of so many bits */
export function squareRoot(fixed: bigint, bits: number): bigint {
  const square = fixed << BigInt(bits);
  let root = 1n << BigInt((square.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** π = 16 · artan(1/5) − 4 · artan(1/239) (Machin, 1706) */
function piFixed(bits: number): bigint {
  const artanInverse = (n: bigint) => {
    let power = (1n << BigInt(bits + 16)) / n;
    let sum = power;
    for (let k = 3n; power !== 0n; k += 2n) {
      power /= -n * n;
      sum += power / k;
    }
    return sum;
  };
  return (16n * artanInverse(5n) - 4n * artanInverse(239n)) >> 16n;
}

/**
 * x · Φ(x), Φ(x) = ½ + exp(−x²/2) / √(2π) · (x + x³/3 + x⁵/(3·5) + …), with the digits that a tail
 * cancels to spare
 */
export function geluExact(x: number): Exact {
  const bits = BITS + Math.ceil(1.5 * x * x);
  const one = 1n << BigInt(bits);
  const fixed = toFixed(toExact(x), bits);
  const square = (fixed * fixed) >> BigInt(bits);
  let term = fixed;
  let sum = fixed;
  for (let k = 3n; term !== 0n && term !== -1n; k += 2n) {
    term = ((term * square) >> BigInt(bits)) / k;
    sum += term;
  }
  // exp(x²/2), whose terms are all above 0
  let power = one;
  let bell = one;
  for (let k = 2n; power !== 0n; k += 2n) {
    power = ((power * square) >> BigInt(bits)) / k;
    bell += power;
  }
  const root = squareRoot(2n * piFixed(bits), bits);
  const scale = (bell * root) >> BigInt(bits);
  const phi = one / 2n + (sum << BigInt(bits)) / scale;
  const { digits, exponent } = toExact(x);
  return { digits: phi * digits, exponent: exponent - bits };
}

const PI = piFixed(BITS);

/** cos(x) as its Taylor series, x less a multiple of 2π */
export function cosExact(x: number): Exact {
  const fixed = toFixed(toExact(x), BITS);
  const turns = (fixed + PI) / (2n * PI);
  const r = fixed - turns * 2n * PI;
  const square = (r * r) >> BigInt(BITS);
  let term = ONE;
  let sum = ONE;
  for (let k = 1n; term !== 0n && term !== -1n; k += 2n) {
    term = -((term * square) >> BigInt(BITS)) / (k * (k + 1n));
    sum += term;
  }
  return { digits: sum, exponent: -BITS };
}

/**
 * Gives |actual − exact| in units of the last place that exact has in float64 (or float32),
 * subnormal numbers included. ∞ counts as 2¹⁰²⁴, and as no error where exact rounds to it; for
 * float32 it is not told.
 */
export function ulpError(
  actual: number,
  exact: Exact,
  dtype: "float32" | "float64" = "float64",
): number {
  const top = bitLength(exact.digits) + exact.exponent - 1; // 2^top ≤ |exact|
  const unit = dtype === "float64" ? Math.max(top, -1022) - 52 : Math.max(top, -126) - 23;
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
