// Philox4x32: a bijection of 128-bit counters under a 64-bit key, so that any draw is computed from
// its position alone. Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011, with seven rounds, the fewest that pass BigCrush there.
//
// Four blocks at a time: lane l of vector w is word w of block counter + l.

/** @inline */
const ROUNDS: i32 = 7;
/** @inline */
const MULTIPLIER_0: u32 = 0xd2511f53;
/** @inline */
const MULTIPLIER_1: u32 = 0xcd9e8d57;
/** @inline */
const WEYL_0: u32 = 0x9e3779b9;
/** @inline */
const WEYL_1: u32 = 0xbb67ae85;

/** Returns the upper 32 bits of each lane's product. @inline */
function multiplyHigh(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 1, 3, 5, 7);
}

/** Returns the lower 32 bits of each lane's product. @inline */
function multiplyLow(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 0, 2, 4, 6);
}

/**
 * Writes the 16 words of blocks counter … counter + 3 (64 bits of counter, 64 bits of key) to out.
 */
export function philox4x32x4(out: usize, key: u64, counter: u64): void {
  let k0 = <u32>key;
  let k1 = <u32>(key >> 32);
  const c0 = <u32>counter;
  // The counter's lower word is the same as adding lanes 0 … 3, its upper word takes the carry.
  let x0 = i32x4.add(i32x4.splat(c0), i32x4(0, 1, 2, 3));
  let x1 = i32x4.sub(
    i32x4.splat(<u32>(counter >> 32)),
    i32x4.lt_u(x0, i32x4.splat(c0)), // −1 where the lane wrapped
  );
  let x2 = i32x4.splat(0);
  let x3 = i32x4.splat(0);
  const m0 = i32x4.splat(MULTIPLIER_0);
  const m1 = i32x4.splat(MULTIPLIER_1);
  for (let round = 0; round < ROUNDS; round++) {
    const low0 = i64x2.extmul_low_i32x4_u(x0, m0);
    const high0 = i64x2.extmul_high_i32x4_u(x0, m0);
    const low1 = i64x2.extmul_low_i32x4_u(x2, m1);
    const high1 = i64x2.extmul_high_i32x4_u(x2, m1);
    x0 = v128.xor(v128.xor(multiplyHigh(low1, high1), x1), i32x4.splat(k0));
    x2 = v128.xor(v128.xor(multiplyHigh(low0, high0), x3), i32x4.splat(k1));
    x1 = multiplyLow(low1, high1);
    x3 = multiplyLow(low0, high0);
    k0 += WEYL_0;
    k1 += WEYL_1;
  }
  v128.store(out, x0);
  v128.store(out, x1, 16);
  v128.store(out, x2, 32);
  v128.store(out, x3, 48);
}
