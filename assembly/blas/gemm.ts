// C = max(A · B + a row, a floor), blocked for the caches as in Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", ACM TOMS 34 (2008). Each operand is packed, so that the
// microkernel reads it in order, where it is used often enough to pay for the copy, and read
// where it lies otherwise. docs/gemm.md tells the whole story.
//
// The order of every sum depends on the shapes alone: KC products at a time from zero, each
// block's sum added to what is there. The blocking of M and N, and what is packed, change no bit.

import { gemm_4x2v_rows_simd128 } from "./gemm_4x2v_rows_simd128";
import { gemm_4x2v_simd128 } from "./gemm_4x2v_simd128";
import { gemv } from "./gemv";
import { pack } from "./pack";
import { MR, NR } from "./tile";

// A block of A, MC × KC, stays in L2; a panel of B, KC × NR, in L1; the block of B, KC × NC, in L3.
// @ts-ignore: decorator
@inline
const MC: usize = 128;
// @ts-ignore: decorator
@inline
const KC: usize = 256;
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

// @ts-ignore: decorator
@inline
function roundUp(n: usize, multiple: usize): usize {
  return ((n + multiple - 1) / multiple) * multiple;
}

/** One or two rows of C go through gemv where B is row-major. */
// @ts-ignore: decorator
@inline
function isThin(M: usize, csb: usize): bool {
  return M < 3 && csb == 1;
}

/** Bytes of workspace that gemm needs for these sizes. */
export function gemmWorkBytes<T>(M: usize, N: usize, K: usize): usize {
  const kc = min(K, KC);
  const a = min(roundUp(M, MR()), MC) * kc;
  const b = min(roundUp(N, NR<T>()), NC) * kc;
  const edge = MR() * NR<T>();
  return max(a + b + edge, M < 3 ? M * N : 0) * sizeof<T>();
}

/**
 * c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor), row left out where its address is 0. A floor of 0
 * is ReLU, one of −∞ changes nothing; NaN stays. c is never −0.
 *
 * Element (i, k) of a lies at a + i · rsa + k · csa, and likewise for b: strides in elements, one of
 * each pair is 1, and exchanging them reads the operand transposed. c is row-major and
 * overlaps nothing; K = 0 gives the row, or zeros.
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
  if (isThin(M, csb)) {
    gemv<T>(c, a, rsa, csa, b, rsb, row, floor, work, M, N, K, KC);
    return;
  }
  const size = sizeof<T>();
  const kcMost = min(K, KC);
  const packedA = work;
  const packedB = packedA + min(roundUp(M, MR()), MC) * kcMost * size;
  const edge = packedB + min(roundUp(N, NR<T>()), NC) * kcMost * size;
  // A whole panel can be read in place where its steps are of one piece; A's, row by row as well.
  const packsA = rsa == 1 ? N > N_UNPACKED : N > N_UNPACKED || csa != 1;
  const packsB = csb != 1 || M > M_UNPACKED;

  for (let jc: usize = 0; jc < N; jc += NC) {
    const nc = min(N - jc, NC);
    let pc: usize = 0;
    do {
      const kc = min(K - pc, KC);
      const least = pc + kc == K ? floor : <T>-Infinity;
      const blockB = b + (pc * rsb + jc * csb) * size;
      for (let jr: usize = 0; jr < nc; jr += NR<T>()) {
        const columns = min(nc - jr, NR<T>());
        if (packsB || columns < NR<T>()) {
          pack<T>(packedB + jr * kc * size, blockB + jr * csb * size, csb, rsb, columns, NR<T>(), kc);
        }
      }
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
          const readsB = !packsB && columns == NR<T>();
          const panelB = readsB ? blockB + jr * size : packedB + jr * kc * size;
          const bStep = (readsB ? rsb : NR<T>()) * size;
          for (let ir: usize = 0; ir < mc; ir += MR()) {
            const rows = min(mc - ir, MR());
            const tile = c + ((ic + ir) * N + jc + jr) * size;
            // The first block of K starts from the row, if there is one; the others from what is there.
            let addend = tile;
            let ldAddend = N;
            if (pc == 0) {
              addend = row == 0 ? 0 : row + (jc + jr) * size;
              ldAddend = 0;
            }
            // An edge tile is computed whole beside c, and the part inside is kept.
            const whole = rows == MR() && columns == NR<T>();
            let target = tile;
            let ldTarget = N;
            if (!whole) {
              target = edge;
              ldTarget = NR<T>();
              if (addend != 0) {
                copyTile<T>(edge, NR<T>(), addend, ldAddend, pc == 0 ? 1 : rows, columns);
                addend = edge;
                if (pc != 0) ldAddend = NR<T>();
              }
            }
            if (!packsA && rsa != 1) {
              gemm_4x2v_rows_simd128<T>(
                target,
                ldTarget,
                blockA + ir * rsa * size,
                rsa * size,
                rows,
                panelB,
                bStep,
                kc,
                addend,
                ldAddend,
                least,
              );
            } else {
              const readsA = !packsA && rows == MR();
              gemm_4x2v_simd128<T>(
                target,
                ldTarget,
                readsA ? blockA + ir * size : packedA + ir * kc * size,
                (readsA ? csa : MR()) * size,
                panelB,
                bStep,
                kc,
                addend,
                ldAddend,
                least,
              );
            }
            if (!whole) copyTile<T>(tile, N, edge, NR<T>(), rows, columns);
          }
        }
      }
      pc += KC;
    } while (pc < K);
  }
}

function copyTile<T>(
  to: usize,
  ldTo: usize,
  from: usize,
  ldFrom: usize,
  rows: usize,
  columns: usize,
): void {
  for (let i: usize = 0; i < rows; i++) {
    // Not memory.copy: a call out of the module costs more than these few elements.
    for (let j: usize = 0; j < columns; j++) {
      store<T>(to + j * sizeof<T>(), load<T>(from + j * sizeof<T>()));
    }
    to += ldTo * sizeof<T>();
    from += ldFrom * sizeof<T>();
  }
}
