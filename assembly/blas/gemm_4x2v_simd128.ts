// The microkernel: 4 rows × 2 vectors (4×8 float32, 4×4 float64). Its eight sums, two vectors of
// b and one of a take 11 of the 16 vector registers; larger tiles spill in V8 (see docs/gemm.md).

import { LANES, multiplyAdd } from "../simd";

/** Rows of a tile. */
// @ts-ignore: decorator
@inline
export function MR(): usize {
  return 4;
}

/** Columns of a tile. */
// @ts-ignore: decorator
@inline
export function NR<T>(): usize {
  return 2 * LANES<T>();
}

/**
 * c (4, NR) = a (K, 4) packed · b (K, NR) packed + addend (4, NR), the addend left out where its
 * address is 0. ldAddend = 0 adds one row to all four. The addend may be c itself.
 */
export function gemm_4x2v_simd128<T>(
  c: usize,
  ldc: usize,
  a: usize,
  b: usize,
  K: usize,
  addend: usize,
  ldAddend: usize,
): void {
  let c00 = v128.splat<T>(0);
  let c01 = v128.splat<T>(0);
  let c10 = v128.splat<T>(0);
  let c11 = v128.splat<T>(0);
  let c20 = v128.splat<T>(0);
  let c21 = v128.splat<T>(0);
  let c30 = v128.splat<T>(0);
  let c31 = v128.splat<T>(0);
  for (let k: usize = 0; k < K; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let ak = v128.load_splat<T>(a);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(a, sizeof<T>());
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(a, 2 * sizeof<T>());
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(a, 3 * sizeof<T>());
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    a += 4 * sizeof<T>();
    b += 32;
  }
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
  v128.store(c, c00);
  v128.store(c, c01, 16);
  c += step;
  v128.store(c, c10);
  v128.store(c, c11, 16);
  c += step;
  v128.store(c, c20);
  v128.store(c, c21, 16);
  c += step;
  v128.store(c, c30);
  v128.store(c, c31, 16);
}
