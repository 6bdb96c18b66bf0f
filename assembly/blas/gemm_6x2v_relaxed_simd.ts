// The microkernel of relaxed builds for a packed a: with a fused multiply-add six rows fit the
// registers, and the more products there are for each element that is loaded, the nearer the kernel
// comes to the processor's limit.

import { multiplyAdd } from "../simd";
import { storeRow, storeTile } from "./tile";

/** Computes what gemm_4x2v_simd128 does, for tiles of 6 rows. */
export function gemm_6x2v_relaxed_simd<T extends number>(
  c: usize,
  ldc: usize,
  a: usize,
  aStep: usize,
  aNext: usize,
  tiles: usize,
  b: usize,
  bStep: usize,
  K: usize,
  addend: usize,
  ldAddend: usize,
  floor: T,
): void {
  let c00: v128;
  let c01: v128;
  let c10: v128;
  let c11: v128;
  let c20: v128;
  let c21: v128;
  let c30: v128;
  let c31: v128;
  let c40: v128;
  let c41: v128;
  let c50: v128;
  let c51: v128;
  let b0: v128, b1: v128, ak: v128;
  const firstB = b;
  const step = ldc * sizeof<T>();
  const addendStep = ldAddend * sizeof<T>();
  for (; tiles > 0; tiles--) {
    c00 = v128.splat<T>(<T>0);
    c01 = v128.splat<T>(<T>0);
    c10 = v128.splat<T>(<T>0);
    c11 = v128.splat<T>(<T>0);
    c20 = v128.splat<T>(<T>0);
    c21 = v128.splat<T>(<T>0);
    c30 = v128.splat<T>(<T>0);
    c31 = v128.splat<T>(<T>0);
    c40 = v128.splat<T>(<T>0);
    c41 = v128.splat<T>(<T>0);
    c50 = v128.splat<T>(<T>0);
    c51 = v128.splat<T>(<T>0);
    let p = a;
    b = firstB;
    const end = a + K * aStep;
    // The loop has four steps with an exit after each, as there.
    while (p != end) {
      b0 = v128.load(b);
      b1 = v128.load(b, 16);
      ak = v128.load_splat<T>(p);
      c00 = multiplyAdd<T>(ak, b0, c00);
      c01 = multiplyAdd<T>(ak, b1, c01);
      ak = v128.load_splat<T>(p, sizeof<T>());
      c10 = multiplyAdd<T>(ak, b0, c10);
      c11 = multiplyAdd<T>(ak, b1, c11);
      ak = v128.load_splat<T>(p, 2 * sizeof<T>());
      c20 = multiplyAdd<T>(ak, b0, c20);
      c21 = multiplyAdd<T>(ak, b1, c21);
      ak = v128.load_splat<T>(p, 3 * sizeof<T>());
      c30 = multiplyAdd<T>(ak, b0, c30);
      c31 = multiplyAdd<T>(ak, b1, c31);
      ak = v128.load_splat<T>(p, 4 * sizeof<T>());
      c40 = multiplyAdd<T>(ak, b0, c40);
      c41 = multiplyAdd<T>(ak, b1, c41);
      ak = v128.load_splat<T>(p, 5 * sizeof<T>());
      c50 = multiplyAdd<T>(ak, b0, c50);
      c51 = multiplyAdd<T>(ak, b1, c51);
      p += aStep;
      b += bStep;
      if (p == end) break;
      b0 = v128.load(b);
      b1 = v128.load(b, 16);
      ak = v128.load_splat<T>(p);
      c00 = multiplyAdd<T>(ak, b0, c00);
      c01 = multiplyAdd<T>(ak, b1, c01);
      ak = v128.load_splat<T>(p, sizeof<T>());
      c10 = multiplyAdd<T>(ak, b0, c10);
      c11 = multiplyAdd<T>(ak, b1, c11);
      ak = v128.load_splat<T>(p, 2 * sizeof<T>());
      c20 = multiplyAdd<T>(ak, b0, c20);
      c21 = multiplyAdd<T>(ak, b1, c21);
      ak = v128.load_splat<T>(p, 3 * sizeof<T>());
      c30 = multiplyAdd<T>(ak, b0, c30);
      c31 = multiplyAdd<T>(ak, b1, c31);
      ak = v128.load_splat<T>(p, 4 * sizeof<T>());
      c40 = multiplyAdd<T>(ak, b0, c40);
      c41 = multiplyAdd<T>(ak, b1, c41);
      ak = v128.load_splat<T>(p, 5 * sizeof<T>());
      c50 = multiplyAdd<T>(ak, b0, c50);
      c51 = multiplyAdd<T>(ak, b1, c51);
      p += aStep;
      b += bStep;
      if (p == end) break;
      b0 = v128.load(b);
      b1 = v128.load(b, 16);
      ak = v128.load_splat<T>(p);
      c00 = multiplyAdd<T>(ak, b0, c00);
      c01 = multiplyAdd<T>(ak, b1, c01);
      ak = v128.load_splat<T>(p, sizeof<T>());
      c10 = multiplyAdd<T>(ak, b0, c10);
      c11 = multiplyAdd<T>(ak, b1, c11);
      ak = v128.load_splat<T>(p, 2 * sizeof<T>());
      c20 = multiplyAdd<T>(ak, b0, c20);
      c21 = multiplyAdd<T>(ak, b1, c21);
      ak = v128.load_splat<T>(p, 3 * sizeof<T>());
      c30 = multiplyAdd<T>(ak, b0, c30);
      c31 = multiplyAdd<T>(ak, b1, c31);
      ak = v128.load_splat<T>(p, 4 * sizeof<T>());
      c40 = multiplyAdd<T>(ak, b0, c40);
      c41 = multiplyAdd<T>(ak, b1, c41);
      ak = v128.load_splat<T>(p, 5 * sizeof<T>());
      c50 = multiplyAdd<T>(ak, b0, c50);
      c51 = multiplyAdd<T>(ak, b1, c51);
      p += aStep;
      b += bStep;
      if (p == end) break;
      b0 = v128.load(b);
      b1 = v128.load(b, 16);
      ak = v128.load_splat<T>(p);
      c00 = multiplyAdd<T>(ak, b0, c00);
      c01 = multiplyAdd<T>(ak, b1, c01);
      ak = v128.load_splat<T>(p, sizeof<T>());
      c10 = multiplyAdd<T>(ak, b0, c10);
      c11 = multiplyAdd<T>(ak, b1, c11);
      ak = v128.load_splat<T>(p, 2 * sizeof<T>());
      c20 = multiplyAdd<T>(ak, b0, c20);
      c21 = multiplyAdd<T>(ak, b1, c21);
      ak = v128.load_splat<T>(p, 3 * sizeof<T>());
      c30 = multiplyAdd<T>(ak, b0, c30);
      c31 = multiplyAdd<T>(ak, b1, c31);
      ak = v128.load_splat<T>(p, 4 * sizeof<T>());
      c40 = multiplyAdd<T>(ak, b0, c40);
      c41 = multiplyAdd<T>(ak, b1, c41);
      ak = v128.load_splat<T>(p, 5 * sizeof<T>());
      c50 = multiplyAdd<T>(ak, b0, c50);
      c51 = multiplyAdd<T>(ak, b1, c51);
      p += aStep;
      b += bStep;
    }
    storeTile<T>(c, ldc, addend, ldAddend, c00, c01, c10, c11, c20, c21, c30, c31, floor);
    c += 4 * step;
    if (addend != 0) addend += 4 * addendStep;
    storeRow<T>(c, addend, c40, c41, floor);
    c += step;
    if (addend != 0) addend += addendStep;
    storeRow<T>(c, addend, c50, c51, floor);
    c += step;
    if (addend != 0) addend += addendStep;
    a += aNext;
  }
}
