// C = max(A · B + a row, a floor), blocked for the caches as in Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", ACM TOMS 34 (2008). Each operand is packed, so that the
// microkernel reads it in order, where it is used often enough to pay for the copy, and read
// where it lies otherwise. docs/gemm.md tells the whole story.
//
// The order of every sum depends on the shapes alone: KC products at a time from zero, each
// block's sum added to what is there. The blocking of M and N, and what is packed, change no bit.

import { LANES } from "../simd";
import { gemm_4x1v_simd128 } from "./gemm_4x1v_simd128";
import { gemm_4x2v_rows_simd128 } from "./gemm_4x2v_rows_simd128";
import { gemm_4x2v_simd128 } from "./gemm_4x2v_simd128";
import { ger } from "./ger";
import { finish, gemv, gemvRows } from "./gemv";
import { gemv_1x8v_simd128 } from "./gemv_1x8v_simd128";
import { pack } from "./pack";
import { KC, MR, NR, PW } from "./tile";

// A block of A, MC × KC, stays in L2; a panel of B, KC × NR, in L1; the block of B, KC × NC, in L3.
// @ts-ignore: decorator
@inline
const MC: usize = 128;
// @ts-ignore: decorator
@inline
const NC: usize = 1024;

/** Up to so many columns of C a row-major A is read where it lies: each element is used N / NR times. */
// @ts-ignore: decorator
@inline
const N_UNPACKED: usize = 32;
/** Up to so many rows of C a row-major B is read where it lies: each element is used M / MR times. */
// @ts-ignore: decorator
@inline
const M_UNPACKED: usize = 16;
/** Up to so many columns of C the product with a transposed A is turned. */
// @ts-ignore: decorator
@inline
const N_TURNED: usize = 12;

// @ts-ignore: decorator
@inline
function roundUp(n: usize, multiple: usize): usize {
  return ((n + multiple - 1) / multiple) * multiple;
}

/** Elements of a panel of B that are kept: of all panels of a block, or of one that all rows of C use at once. */
// @ts-ignore: decorator
@inline
function packedColumns<T>(M: usize, N: usize): usize {
  return M > MC ? min(roundUp(N, NR<T>()), NC) : NR<T>();
}

/** Whether a product is computed as Cᵀ = Bᵀ · Aᵀ: few columns of C, and a transposed A that is row-major then. */
// @ts-ignore: decorator
@inline
function isTurned(M: usize, N: usize, csa: usize): bool {
  return csa != 1 && N <= N_TURNED && N < M;
}

/** Elements of workspace for a product that is computed as it is. */
function workElements<T>(M: usize, N: usize, K: usize): usize {
  const kc = min(K, KC());
  const a = min(roundUp(M, MR()), MC) * kc;
  const b = packedColumns<T>(M, N) * kc;
  const edge = MR() * NR<T>();
  return max(a + b + edge, M < 3 ? M * N : 0);
}

/** Bytes of workspace that gemm needs for these sizes. */
export function gemmWorkBytes<T>(M: usize, N: usize, K: usize, csa: usize): usize {
  const elements = isTurned(M, N, csa) ? M * N + workElements<T>(N, M, K) : workElements<T>(M, N, K);
  return elements * sizeof<T>();
}

/**
 * c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor), row left out where its address is 0. A floor of 0
 * is ReLU, one of −∞ changes nothing; NaN stays. c is never −0.
 *
 * Element (i, k) of a lies at a + i · rsa + k · csa, and likewise for b: strides in elements, one of
 * each pair is 1, and exchanging them reads the operand transposed. c is row-major and
 * overlaps nothing; K = 0 gives the row, or zeros. Row and floor go with a row-major a (csa = 1) alone.
 */
