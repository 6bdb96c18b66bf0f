// The tiles that the microkernels compute: 4 rows × 2 vectors (4×8 float32, 4×4 float64), whose
// eight sums, two vectors of b and one of a take 11 of 16 vector registers, and in relaxed builds 6
// rows where a is packed. docs/gemm.md has what other shapes gave.

import { LANES, RELAXED } from "../simd";

/**
 * Returns how many products are summed from zero before their sum is added to c; docs/gemm.md says
 * why.
 *
 * @inline
 */
export function KC(): usize {
  return 256;
}

/** Returns how many rows a tile has whose a is read where it lies. @inline */
export function MR(): usize {
  return 4;
}

/** Returns how many rows a tile has whose a is packed. @inline */
export function PACKED_MR(): usize {
  return RELAXED ? 6 : MR();
}

/** Returns how many columns a tile has. @inline */
export function NR<T extends number>(): usize {
  return 2 * LANES<T>();
}

/**
 * Returns how many columns a panel of packed weights has: eight vectors, as the sums of one row
 * fill eight registers.
 *
 * @inline
 */
export function PW<T extends number>(): usize {
  return 8 * LANES<T>();
}

/** @inline */
export function roundUp(n: usize, multiple: usize): usize {
  return ((n + multiple - 1) / multiple) * multiple;
}

/**
 * c (4, NR) = max(the eight sums + addend (4, NR), floor). The addend is left out where its address
 * is 0; ldAddend = 0 adds one row to all four; it may be c itself. A floor of 0 is ReLU, one of −∞
 * changes nothing, and a NaN stays.
 *
 * @inline
 */
export function storeTile<T extends number>(
  c: usize,
  ldc: usize,
  addend: usize,
  ldAddend: usize,
  c00: v128,
  c01: v128,
  c10: v128,
  c11: v128,
  c20: v128,
  c21: v128,
  c30: v128,
  c31: v128,
  floor: T,
): void {
  if (addend != 0) {
    const step = ldAddend * sizeof<T>();
    c00 = v128.add<T>(c00, v128.load(addend));
    c01 = v128.add<T>(c01, v128.load(addend, 16));
    addend += step;
    c10 = v128.add<T>(c10, v128.load(addend));
    c11 = v128.add<T>(c11, v128.load(addend, 16));
    addend += step;
    c20 = v128.add<T>(c20, v128.load(addend));
    c21 = v128.add<T>(c21, v128.load(addend, 16));
    addend += step;
    c30 = v128.add<T>(c30, v128.load(addend));
    c31 = v128.add<T>(c31, v128.load(addend, 16));
  }
  const step = ldc * sizeof<T>();
  const least = v128.splat<T>(floor);
  v128.store(c, v128.pmax<T>(c00, least));
  v128.store(c, v128.pmax<T>(c01, least), 16);
  c += step;
  v128.store(c, v128.pmax<T>(c10, least));
  v128.store(c, v128.pmax<T>(c11, least), 16);
  c += step;
  v128.store(c, v128.pmax<T>(c20, least));
  v128.store(c, v128.pmax<T>(c21, least), 16);
  c += step;
  v128.store(c, v128.pmax<T>(c30, least));
  v128.store(c, v128.pmax<T>(c31, least), 16);
}

/** Stores one row as storeTile does: c (NR,) = max(two sums + addend (NR,), floor). @inline */
export function storeRow<T extends number>(
  c: usize,
  addend: usize,
  c0: v128,
  c1: v128,
  floor: T,
): void {
  if (addend != 0) {
    c0 = v128.add<T>(c0, v128.load(addend));
    c1 = v128.add<T>(c1, v128.load(addend, 16));
  }
  const least = v128.splat<T>(floor);
  v128.store(c, v128.pmax<T>(c0, least));
  v128.store(c, v128.pmax<T>(c1, least), 16);
}
