// The microkernel for an a that is read where it lies, row-major: no packing, a register more for
// each row. It serves where an element of a is used too few times to pay for a copy.

import { multiplyAdd } from "../simd";
import { storeTile } from "./tile";

/**
 * c (4, NR) = Σₖ a[:, k] · b[k] (NR,) + addend, floored (see storeTile). Row i of a is at a + i ·
 * aRow (bytes), for i < rows; the rows of c beyond them repeat the last. b[k] is at b + k · bStep
 * (bytes).
 */
export function gemm_4x2v_rows_simd128<T extends number>(
  c: usize,
  ldc: usize,
  a: usize,
  aRow: usize,
  rows: usize,
  b: usize,
  bStep: usize,
  K: usize,
  addend: usize,
  ldAddend: usize,
  floor: T,
): void {
  let c00 = v128.splat<T>(<T>0);
  let c01 = v128.splat<T>(<T>0);
  let c10 = v128.splat<T>(<T>0);
  let c11 = v128.splat<T>(<T>0);
  let c20 = v128.splat<T>(<T>0);
  let c21 = v128.splat<T>(<T>0);
  let c30 = v128.splat<T>(<T>0);
  let c31 = v128.splat<T>(<T>0);
  const r0 = a;
  const r1 = r0 + (rows > 1 ? aRow : 0);
  const r2 = r1 + (rows > 2 ? aRow : 0);
  const r3 = r2 + (rows > 3 ? aRow : 0);
  let b0: v128, b1: v128, ak: v128;
  let k: usize = 0;
  const end = K * sizeof<T>();
  // The loop has four steps with an exit after each, as in gemm_4x2v_simd128.
  while (k != end) {
    b0 = v128.load(b);
    b1 = v128.load(b, 16);
    ak = v128.load_splat<T>(r0 + k);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(r1 + k);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(r2 + k);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(r3 + k);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    k += sizeof<T>();
    b += bStep;
    if (k == end) break;
    b0 = v128.load(b);
    b1 = v128.load(b, 16);
    ak = v128.load_splat<T>(r0 + k);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(r1 + k);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(r2 + k);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(r3 + k);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    k += sizeof<T>();
    b += bStep;
    if (k == end) break;
    b0 = v128.load(b);
    b1 = v128.load(b, 16);
    ak = v128.load_splat<T>(r0 + k);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(r1 + k);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(r2 + k);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(r3 + k);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    k += sizeof<T>();
    b += bStep;
    if (k == end) break;
    b0 = v128.load(b);
    b1 = v128.load(b, 16);
    ak = v128.load_splat<T>(r0 + k);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(r1 + k);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(r2 + k);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(r3 + k);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    k += sizeof<T>();
    b += bStep;
  }
  storeTile<T>(c, ldc, addend, ldAddend, c00, c01, c10, c11, c20, c21, c30, c31, floor);
}
