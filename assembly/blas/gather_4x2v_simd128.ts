// The microkernel of convolution: gemm_4x2v_rows_simd128 for rows that may lie anywhere, whose
// elements lie in several pieces.

import { multiplyAdd } from "../simd";

/**
 * Tiles of four rows: c (4 · tiles, NR) = min(max(Σₖ a[:, k] · b[k] (NR,) + addend, floor),
 * ceiling), and a NaN stays. Each entry of a table is two addresses: a row of a begins at the
 * first one of its entry in `a`, to which `first` is added, and its row of c at the second one of
 * its entry in `c`, to which `column` is. A row's elements lie in pieces: the table from `pieces` to `piecesEnd`
 * has where each begins, in bytes behind the row and behind b, whose steps lie in one piece each. A
 * piece has pieceBytes, and at least one element. The addend is `row` (NR,), nothing if that is 0,
 * or what c holds if `again` is set. A row that stands in the tables more than once is written more
 * than once.
 */
export function gather_4x2v_simd128<T extends number>(
  c: usize,
  column: usize,
  a: usize,
  first: usize,
  tiles: usize,
  b: usize,
  pieces: usize,
  piecesEnd: usize,
  pieceBytes: usize,
  row: usize,
  again: bool,
  floor: T,
  ceiling: T,
): void {
  const size = sizeof<T>();
  let c00: v128;
  let c01: v128;
  let c10: v128;
  let c11: v128;
  let c20: v128;
  let c21: v128;
  let c30: v128;
  let c31: v128;
  let b0: v128, b1: v128, ak: v128;
  for (; tiles > 0; tiles--) {
    c00 = v128.splat<T>(<T>0);
    c01 = v128.splat<T>(<T>0);
    c10 = v128.splat<T>(<T>0);
    c11 = v128.splat<T>(<T>0);
    c20 = v128.splat<T>(<T>0);
    c21 = v128.splat<T>(<T>0);
    c30 = v128.splat<T>(<T>0);
    c31 = v128.splat<T>(<T>0);
    for (let piece = pieces; piece != piecesEnd; piece += 8) {
      const from = first + load<usize>(piece);
      let p = b + load<usize>(piece, 4);
      let r0 = from + load<usize>(a);
      let r1 = from + load<usize>(a, 8);
      let r2 = from + load<usize>(a, 16);
      let r3 = from + load<usize>(a, 24);
      const end = r0 + pieceBytes;
      // The loop has four steps with an exit after each, as in gemm_4x2v_simd128.
      while (r0 != end) {
        b0 = v128.load(p);
        b1 = v128.load(p, 16);
        ak = v128.load_splat<T>(r0);
        c00 = multiplyAdd<T>(ak, b0, c00);
        c01 = multiplyAdd<T>(ak, b1, c01);
        ak = v128.load_splat<T>(r1);
        c10 = multiplyAdd<T>(ak, b0, c10);
        c11 = multiplyAdd<T>(ak, b1, c11);
        ak = v128.load_splat<T>(r2);
        c20 = multiplyAdd<T>(ak, b0, c20);
        c21 = multiplyAdd<T>(ak, b1, c21);
        ak = v128.load_splat<T>(r3);
        c30 = multiplyAdd<T>(ak, b0, c30);
        c31 = multiplyAdd<T>(ak, b1, c31);
        if (r0 + size == end) break;
        b0 = v128.load(p, 32);
        b1 = v128.load(p, 48);
        ak = v128.load_splat<T>(r0, size);
        c00 = multiplyAdd<T>(ak, b0, c00);
        c01 = multiplyAdd<T>(ak, b1, c01);
        ak = v128.load_splat<T>(r1, size);
        c10 = multiplyAdd<T>(ak, b0, c10);
        c11 = multiplyAdd<T>(ak, b1, c11);
        ak = v128.load_splat<T>(r2, size);
        c20 = multiplyAdd<T>(ak, b0, c20);
        c21 = multiplyAdd<T>(ak, b1, c21);
        ak = v128.load_splat<T>(r3, size);
        c30 = multiplyAdd<T>(ak, b0, c30);
        c31 = multiplyAdd<T>(ak, b1, c31);
        if (r0 + 2 * size == end) break;
        b0 = v128.load(p, 64);
        b1 = v128.load(p, 80);
        ak = v128.load_splat<T>(r0, 2 * size);
        c00 = multiplyAdd<T>(ak, b0, c00);
        c01 = multiplyAdd<T>(ak, b1, c01);
        ak = v128.load_splat<T>(r1, 2 * size);
        c10 = multiplyAdd<T>(ak, b0, c10);
        c11 = multiplyAdd<T>(ak, b1, c11);
        ak = v128.load_splat<T>(r2, 2 * size);
        c20 = multiplyAdd<T>(ak, b0, c20);
        c21 = multiplyAdd<T>(ak, b1, c21);
        ak = v128.load_splat<T>(r3, 2 * size);
        c30 = multiplyAdd<T>(ak, b0, c30);
        c31 = multiplyAdd<T>(ak, b1, c31);
        if (r0 + 3 * size == end) break;
        b0 = v128.load(p, 96);
        b1 = v128.load(p, 112);
        ak = v128.load_splat<T>(r0, 3 * size);
        c00 = multiplyAdd<T>(ak, b0, c00);
        c01 = multiplyAdd<T>(ak, b1, c01);
        ak = v128.load_splat<T>(r1, 3 * size);
        c10 = multiplyAdd<T>(ak, b0, c10);
        c11 = multiplyAdd<T>(ak, b1, c11);
        ak = v128.load_splat<T>(r2, 3 * size);
        c20 = multiplyAdd<T>(ak, b0, c20);
        c21 = multiplyAdd<T>(ak, b1, c21);
        ak = v128.load_splat<T>(r3, 3 * size);
        c30 = multiplyAdd<T>(ak, b0, c30);
        c31 = multiplyAdd<T>(ak, b1, c31);
        p += 128;
        r0 += 4 * size;
        r1 += 4 * size;
        r2 += 4 * size;
        r3 += 4 * size;
      }
    }
    const to0 = load<usize>(c, 4) + column;
    const to1 = load<usize>(c, 12) + column;
    const to2 = load<usize>(c, 20) + column;
    const to3 = load<usize>(c, 28) + column;
    if (again || row != 0) {
      c00 = v128.add<T>(c00, v128.load(again ? to0 : row));
      c01 = v128.add<T>(c01, v128.load(again ? to0 : row, 16));
      c10 = v128.add<T>(c10, v128.load(again ? to1 : row));
      c11 = v128.add<T>(c11, v128.load(again ? to1 : row, 16));
      c20 = v128.add<T>(c20, v128.load(again ? to2 : row));
      c21 = v128.add<T>(c21, v128.load(again ? to2 : row, 16));
      c30 = v128.add<T>(c30, v128.load(again ? to3 : row));
      c31 = v128.add<T>(c31, v128.load(again ? to3 : row, 16));
    }
    storeBounded<T>(to0, c00, c01, floor, ceiling);
    storeBounded<T>(to1, c10, c11, floor, ceiling);
    storeBounded<T>(to2, c20, c21, floor, ceiling);
    storeBounded<T>(to3, c30, c31, floor, ceiling);
    a += 32;
    c += 32;
  }
}

/** c (NR,) = min(max(s, floor), ceiling) of two vectors; a NaN stays. @inline */
function storeBounded<T extends number>(c: usize, s0: v128, s1: v128, floor: T, ceiling: T): void {
  const least = v128.splat<T>(floor);
  const most = v128.splat<T>(ceiling);
  v128.store(c, v128.pmin<T>(v128.pmax<T>(s0, least), most));
  v128.store(c, v128.pmin<T>(v128.pmax<T>(s1, least), most), 16);
}