export function gemm<T>(
  c: usize,
  a: usize,
  rsa: usize,
  csa: usize,
  b: usize,
  rsb: usize,
  csb: usize,
  row: usize,
  floor: T,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  if (K == 1) {
    ger<T>(c, a, rsa, b, row, floor, M, N);
  } else if (isTurned(M, N, csa)) {
    assert(row == 0 && floor == <T>-Infinity);
    const turned = work;
    const rest = work + M * N * sizeof<T>();
    gemm<T>(turned, b, csb, rsb, a, csa, rsa, 0, floor, rest, N, M, K);
    transpose<T>(c, turned, M, N);
  } else if (M < 3 && csb == 1) {
    gemv<T>(c, a, rsa, csa, b, rsb, row, floor, work, M, N, K);
  } else if (M == 1) {
    gemvRows<T>(c, b, csb, a, row, 1, floor, work, N, K);
  } else if (N == 1 && csa == 1) {
    gemvRows<T>(c, a, rsa, b, row, 0, floor, work, M, K);
  } else {
    gemmBlocked<T>(c, a, rsa, csa, b, rsb, csb, false, row, floor, work, M, N, K);
  }
}

/** c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor), as gemm for a dense a and a b in the panels of packPanels. */
export function gemmPanels<T>(
  c: usize,
  a: usize,
  b: usize,
  row: usize,
  floor: T,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  if (M > 3) {
    gemmBlocked<T>(c, a, K, 1, b, 0, 1, true, row, floor, work, M, N, K);
    return;
  }
  // A panel's block of K stays in L1 while the rows go by.
  const size = sizeof<T>();
  for (let j: usize = 0; j < N; j += PW<T>()) {
    const width = min(N - j, PW<T>());
    let pc: usize = 0;
    do {
      const kc = min(K - pc, KC());
      const least = pc + kc == K ? floor : <T>-Infinity;
      for (let i: usize = 0; i < M; i++) {
        const to = c + (i * N + j) * size;
        const from = a + (i * K + pc) * size;
        const addend = pc != 0 ? to : row == 0 ? <usize>0 : row + j * size;
        if (width == PW<T>()) {
          gemv_1x8v_simd128<T>(work, from, b, kc);
          finish<T>(to, work, addend, 1, least, width);
        } else {
          gemv<T>(to, from, K, 1, b, width, addend, least, work, 1, width, kc);
        }
      }
      b += kc * width * size;
      pc += KC();
    } while (pc < K);
  }
}

