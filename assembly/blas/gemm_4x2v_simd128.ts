// The microkernel for an a whose four rows lie side by side in each step: packed, or transposed.

import { multiplyAdd } from "../simd";
import { MR, storeTile } from "./tile";

/**
 * Tiles one below the other: c (4 · tiles, NR) = Σₖ a[k] (4,) · b[k] (NR,) + addend, floored (see
 * storeTile). a[k] is at a + k · aStep, that of the next four rows aNext after it, b[k] at b + k ·
 * bStep, steps in bytes.
 */
export function gemm_4x2v_simd128<T extends number>(
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
  let b0: v128, b1: v128, ak: v128;
  const firstB = b;
  const cNext = MR() * ldc * sizeof<T>();
  const addendNext = MR() * ldAddend * sizeof<T>();
  for (; tiles > 0; tiles--) {
    c00 = v128.splat<T>(<T>0);
    c01 = v128.splat<T>(<T>0);
    c10 = v128.splat<T>(<T>0);
    c11 = v128.splat<T>(<T>0);
    c20 = v128.splat<T>(<T>0);
    c21 = v128.splat<T>(<T>0);
    c30 = v128.splat<T>(<T>0);
    c31 = v128.splat<T>(<T>0);
    let p = a;
    b = firstB;
    const end = a + K * aStep;
    // The step stands four times, with an exit after each: V8 checks for an interrupt once a loop,
    // which in Node 20 would cost time in every step; and it spills registers if no branch is
    // between the steps.
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
      p += aStep;
      b += bStep;
    }
    storeTile<T>(c, ldc, addend, ldAddend, c00, c01, c10, c11, c20, c21, c30, c31, floor);
    c += cNext;
    a += aNext;
    if (addend != 0) addend += addendNext;
  }
}
