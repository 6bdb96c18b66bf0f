// The microkernel for the last columns of c, where no more than one vector of them is left.

import { multiplyAdd } from "../simd";

/**
 * c (4, LANES) = Σₖ a[:, k] · b[k] (LANES,) + addend, floored (see storeTile). Element (i, k) of a is at
 * a + i · aRow + k · aStep, for i < rows; the rows of c beyond them repeat the last. b[k] is at b + k · bStep;
 * steps in bytes.
 */
export function gemm_4x1v_simd128<T>(
  c: usize,
  ldc: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  rows: usize,
  b: usize,
  bStep: usize,
  K: usize,
  addend: usize,
  ldAddend: usize,
  floor: T,
): void {
  let c0 = v128.splat<T>(0);
  let c1 = v128.splat<T>(0);
  let c2 = v128.splat<T>(0);
  let c3 = v128.splat<T>(0);
  const r0 = a;
  const r1 = r0 + (rows > 1 ? aRow : 0);
  const r2 = r1 + (rows > 2 ? aRow : 0);
  const r3 = r2 + (rows > 3 ? aRow : 0);
  let b0: v128, ak: v128;
  let k: usize = 0;
  const end = K * aStep;
  // Four steps with a way out each, as in gemm_4x2v_simd128.
  while (k != end) {
    b0 = v128.load(b);
    ak = v128.load_splat<T>(r0 + k);
    c0 = multiplyAdd<T>(ak, b0, c0);
    ak = v128.load_splat<T>(r1 + k);
    c1 = multiplyAdd<T>(ak, b0, c1);
    ak = v128.load_splat<T>(r2 + k);
    c2 = multiplyAdd<T>(ak, b0, c2);
    ak = v128.load_splat<T>(r3 + k);
    c3 = multiplyAdd<T>(ak, b0, c3);
    k += aStep;
    b += bStep;
    if (k == end) break;
    b0 = v128.load(b);
    ak = v128.load_splat<T>(r0 + k);
    c0 = multiplyAdd<T>(ak, b0, c0);
    ak = v128.load_splat<T>(r1 + k);
    c1 = multiplyAdd<T>(ak, b0, c1);
    ak = v128.load_splat<T>(r2 + k);
    c2 = multiplyAdd<T>(ak, b0, c2);
    ak = v128.load_splat<T>(r3 + k);
    c3 = multiplyAdd<T>(ak, b0, c3);
    k += aStep;
    b += bStep;
    if (k == end) break;
    b0 = v128.load(b);
    ak = v128.load_splat<T>(r0 + k);
    c0 = multiplyAdd<T>(ak, b0, c0);
    ak = v128.load_splat<T>(r1 + k);
    c1 = multiplyAdd<T>(ak, b0, c1);
    ak = v128.load_splat<T>(r2 + k);
    c2 = multiplyAdd<T>(ak, b0, c2);
    ak = v128.load_splat<T>(r3 + k);
    c3 = multiplyAdd<T>(ak, b0, c3);
    k += aStep;
    b += bStep;
    if (k == end) break;
    b0 = v128.load(b);
    ak = v128.load_splat<T>(r0 + k);
    c0 = multiplyAdd<T>(ak, b0, c0);
    ak = v128.load_splat<T>(r1 + k);
    c1 = multiplyAdd<T>(ak, b0, c1);
    ak = v128.load_splat<T>(r2 + k);
    c2 = multiplyAdd<T>(ak, b0, c2);
    ak = v128.load_splat<T>(r3 + k);
    c3 = multiplyAdd<T>(ak, b0, c3);
    k += aStep;
    b += bStep;
  }
  // The addend may be c itself, or its first row all four: it is read before anything is written.
  if (addend != 0) {
    const step = ldAddend * sizeof<T>();
    c0 = v128.add<T>(c0, v128.load(addend));
    c1 = v128.add<T>(c1, v128.load(addend + step));
    c2 = v128.add<T>(c2, v128.load(addend + 2 * step));
    c3 = v128.add<T>(c3, v128.load(addend + 3 * step));
  }
  const step = ldc * sizeof<T>();
  const least = v128.splat<T>(floor);
  v128.store(c, v128.pmax<T>(c0, least));
  v128.store(c + step, v128.pmax<T>(c1, least));
  v128.store(c + 2 * step, v128.pmax<T>(c2, least));
  v128.store(c + 3 * step, v128.pmax<T>(c3, least));
}
