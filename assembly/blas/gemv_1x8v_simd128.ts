// The microkernel for one row times a panel of eight vectors: it reads the panel as fast as it
// comes.

import { multiplyAdd } from "../simd";

/**
 * sums (PW,) = Σₖ a[k] · b[k] (PW,), a (K,) and b (K, PW) in one piece each. Only that: Node 20
 * spills all eight sums in every step if anything is added to them after the loop, and is slower by
 * a third.
 */
export function gemv_1x8v_simd128<T extends number>(
  sums: usize,
  a: usize,
  b: usize,
  K: usize,
): void {
  let c0 = v128.splat<T>(<T>0);
  let c1 = v128.splat<T>(<T>0);
  let c2 = v128.splat<T>(<T>0);
  let c3 = v128.splat<T>(<T>0);
  let c4 = v128.splat<T>(<T>0);
  let c5 = v128.splat<T>(<T>0);
  let c6 = v128.splat<T>(<T>0);
  let c7 = v128.splat<T>(<T>0);
  let ak: v128;
  const odd = a + (K & 3) * sizeof<T>();
  const end = a + K * sizeof<T>();
  while (a != odd) {
    ak = v128.load_splat<T>(a);
    c0 = multiplyAdd<T>(ak, v128.load(b), c0);
    c1 = multiplyAdd<T>(ak, v128.load(b, 16), c1);
    c2 = multiplyAdd<T>(ak, v128.load(b, 32), c2);
    c3 = multiplyAdd<T>(ak, v128.load(b, 48), c3);
    c4 = multiplyAdd<T>(ak, v128.load(b, 64), c4);
    c5 = multiplyAdd<T>(ak, v128.load(b, 80), c5);
    c6 = multiplyAdd<T>(ak, v128.load(b, 96), c6);
    c7 = multiplyAdd<T>(ak, v128.load(b, 112), c7);
    a += sizeof<T>();
    b += 128;
  }
  // Four steps are done at once. V8 moves their loads together, and a row, unlike a tile, has
  // registers left for them.
  while (a != end) {
    ak = v128.load_splat<T>(a);
    c0 = multiplyAdd<T>(ak, v128.load(b), c0);
    c1 = multiplyAdd<T>(ak, v128.load(b, 16), c1);
    c2 = multiplyAdd<T>(ak, v128.load(b, 32), c2);
    c3 = multiplyAdd<T>(ak, v128.load(b, 48), c3);
    c4 = multiplyAdd<T>(ak, v128.load(b, 64), c4);
    c5 = multiplyAdd<T>(ak, v128.load(b, 80), c5);
    c6 = multiplyAdd<T>(ak, v128.load(b, 96), c6);
    c7 = multiplyAdd<T>(ak, v128.load(b, 112), c7);
    ak = v128.load_splat<T>(a, sizeof<T>());
    c0 = multiplyAdd<T>(ak, v128.load(b, 128), c0);
    c1 = multiplyAdd<T>(ak, v128.load(b, 144), c1);
    c2 = multiplyAdd<T>(ak, v128.load(b, 160), c2);
    c3 = multiplyAdd<T>(ak, v128.load(b, 176), c3);
    c4 = multiplyAdd<T>(ak, v128.load(b, 192), c4);
    c5 = multiplyAdd<T>(ak, v128.load(b, 208), c5);
    c6 = multiplyAdd<T>(ak, v128.load(b, 224), c6);
    c7 = multiplyAdd<T>(ak, v128.load(b, 240), c7);
    ak = v128.load_splat<T>(a, 2 * sizeof<T>());
    c0 = multiplyAdd<T>(ak, v128.load(b, 256), c0);
    c1 = multiplyAdd<T>(ak, v128.load(b, 272), c1);
    c2 = multiplyAdd<T>(ak, v128.load(b, 288), c2);
    c3 = multiplyAdd<T>(ak, v128.load(b, 304), c3);
    c4 = multiplyAdd<T>(ak, v128.load(b, 320), c4);
    c5 = multiplyAdd<T>(ak, v128.load(b, 336), c5);
    c6 = multiplyAdd<T>(ak, v128.load(b, 352), c6);
    c7 = multiplyAdd<T>(ak, v128.load(b, 368), c7);
    ak = v128.load_splat<T>(a, 3 * sizeof<T>());
    c0 = multiplyAdd<T>(ak, v128.load(b, 384), c0);
    c1 = multiplyAdd<T>(ak, v128.load(b, 400), c1);
    c2 = multiplyAdd<T>(ak, v128.load(b, 416), c2);
    c3 = multiplyAdd<T>(ak, v128.load(b, 432), c3);
    c4 = multiplyAdd<T>(ak, v128.load(b, 448), c4);
    c5 = multiplyAdd<T>(ak, v128.load(b, 464), c5);
    c6 = multiplyAdd<T>(ak, v128.load(b, 480), c6);
    c7 = multiplyAdd<T>(ak, v128.load(b, 496), c7);
    a += 4 * sizeof<T>();
    b += 512;
  }
  v128.store(sums, c0);
  v128.store(sums, c1, 16);
  v128.store(sums, c2, 32);
  v128.store(sums, c3, 48);
  v128.store(sums, c4, 64);
  v128.store(sums, c5, 80);
  v128.store(sums, c6, 96);
  v128.store(sums, c7, 112);
}
