// Sums over one row: eight vectors at a time are added up in T, and these sums in float64.

import { LANES, multiplyAdd, widenHigh, widenLow } from "../simd";

/** Returns Σ (x − centre), or Σ (x − centre)² if isSquare, over x (n,), one by one in float64. */
function sumEach<T extends number>(x: usize, n: usize, centre: f64, isSquare: bool): f64 {
  let sum: f64 = 0;
  for (const end = x + n * sizeof<T>(); x != end; x += sizeof<T>()) {
    const d = <f64>load<T>(x) - centre;
    sum += isSquare ? d * d : d;
  }
  return sum;
}

/** Adds the next vector to the sum. @inline */
function add<T extends number>(sum: v128, x: usize, centre: v128, isSquare: bool): v128 {
  const d = v128.sub<T>(v128.load(x), centre);
  return isSquare ? multiplyAdd<T>(d, d, sum) : v128.add<T>(sum, d);
}

/**
 * The same sums; where T is too small for them, and for what is no number, they are float64.
 * @inline
 */
function rowSum<T extends number>(x: usize, n: usize, centre: T, isSquare: bool): f64 {
  const c = v128.splat<T>(centre);
  const zero = v128.splat<T>(<T>0);
  let low = f64x2.splat(0);
  let high = low;
  let p = x;
  let left = n / LANES<T>();
  while (left > 0) {
    let a = zero;
    let b = zero;
    if (left >= 8) {
      a = add<T>(
        add<T>(add<T>(add<T>(a, p, c, isSquare), p + 32, c, isSquare), p + 64, c, isSquare),
        p + 96,
        c,
        isSquare,
      );
      b = add<T>(
        add<T>(add<T>(add<T>(b, p + 16, c, isSquare), p + 48, c, isSquare), p + 80, c, isSquare),
        p + 112,
        c,
        isSquare,
      );
      p += 128;
      left -= 8;
    } else {
      a = add<T>(a, p, c, isSquare);
      p += 16;
      left--;
    }
    a = v128.add<T>(a, b);
    low = f64x2.add(low, widenLow<T>(a));
    if (sizeof<T>() == 4) high = f64x2.add(high, widenHigh(a));
  }
  low = f64x2.add(low, high);
  let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  sum += sumEach<T>(p, n & (LANES<T>() - 1), <f64>centre, isSquare);
  return sum * 0 == 0 ? sum : sumEach<T>(x, n, <f64>centre, isSquare);
}

/** Returns the mean of x (n,), n ≥ 1, by differences from its first value. */
export function rowMean<T extends number>(x: usize, n: usize): f64 {
  const first = load<T>(x);
  return first * <T>0 == <T>0
    ? <f64>first + rowSum<T>(x, n, first, false) / <f64>n
    : sumEach<T>(x, n, 0, false) / <f64>n;
}

/** Returns the mean of (x − mean)² over x (n,). */
export function rowVariance<T extends number>(x: usize, n: usize, mean: f64): f64 {
  const high = <T>mean;
  const low = mean - <f64>high;
  const squares = rowSum<T>(x, n, high, true) / <f64>n;
  return low * 0 == 0 ? max(squares - low * low, 0) : squares;
}
