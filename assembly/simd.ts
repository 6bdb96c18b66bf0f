// Lanes, tails and multiply-add of 128-bit vectors, for float32 and float64 from one source. This
// is the only file that says how a product and a sum become one step: strict builds round twice,
// relaxed builds once if the processor can.

/** This is true in a relaxed build, which asc compiles with `--enable relaxed-simd`. @inline */
export const RELAXED: bool = ASC_FEATURE_RELAXED_SIMD;

/** Returns whether products and sums are rounded together where the host can. @kernel */
export function isRelaxed(): bool {
  return RELAXED;
}

/** Returns how many T fit a vector. @inline */
export function LANES<T extends number>(): usize {
  return 16 / sizeof<T>();
}

/**
 * Returns a · b + c. Strict builds round after the product and after the sum; relaxed builds round
 * as the host does, at best once.
 *
 * @inline
 */
export function multiplyAdd<T extends number>(a: v128, b: v128, c: v128): v128 {
  if (RELAXED) return v128.relaxed_madd<T>(a, b, c);
  return v128.add<T>(v128.mul<T>(a, b), c);
}

/**
 * Loads the first n lanes (0 < n < LANES) and sets the others to 0. It reads nothing beyond them.
 *
 * @inline
 */
export function loadTail<T extends number>(p: usize, n: usize): v128 {
  if (sizeof<T>() == 8) return v128.load64_zero(p);
  if (n == 1) return v128.load32_zero(p);
  const low = v128.load64_zero(p);
  return n == 2 ? low : v128.load_lane<u32>(p, low, 2, 8);
}

/** Writes the first n lanes (0 < n < LANES) and nothing beyond them. @inline */
export function storeTail<T extends number>(p: usize, v: v128, n: usize): void {
  if (sizeof<T>() == 8) {
    v128.store_lane<u64>(p, v, 0);
  } else if (n == 1) {
    v128.store_lane<u32>(p, v, 0);
  } else {
    v128.store_lane<u64>(p, v, 0);
    if (n == 3) v128.store_lane<u32>(p, v, 2, 8);
  }
}

/**
 * Loads n (1 or 2) neighbouring T as float64 lanes, which is exact for either dtype. The other lane
 * is 0.
 *
 * @inline
 */
export function loadF64x2<T extends number>(p: usize, n: usize): v128 {
  if (sizeof<T>() == 8) return n == 2 ? v128.load(p) : v128.load64_zero(p);
  return f64x2.promote_low_f32x4(n == 2 ? v128.load64_zero(p) : v128.load32_zero(p));
}

/** Rounds two float64 lanes to T and writes the first n (1 or 2) of them. @inline */
export function storeF64x2<T extends number>(p: usize, v: v128, n: usize): void {
  if (sizeof<T>() == 8) {
    if (n == 2) v128.store(p, v);
    else v128.store_lane<u64>(p, v, 0);
  } else {
    const rounded = f32x4.demote_f64x2_zero(v);
    if (n == 2) v128.store_lane<u64>(p, rounded, 0);
    else v128.store_lane<u32>(p, rounded, 0);
  }
}

/** Loads the first n lanes (0 < n ≤ LANES), by a whole load if n is LANES. @inline */
export function loadLanes<T extends number>(p: usize, n: usize): v128 {
  return n == LANES<T>() ? v128.load(p) : loadTail<T>(p, n);
}

/** Writes the first n lanes (0 < n ≤ LANES). @inline */
export function storeLanes<T extends number>(p: usize, v: v128, n: usize): void {
  if (n == LANES<T>()) v128.store(p, v);
  else storeTail<T>(p, v, n);
}

/** Returns the lower half of the lanes as float64, or all of them if T is float64. @inline */
export function widenLow<T extends number>(v: v128): v128 {
  return sizeof<T>() == 8 ? v : f64x2.promote_low_f32x4(v);
}

/** Returns the upper half of the lanes as float64. It is for float32 alone. @inline */
export function widenHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<u64>(v, v, 1, 1));
}

/**
 * Rounds two halves in float64 to T, the inverse of widenLow and widenHigh. high is not read if T
 * is float64.
 *
 * @inline
 */
export function narrow<T extends number>(low: v128, high: v128): v128 {
  if (sizeof<T>() == 8) return low;
  const a = f32x4.demote_f64x2_zero(low);
  const b = f32x4.demote_f64x2_zero(high);
  return v128.shuffle<u64>(a, b, 0, 2);
}

/**
 * Returns v², or 0 where |v| is below 1e-17 (float64: 1e-152), so that neither a square nor a
 * thousandth of it is below the normal range: processors take a hundred times longer over such
 * numbers. A NaN stays a NaN.
 *
 * @inline
 */
export function square<T extends number>(v: v128): v128 {
  const least = v128.splat<T>(sizeof<T>() == 8 ? <T>1e-152 : <T>1e-17);
  const kept = v128.andnot(v, v128.lt<T>(v128.abs<T>(v), least));
  return v128.mul<T>(kept, kept);
}
