// A product blocked for the caches as in Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", ACM TOMS 34 (2008). Each operand is packed, so that the microkernel reads it in
// order, where it is used often enough to pay for the copy, and read where it lies otherwise.

import { LANES, RELAXED } from "../simd";
import { gemm_4x1v_simd128 } from "./gemm_4x1v_simd128";
import { gemm_4x2v_rows_simd128 } from "./gemm_4x2v_rows_simd128";
import { gemm_4x2v_simd128 } from "./gemm_4x2v_simd128";
import { gemm_6x2v_relaxed_simd } from "./gemm_6x2v_relaxed_simd";
import { pack } from "./pack";
import { KC, MR, NR, PACKED_MR, PW, roundUp } from "./tile";

// A block of A, MC × KC, stays in L2; a panel of B, KC × NR, in L1; the block of B, KC × NC, in L3.
// MC is a multiple of either tile's rows.
/** @inline */
const MC: usize = RELAXED ? 132 : 128;
/** @inline */
const NC: usize = 1024;

/**
 * A row-major A is read where it lies if C has at most this many columns, as each of its elements
 * is used N / NR times.
 *
 * @inline
 */
const N_UNPACKED: usize = 32;
/**
 * A row-major B is read where it lies if C has at most this many rows, as each of its elements is
 * used M / MR times.
 *
 * @inline
 */
const M_UNPACKED: usize = 16;
/**
 * Returns how many columns of B are kept packed: those of all panels of a block, or of one panel if
 * all rows of C use it at once.
 *
 * @inline
 */
function packedColumns<T extends number>(M: usize, N: usize): usize {
  return M > MC ? min(roundUp(N, NR<T>()), NC) : NR<T>();
}

/** Returns how many elements of workspace gemmBlocked needs. */
export function blockedElements<T extends number>(M: usize, N: usize, K: usize): usize {
  const kc = min(K, KC());
  const a = min(roundUp(M, PACKED_MR()), MC) * kc;
  const b = packedColumns<T>(M, N) * kc;
  const edge = PACKED_MR() * NR<T>();
  return max(a + b + edge, M < 3 ? M * N : 0);
}

/**
 * c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor) as gemm, on one thread, for a c whose rows
 * are ldc elements apart. Where inPanels is set, b is in the panels of packPanels.
 */
export function gemmBlocked<T extends number>(
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
  const kcMost = min(K, KC());
  const packedA = work;
  const packedB = packedA + min(roundUp(M, PACKED_MR()), MC) * kcMost * size;
  const edge = packedB + packedColumns<T>(M, N) * kcMost * size;
  // A whole panel can be read in place if each of its steps lies in one piece; a panel of A can
  // also be read row by row.
  const packsA = N > N_UNPACKED || (rsa != 1 && csa != 1);
  const packsB = csb != 1 || M > M_UNPACKED;
  const mr = packsA ? PACKED_MR() : MR();

  for (let jc: usize = 0; jc < N; jc += NC) {
    const nc = min(N - jc, NC);
    let pc: usize = 0;
    do {
      const kc = min(K - pc, KC());
      const least = pc + kc == K ? floor : <T>-Infinity;
      // From one packed panel of A to the next it is this far for each row; if A is read in place,
      // only its last panel is packed.
      const panelRow = packsA ? kc * size : 0;
      for (let ic: usize = 0; ic < M; ic += MC) {
        const mc = min(M - ic, MC);
        const blockA = a + (ic * rsa + pc * csa) * size;
        for (let ir: usize = 0; ir < mc; ir += mr) {
          const rows = min(mc - ir, mr);
          if (packsA || (rsa == 1 && rows < mr)) {
            pack<T>(packedA + ir * panelRow, blockA + ir * rsa * size, rsa, csa, rows, mr, kc);
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
            if (ic == 0)
              pack<T>(packed, panelB, csb, inPanels ? bStep / size : rsb, columns, width, kc);
            panelB = packed;
            bStep = width * size;
          }
          // The first block of K starts from the row, if there is one; the others start from what c
          // holds.
          const top = c + (ic * ldc + column) * size;
          let addend = top;
          let ldAddend = ldc;
          if (pc == 0) {
            addend = row == 0 ? 0 : row + column * size;
            ldAddend = 0;
          }
          let ir: usize = 0;
          if (columns == NR<T>() && (packsA || rsa == 1)) {
            // Whole tiles whose rows lie side by side go in one call.
            const tiles = mc / mr;
            const panelA = packsA ? packedA : blockA;
            const aStep = (packsA ? mr : csa) * size;
            const aNext = mr * (packsA ? kc : 1) * size;
            gemmTiles<T>(
              mr,
              top,
              ldc,
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
            ir = tiles * mr;
          }
          for (; ir < mc; ir += mr) {
            const rows = min(mc - ir, mr);
            const tile = top + ir * ldc * size;
            const tileAddend = addend == 0 ? <usize>0 : addend + ir * ldAddend * size;
            // A's rows are packed side by side, or read where they lie.
            const inPlace = !packsA && (rsa != 1 || rows == mr);
            const panelA = inPlace ? blockA + ir * rsa * size : packedA + ir * panelRow;
            const aRow = (inPlace ? rsa : 1) * size;
            const aStep = (inPlace ? csa : mr) * size;
            if (rows == mr && columns == NR<T>()) {
              gemm_4x2v_rows_simd128<T>(
                tile,
                ldc,
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
            const none = <T>-Infinity;
            if (width == LANES<T>()) {
              for (let i: usize = 0; i < rows; i += MR()) {
                const given = inPlace ? rows : min(mr - i, MR());
                const sums = edge + i * width * size;
                gemm_4x1v_simd128<T>(
                  sums,
                  panelA + i * aRow,
                  aRow,
                  aStep,
                  given,
                  panelB,
                  bStep,
                  kc,
                );
              }
            } else if (aRow == size) {
              const height = rows > MR() ? mr : MR();
              gemmTiles<T>(height, edge, width, panelA, aStep, 0, 1, panelB, bStep, kc, 0, 0, none);
            } else {
              gemm_4x2v_rows_simd128<T>(
                edge,
                width,
                panelA,
                aRow,
                rows,
                panelB,
                bStep,
                kc,
                0,
                0,
                none,
              );
            }
            finishTile<T, T>(tile, ldc, edge, width, tileAddend, ldAddend, least, rows, columns);
          }
        }
      }
      pc += KC();
    } while (pc < K);
  }
}

/**
 * Computes tiles of mr rows, one below the other, whose rows of A lie side by side. It is the one
 * place that picks a microkernel for them.
 */
function gemmTiles<T extends number>(
  mr: usize,
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
  if (RELAXED && mr != MR()) {
    gemm_6x2v_relaxed_simd<T>(c, ldc, a, aStep, aNext, tiles, b, bStep, K, addend, ldAddend, floor);
  } else {
    gemm_4x2v_simd128<T>(c, ldc, a, aStep, aNext, tiles, b, bStep, K, addend, ldAddend, floor);
  }
}

/**
 * Sets c (rows, columns) to max(sums + addend, floor), rounded from S once. A NaN stays a NaN; the
 * addend is left out if its address is 0.
 */
export function finishTile<T extends S, S extends number>(
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
    for (let j: usize = 0; j < columns; j++) {
      let sum = load<S>(sums + j * sizeof<S>());
      if (addend != 0) sum = <S>(sum + load<T>(addend + j * size));
      const rounded = <T>sum;
      store<T>(c + j * size, rounded < floor ? floor : rounded);
    }
    c += ldc * size;
    sums += ldSums * sizeof<S>();
    if (addend != 0) addend += ldAddend * size;
  }
}
