// A product whose sums are so long that float32 would lose digits: thousands of roundings, which
// for equal terms all go the same way (Higham, "The accuracy of floating point summation", SIAM J.
// Sci. Comput. 14 (1993)). A part of C at a time is summed over chunks of K, each a product of its
// own, which are added up in float64; what was added is rounded once.

import { blockedElements, finishTile, gemmBlocked } from "./gemm_blocked";
import { gemv } from "./gemv";
import { PW, roundUp } from "./tile";

/** A float32 sum has at most this many terms if it is taken in blocks of KC. @inline */
const LONG: usize = 16384;
/** A chunk has this many terms: if they are equal, their sum loses at most 1e-6. @inline */
const CHUNK: usize = 64;
/** A part of C has this many rows and columns, so that its sums stay in L2. @inline */
const PART_ROWS: usize = 128;
/** @inline */
const PART_COLUMNS: usize = 256;

/** Returns whether a sum of K products is a long one; in float64 none is. @inline */
export function isLong<T extends number>(K: usize): bool {
  return sizeof<T>() == 4 && K > LONG;
}

/** Returns how many elements of workspace gemmLong needs. */
export function longWorkElements<T extends number>(M: usize, N: usize): usize {
  M = min(M, PART_ROWS);
  N = min(N, PART_COLUMNS);
  return 3 * roundUp(M * N, 4) + blockedElements<T>(M, N, CHUNK);
}

/** Computes what gemmBlocked does, for long sums. */
export function gemmLong<T extends number>(
  c: usize,
  ldc: usize,
  a: usize,
  rsa: usize,
  csa: usize,
  b: usize,
  rsb: usize,
  csb: usize,
  inPanels: bool,
  row: usize,
  floor: T,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  const size = sizeof<T>();
  const columns = inPanels ? PW<T>() : PART_COLUMNS;
  for (let j: usize = 0; j < N; j += columns) {
    const n = min(N - j, columns);
    if (inPanels) rsb = n;
    const partB = b + j * (inPanels ? K : csb) * size;
    const addend = row == 0 ? <usize>0 : row + j * size;
    for (let i: usize = 0; i < M; i += PART_ROWS) {
      const m = min(M - i, PART_ROWS);
      const sums = work + m * n * size;
      const rest = sums + roundUp(m * n, 4) * 8;
      memory.fill(sums, 0, rest - sums);
      for (let k: usize = 0; k < K; k += CHUNK) {
        const partA = a + (i * rsa + k * csa) * size;
        const kc = min(K - k, CHUNK);
        const from = partB + k * rsb * size;
        const none = <T>-Infinity;
        if (m < 3 && csb == 1) {
          gemv<T>(work, partA, rsa, csa, from, rsb, 0, none, rest, m, n, kc);
        } else {
          gemmBlocked<T>(work, n, partA, rsa, csa, from, rsb, csb, false, 0, none, rest, m, n, kc);
        }
        addChunk(sums, rest, work);
      }
      finishTile<T, f64>(c + (i * ldc + j) * size, ldc, sums, n, addend, 0, floor, m, n);
    }
  }
}

/** Adds float32 numbers to the float64 from `sums` to `end`, whose number is a multiple of four. */
function addChunk(sums: usize, end: usize, chunk: usize): void {
  while (sums != end) {
    const low = f64x2.promote_low_f32x4(v128.load64_zero(chunk));
    const high = f64x2.promote_low_f32x4(v128.load64_zero(chunk, 8));
    v128.store(sums, f64x2.add(v128.load(sums), low));
    v128.store(sums, f64x2.add(v128.load(sums, 16), high), 16);
    sums += 32;
    chunk += 16;
  }
}
