// The microkernel of a filter's gradient: gemm_4x2v_simd128 for an a whose steps may lie anywhere.

import { multiplyAdd } from "../simd";

/**
 * sums (4, NR) = Σₑ a[e] (4,) · b[e] (NR,) over the entries from `entries` to `end`, of two
 * addresses each: a[e] is at the first one, to which `first` is added. b is packed.
 */
export function gather_transposed_4x2v_simd128<T extends number>(
  sums: usize,
  entries: usize,
  end: usize,
  first: usize,
  b: usize,
): void {
  const size = sizeof<T>();
  let c00 = v128.splat<T>(<T>0);
  let c01 = v128.splat<T>(<T>0);
  let c10 = v128.splat<T>(<T>0);
  let c11 = v128.splat<T>(<T>0);
  let c20 = v128.splat<T>(<T>0);
  let c21 = v128.splat<T>(<T>0);
  let c30 = v128.splat<T>(<T>0);
  let c31 = v128.splat<T>(<T>0);
  let b0: v128, b1: v128, ak: v128;
  let a: usize;
  // The loop has four steps with an exit after each, as in gemm_4x2v_simd128.
  while (entries != end) {
    a = load<usize>(entries) + first;
    b0 = v128.load(b);
    b1 = v128.load(b, 16);
    ak = v128.load_splat<T>(a);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(a, size);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(a, 2 * size);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(a, 3 * size);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    if (entries + 8 == end) break;
    a = load<usize>(entries, 8) + first;
    b0 = v128.load(b, 32);
    b1 = v128.load(b, 48);
    ak = v128.load_splat<T>(a);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(a, size);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(a, 2 * size);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(a, 3 * size);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    if (entries + 16 == end) break;
    a = load<usize>(entries, 16) + first;
    b0 = v128.load(b, 64);
    b1 = v128.load(b, 80);
    ak = v128.load_splat<T>(a);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(a, size);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(a, 2 * size);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(a, 3 * size);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    if (entries + 24 == end) break;
    a = load<usize>(entries, 24) + first;
    b0 = v128.load(b, 96);
    b1 = v128.load(b, 112);
    ak = v128.load_splat<T>(a);
    c00 = multiplyAdd<T>(ak, b0, c00);
    c01 = multiplyAdd<T>(ak, b1, c01);
    ak = v128.load_splat<T>(a, size);
    c10 = multiplyAdd<T>(ak, b0, c10);
    c11 = multiplyAdd<T>(ak, b1, c11);
    ak = v128.load_splat<T>(a, 2 * size);
    c20 = multiplyAdd<T>(ak, b0, c20);
    c21 = multiplyAdd<T>(ak, b1, c21);
    ak = v128.load_splat<T>(a, 3 * size);
    c30 = multiplyAdd<T>(ak, b0, c30);
    c31 = multiplyAdd<T>(ak, b1, c31);
    entries += 32;
    b += 128;
  }
  v128.store(sums, c00);
  v128.store(sums, c01, 16);
  v128.store(sums, c10, 32);
  v128.store(sums, c11, 48);
  v128.store(sums, c20, 64);
  v128.store(sums, c21, 80);
  v128.store(sums, c30, 96);
  v128.store(sums, c31, 112);
}
