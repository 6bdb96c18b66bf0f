// C = max(A · B + a row, a floor), blocked for the caches as in Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", ACM TOMS 34 (2008). Each operand is packed, so that the
// microkernel reads it in order, where it is used often enough to pay for the copy, and read
// where it lies otherwise. docs/gemm.md tells the whole story.
//
// The order of every sum depends on the shapes alone: KC products at a time from zero, each
// block's sum added to what is there. The blocking of M and N, and what is packed, change no bit.

import { LANES, RELAXED } from "../simd";
import { fork, SHARED, threads, words } from "../threads/queue";
import { gemm_4x1v_simd128 } from "./gemm_4x1v_simd128";
import { gemm_4x2v_rows_simd128 } from "./gemm_4x2v_rows_simd128";
import { gemm_4x2v_simd128 } from "./gemm_4x2v_simd128";
import { gemm_6x2v_relaxed_simd } from "./gemm_6x2v_relaxed_simd";
import { ger } from "./ger";
import { finish, gemv, gemvRows } from "./gemv";
import { gemv_1x8v_simd128 } from "./gemv_1x8v_simd128";
import { pack } from "./pack";
import { KC, MR, NR, PACKED_MR, PW } from "./tile";

// A block of A, MC × KC, stays in L2; a panel of B, KC × NR, in L1; the block of B, KC × NC, in L3. MC is a multiple of
// either tile's rows.
// @ts-ignore: decorator
@inline
const MC: usize = RELAXED ? 132 : 128;
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

/** Elements of workspace for a product that is computed as it is: more of M, N or K never need less, but for M below 3. */
function workElements<T>(M: usize, N: usize, K: usize): usize {
  const each = tileElements<T>(M, N, K);
  return SHARED && stripOf(M, N, K) != 0 ? threads() * each : each;
}

