// The microkernel for the last columns of c, where no more than one vector of them is left.

import { multiplyAdd } from "../simd";

/**
 * sums (4, LANES) = Σₖ a[:, k] · b[k] (LANES,). Element (i, k) of a is at a + i · aRow + k · aStep,
 * for i < rows; the rows of sums beyond them repeat the last. b[k] is at b + k · bStep; steps in
 * bytes.
 */
export function gemm_4x1v_simd128<T extends number>(
  sums: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  rows: usize,
  b: usize,
  bStep: usize,
  K: usize,
): void {
  let c0 = v128.splat<T>(<T>0);
  let c1 = v128.splat<T>(<T>0);
  let c2 = v128.splat<T>(<T>0);
  let c3 = v128.splat<T>(<T>0);
  const r0 = a;
  const r1 = r0 + (rows > 1 ? aRow : 0);
  const r2 = r1 + (rows > 2 ? aRow : 0);
  const r3 = r2 + (rows > 3 ? aRow : 0);
  let bk: v128;
  let k: usize = 0;
  const end = K * aStep;
  // The loop has four steps with an exit after each, as in gemm_4x2v_simd128.
  while (k != end) {
    bk = v128.load(b);
    c0 = multiplyAdd<T>(v128.load_splat<T>(r0 + k), bk, c0);
    c1 = multiplyAdd<T>(v128.load_splat<T>(r1 + k), bk, c1);
    c2 = multiplyAdd<T>(v128.load_splat<T>(r2 + k), bk, c2);
    c3 = multiplyAdd<T>(v128.load_splat<T>(r3 + k), bk, c3);
    k += aStep;
    b += bStep;
    if (k == end) break;
    bk = v128.load(b);
    c0 = multiplyAdd<T>(v128.load_splat<T>(r0 + k), bk, c0);
    c1 = multiplyAdd<T>(v128.load_splat<T>(r1 + k), bk, c1);
    c2 = multiplyAdd<T>(v128.load_splat<T>(r2 + k), bk, c2);
    c3 = multiplyAdd<T>(v128.load_splat<T>(r3 + k), bk, c3);
    k += aStep;
    b += bStep;
    if (k == end) break;
    bk = v128.load(b);
    c0 = multiplyAdd<T>(v128.load_splat<T>(r0 + k), bk, c0);
    c1 = multiplyAdd<T>(v128.load_splat<T>(r1 + k), bk, c1);
    c2 = multiplyAdd<T>(v128.load_splat<T>(r2 + k), bk, c2);
    c3 = multiplyAdd<T>(v128.load_splat<T>(r3 + k), bk, c3);
    k += aStep;
    b += bStep;
    if (k == end) break;
    bk = v128.load(b);
    c0 = multiplyAdd<T>(v128.load_splat<T>(r0 + k), bk, c0);
    c1 = multiplyAdd<T>(v128.load_splat<T>(r1 + k), bk, c1);
    c2 = multiplyAdd<T>(v128.load_splat<T>(r2 + k), bk, c2);
    c3 = multiplyAdd<T>(v128.load_splat<T>(r3 + k), bk, c3);
    k += aStep;
    b += bStep;
  }
  v128.store(sums, c0);
  v128.store(sums, c1, 16);
  v128.store(sums, c2, 32);
  v128.store(sums, c3, 48);
}