/** As gemm, or gemmPanels, by tiles. */
function gemmBlocked<T>(
  c: usize,
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
  const kcMost = min(K, KC());
  const packedA = work;
  const packedB = packedA + min(roundUp(M, MR()), MC) * kcMost * size;
  const edge = packedB + packedColumns<T>(M, N) * kcMost * size;
  // A whole panel can be read in place where its steps are of one piece; A's, row by row as well.
  const packsA = N > N_UNPACKED || (rsa != 1 && csa != 1);
  const packsB = csb != 1 || M > M_UNPACKED;

  for (let jc: usize = 0; jc < N; jc += NC) {
    const nc = min(N - jc, NC);
    let pc: usize = 0;
    do {
      const kc = min(K - pc, KC());
      const least = pc + kc == K ? floor : <T>-Infinity;
      for (let ic: usize = 0; ic < M; ic += MC) {
        const mc = min(M - ic, MC);
        const blockA = a + (ic * rsa + pc * csa) * size;
        for (let ir: usize = 0; ir < mc; ir += MR()) {
          const rows = min(mc - ir, MR());
          if (packsA || (rsa == 1 && rows < MR())) {
            pack<T>(packedA + ir * kc * size, blockA + ir * rsa * size, rsa, csa, rows, MR(), kc);
          }
        }
        for (let jr: usize = 0; jr < nc; jr += NR<T>()) {
          const columns = min(nc - jr, NR<T>());
          const width = columns > LANES<T>() ? NR<T>() : LANES<T>();
          const column = jc + jr;
          let panelB = b + (pc * rsb + column * csb) * size;
          let bStep = rsb * size;
          if (inPanels) {
            const first = column & ~(PW<T>() - 1);
            const ldb = min(N - first, PW<T>());
            panelB = b + (first * K + pc * ldb + column - first) * size;
            bStep = ldb * size;
          }
          if (packsB || columns < width) {
            const packed = packedB + (M > MC ? jr * kc * size : 0);
            if (ic == 0) pack<T>(packed, panelB, csb, inPanels ? bStep / size : rsb, columns, width, kc);
            panelB = packed;
            bStep = width * size;
          }
          // The first block of K starts from the row, if there is one; the others from what is there.
          const top = c + (ic * N + column) * size;
          let addend = top;
          let ldAddend = N;
          if (pc == 0) {
            addend = row == 0 ? 0 : row + column * size;
            ldAddend = 0;
          }
          let ir: usize = 0;
          if (columns == NR<T>() && (packsA || rsa == 1)) {
            // Whole tiles whose rows lie side by side go in one call.
            const tiles = mc / MR();
            const panelA = packsA ? packedA : blockA;
            const aStep = (packsA ? MR() : csa) * size;
            const aNext = MR() * (packsA ? kc : 1) * size;
            gemm_4x2v_simd128<T>(
              top,
              N,
              panelA,
              aStep,
              aNext,
              tiles,
              panelB,
              bStep,
              kc,
              addend,
              ldAddend,
              least,
            );
            ir = tiles * MR();
          }
          for (; ir < mc; ir += MR()) {
            const rows = min(mc - ir, MR());
            const tile = top + ir * N * size;
            const tileAddend = addend == 0 ? <usize>0 : addend + ir * ldAddend * size;
            // A's four rows: packed side by side, or where they lie.
            const inPlace = !packsA && (rsa != 1 || rows == MR());
            const panelA = inPlace ? blockA + ir * rsa * size : packedA + ir * kc * size;
            const aRow = (inPlace ? rsa : 1) * size;
            const aStep = (inPlace ? csa : MR()) * size;
            if (rows == MR() && columns == NR<T>()) {
              gemm_4x2v_rows_simd128<T>(
                tile,
                N,
                panelA,
                aRow,
                rows,
                panelB,
                bStep,
                kc,
                tileAddend,
                ldAddend,
                least,
              );
              continue;
            }
            // An edge tile's sums are computed whole beside c.
            if (width == LANES<T>()) {
              const given = inPlace ? rows : MR();
              gemm_4x1v_simd128<T>(edge, panelA, aRow, aStep, given, panelB, bStep, kc);
            } else if (aRow == size) {
              const none = <T>-Infinity;
              gemm_4x2v_simd128<T>(edge, width, panelA, aStep, 0, 1, panelB, bStep, kc, 0, 0, none);
            } else {
              const none = <T>-Infinity;
              gemm_4x2v_rows_simd128<T>(edge, width, panelA, aRow, rows, panelB, bStep, kc, 0, 0, none);
            }
            finishTile<T>(tile, N, edge, width, tileAddend, ldAddend, least, rows, columns);
          }
        }
      }
      pc += KC();
    } while (pc < K);
  }
}

/** c (M, N) = the transpose of turned (N, M), for a small N. */
function transpose<T>(c: usize, turned: usize, M: usize, N: usize): void {
  const column = M * sizeof<T>();
  const end = turned + column;
  for (; turned != end; turned += sizeof<T>()) {
    let from = turned;
    for (let j: usize = 0; j < N; j++) {
      store<T>(c, load<T>(from));
      c += sizeof<T>();
      from += column;
    }
  }
}

/** c (rows, columns) = max(sums + addend, floor), which keeps a NaN; the addend is left out where its address is 0. */
function finishTile<T>(
  c: usize,
  ldc: usize,
  sums: usize,
  ldSums: usize,
  addend: usize,
  ldAddend: usize,
  floor: T,
  rows: usize,
  columns: usize,
): void {
  const size = sizeof<T>();
  for (let i: usize = 0; i < rows; i++) {
    for (let j: usize = 0; j < columns * size; j += size) {
      let sum = load<T>(sums + j);
      if (addend != 0) sum += load<T>(addend + j);
      store<T>(c + j, sum < floor ? floor : sum);
    }
    c += ldc * size;
    sums += ldSums * size;
    if (addend != 0) addend += ldAddend * size;
  }
}