/** The same for one thread, and for a part of C. */
function tileElements<T>(M: usize, N: usize, K: usize): usize {
  const kc = min(K, KC());
  const a = min(roundUp(M, PACKED_MR()), MC) * kc;
  const b = packedColumns<T>(M, N) * kc;
  const edge = PACKED_MR() * NR<T>();
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
    gemmTiled<T>(c, a, rsa, csa, b, rsb, csb, false, row, floor, work, M, N, K);
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
    gemmTiled<T>(c, a, K, 1, b, 0, 1, true, row, floor, work, M, N, K);
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

/** Products below so many multiply-adds, some 130 µs, are not worth waking anybody. */
// @ts-ignore: decorator
@inline
const FORKED: f64 = 3_000_000;
/** Tasks of at most so many, some 10 ms, as far as there are rows: whoever waits sees that things go on. */
// @ts-ignore: decorator
@inline
const TASK: f64 = 268435456;
/** A strip of rows begins where a tile does, 4 or 6 high, one of columns where a panel of weights does. */
// @ts-ignore: decorator
@inline
const ROWS: usize = 12;
// @ts-ignore: decorator
@inline
const COLUMNS: usize = 32;

/** Rows of a strip of C, or columns where C has more of these, of which each thread has one at a time; 0 for one thread. */
function stripOf(M: usize, N: usize, K: usize): usize {
  const count = threads();
  const work = <f64>M * <f64>N * <f64>K;
  if (count < 2 || work < FORKED) return 0;
  const length = max(M, N);
  const unit = M < N ? COLUMNS : ROWS;
  const tasks = max(count, min(<usize>(work / TASK), length / unit));
  const strip = roundUp((length + tasks - 1) / tasks, unit);
  return strip < length ? strip : 0;
}

/** As gemm, or gemmPanels, by tiles: on all threads where C is large enough. Each strip packs for itself. */
function gemmTiled<T>(
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
  const strip = SHARED ? stripOf(M, N, K) : 0;
  if (strip == 0) {
    gemmBlocked<T>(c, N, a, rsa, csa, b, rsb, csb, inPanels, row, floor, work, M, N, K);
  } else if (SHARED) {
    const w = words();
    store<u32>(w, c);
    store<u32>(w, a, 4);
    store<u32>(w, rsa, 8);
    store<u32>(w, csa, 12);
    store<u32>(w, b, 16);
    store<u32>(w, rsb, 20);
    store<u32>(w, csb, 24);
    store<u32>(w, inPanels, 28);
    store<u32>(w, row, 32);
    store<u32>(w, work, 36);
    store<u32>(w, M, 40);
    store<u32>(w, N, 44);
    store<u32>(w, K, 48);
    store<u32>(w, strip, 52);
    store<f64>(w, floor, 56);
    fork(sizeof<T>() == 8 ? gemmStripF64 : gemmStripF32, (max(M, N) + strip - 1) / strip);
  }
}

/** One strip of what gemmTiled has put into the job's words. */
function gemmStrip<T>(task: usize, thread: usize): void {
  const size = sizeof<T>();
  const w = words();
  let c = <usize>load<u32>(w);
  let a = <usize>load<u32>(w, 4);
  const rsa = <usize>load<u32>(w, 8);
  const csa = <usize>load<u32>(w, 12);
  let b = <usize>load<u32>(w, 16);
  const rsb = <usize>load<u32>(w, 20);
  const csb = <usize>load<u32>(w, 24);
  const inPanels = load<u32>(w, 28) != 0;
  let row = <usize>load<u32>(w, 32);
  let work = <usize>load<u32>(w, 36);
  const ldc = <usize>load<u32>(w, 44);
  const K = <usize>load<u32>(w, 48);
  const strip = <usize>load<u32>(w, 52);
  const floor = <T>load<f64>(w, 56);
  let M = <usize>load<u32>(w, 40);
  let N = ldc;
  const from = task * strip;
  work += thread * tileElements<T>(M, N, K) * size;
  if (M < N) {
    c += from * size;
    b += from * (inPanels ? K : csb) * size;
    if (row != 0) row += from * size;
    N = min(N - from, strip);
  } else {
    c += from * ldc * size;
    a += from * rsa * size;
    M = min(M - from, strip);
  }
  gemmBlocked<T>(c, ldc, a, rsa, csa, b, rsb, csb, inPanels, row, floor, work, M, N, K);
}

// A generic function has no address.
function gemmStripF32(task: usize, thread: usize): void {
  gemmStrip<f32>(task, thread);
}
function gemmStripF64(task: usize, thread: usize): void {
  gemmStrip<f64>(task, thread);
}

/** The same on one thread, for a part of C whose rows are ldc elements apart. */
function gemmBlocked<T>(
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
  // A whole panel can be read in place where its steps are of one piece; A's, row by row as well.
  const packsA = N > N_UNPACKED || (rsa != 1 && csa != 1);
  const packsB = csb != 1 || M > M_UNPACKED;
  const mr = packsA ? PACKED_MR() : MR();

  for (let jc: usize = 0; jc < N; jc += NC) {
    const nc = min(N - jc, NC);
    let pc: usize = 0;
    do {
      const kc = min(K - pc, KC());
      const least = pc + kc == K ? floor : <T>-Infinity;
      // From one packed panel of A to the next, a row's share; in place no more than the last is packed.
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
            if (ic == 0) pack<T>(packed, panelB, csb, inPanels ? bStep / size : rsb, columns, width, kc);
            panelB = packed;
            bStep = width * size;
          }
          // The first block of K starts from the row, if there is one; the others from what is there.
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
            // A's rows: packed side by side, or where they lie.
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
                gemm_4x1v_simd128<T>(sums, panelA + i * aRow, aRow, aStep, given, panelB, bStep, kc);
              }
            } else if (aRow == size) {
              const height = rows > MR() ? mr : MR();
              gemmTiles<T>(height, edge, width, panelA, aStep, 0, 1, panelB, bStep, kc, 0, 0, none);
            } else {
              gemm_4x2v_rows_simd128<T>(edge, width, panelA, aRow, rows, panelB, bStep, kc, 0, 0, none);
            }
            finishTile<T>(tile, ldc, edge, width, tileAddend, ldAddend, least, rows, columns);
          }
        }
      }
      pc += KC();
    } while (pc < K);
  }
}

/** The one place that picks a microkernel for rows that lie side by side: tiles of mr rows, one below the other. */
function gemmTiles<T>(
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
