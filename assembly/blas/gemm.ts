// C = A · B (+ a row), blocked for the caches as in Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", ACM TOMS 34 (2008), and packed so that the microkernel
// reads both operands in order.
//
// The order of every sum depends on K alone: KC products at a time from zero, each block's sum
// added to what is there. Neither the blocking of M and N nor the path taken changes a bit.

import { MR, NR, gemm_4x2v_simd128 } from "./gemm_4x2v_simd128";
import { pack } from "./pack";

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

// @ts-ignore: decorator
@inline
function roundUp(n: usize, multiple: usize): usize {
  return ((n + multiple - 1) / multiple) * multiple;
}

/** Bytes of workspace that gemm needs for these sizes. */
export function gemmWorkBytes<T>(M: usize, N: usize, K: usize): usize {
  const kc = min(K, KC);
  const a = min(roundUp(M, MR()), MC) * kc;
  const b = min(roundUp(N, NR<T>()), NC) * kc;
  const edge = MR() * NR<T>();
  return (a + b + edge) * sizeof<T>();
}

/**
 * c (M, N) = a (M, K) · b (K, N) + row (N,), row left out where its address is 0.
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
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  const kcMost = min(K, KC);
  const packedA = work;
  const packedB = packedA + min(roundUp(M, MR()), MC) * kcMost * sizeof<T>();
  const edge = packedB + min(roundUp(N, NR<T>()), NC) * kcMost * sizeof<T>();

  for (let jc: usize = 0; jc < N; jc += NC) {
    const nc = min(N - jc, NC);
    let pc: usize = 0;
    do {
      const kc = min(K - pc, KC);
      for (let jr: usize = 0; jr < nc; jr += NR<T>()) {
        pack<T>(
          packedB + jr * kc * sizeof<T>(),
          b + (pc * rsb + (jc + jr) * csb) * sizeof<T>(),
          csb,
          rsb,
          min(nc - jr, NR<T>()),
          NR<T>(),
          kc,
        );
      }
      for (let ic: usize = 0; ic < M; ic += MC) {
        const mc = min(M - ic, MC);
        for (let ir: usize = 0; ir < mc; ir += MR()) {
          pack<T>(
            packedA + ir * kc * sizeof<T>(),
            a + ((ic + ir) * rsa + pc * csa) * sizeof<T>(),
            rsa,
            csa,
            min(mc - ir, MR()),
            MR(),
            kc,
          );
        }
        block<T>(
          c + (ic * N + jc) * sizeof<T>(),
          N,
          packedA,
          packedB,
          row == 0 ? 0 : row + jc * sizeof<T>(),
          edge,
          mc,
          nc,
          kc,
          pc == 0,
        );
      }
      pc += KC;
    } while (pc < K);
  }
}

/** c (mc, nc) of a matrix with rows of N = the packed block of A · the packed block of B + addend. */
function block<T>(
  c: usize,
  N: usize,
  packedA: usize,
  packedB: usize,
  row: usize,
  edge: usize,
  mc: usize,
  nc: usize,
  kc: usize,
  first: bool,
): void {
  for (let jr: usize = 0; jr < nc; jr += NR<T>()) {
    const panelB = packedB + jr * kc * sizeof<T>();
    const columns = min(nc - jr, NR<T>());
    for (let ir: usize = 0; ir < mc; ir += MR()) {
      const panelA = packedA + ir * kc * sizeof<T>();
      const rows = min(mc - ir, MR());
      const tile = c + (ir * N + jr) * sizeof<T>();
      // The first block of K starts from the row, if there is one; the others from what is there.
      let addend = tile;
      let ldAddend = N;
      if (first) {
        addend = row == 0 ? 0 : row + jr * sizeof<T>();
        ldAddend = 0;
      }
      if (rows == MR() && columns == NR<T>()) {
        gemm_4x2v_simd128<T>(tile, N, panelA, panelB, kc, addend, ldAddend);
        continue;
      }
      // An edge tile: the same kernel on a whole tile beside it, of which the part inside is kept.
      if (addend != 0) {
        copyTile<T>(edge, NR<T>(), addend, ldAddend, first ? 1 : rows, columns);
        addend = edge;
        ldAddend = first ? 0 : NR<T>();
      }
      gemm_4x2v_simd128<T>(edge, NR<T>(), panelA, panelB, kc, addend, ldAddend);
      copyTile<T>(tile, N, edge, NR<T>(), rows, columns);
    }
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
