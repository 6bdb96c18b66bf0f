// C = max(A · B + a row, a floor): which way a product is computed, for which shapes. docs/gemm.md
// tells the whole story.
//
// The order of every sum depends on the shapes alone: KC products at a time from zero, each block's
// sum added to what is there, or as in gemm_long.ts. The blocking of M and N, and what is packed,
// change no bit.

import { SHARED, threads } from "../threads/queue";
import { at, cut, jobOf, planSplit, split } from "../threads/split";
import { blockedElements, gemmBlocked } from "./gemm_blocked";
import { gemmLong, isLong, longWorkElements } from "./gemm_long";
import { finish, gemv, gemvRows } from "./gemv";
import { gemv_1x8v_simd128 } from "./gemv_1x8v_simd128";
import { ger } from "./ger";
import { KC, PW, roundUp } from "./tile";

/** The product with a transposed A is turned if C has at most this many columns. @inline */
const N_TURNED: usize = 12;

/**
 * Returns whether a product is computed as Cᵀ = Bᵀ · Aᵀ: it is if C has few columns and A is
 * transposed, as Aᵀ is row-major then.
 *
 * @inline
 */
function isTurned(M: usize, N: usize, csa: usize): bool {
  return csa != 1 && N <= N_TURNED && N < M;
}

/**
 * Returns how many elements of workspace a product needs that is not turned. A larger M, N or K
 * never needs less, except for M below 3.
 */
function workElements<T extends number>(M: usize, N: usize, K: usize): usize {
  const each = partElements<T>(M, N, K);
  if (!SHARED) return each;
  return stripOf(M, N, K) != 0 ? threads() * each : max(each, threads() * PW<T>());
}

/** Returns how many elements of workspace gemmPart needs. */
export function partElements<T extends number>(M: usize, N: usize, K: usize): usize {
  const short = blockedElements<T>(M, N, K);
  return isLong<T>(K) ? max(short, longWorkElements<T>(M, N)) : short;
}

/** Returns how many bytes of workspace gemm needs for these sizes. */
export function gemmWorkBytes<T extends number>(M: usize, N: usize, K: usize, csa: usize): usize {
  const elements = isTurned(M, N, csa)
    ? M * N + workElements<T>(N, M, K)
    : workElements<T>(M, N, K);
  return elements * sizeof<T>();
}

/**
 * c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor), row left out where its address is 0. A
 * floor of 0 is ReLU, one of −∞ changes nothing; NaN stays. c is never −0.
 *
 * Element (i, k) of a lies at a + i · rsa + k · csa, and likewise for b: strides in elements, one
 * of each pair is 1, and exchanging them reads the operand transposed. c is row-major and overlaps
 * nothing; K = 0 gives the row, or zeros. Row and floor go with a row-major a (csa = 1) alone; a b
 * that is a single row or column lies in one piece.
 */
export function gemm<T extends number>(
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
  } else if (isLong<T>(K)) {
    gemmTiled<T>(c, a, rsa, csa, b, rsb, csb, false, row, floor, work, M, N, K);
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

@unmanaged
class PanelsJob {
  c: usize;
  a: usize;
  b: usize;
  row: usize;
  work: usize;
  M: usize;
  N: usize;
  K: usize;
  floor: f64;
}

/**
 * c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor), as gemm for a dense a and a b in the
 * panels of packPanels.
 */
export function gemmPanels<T extends number>(
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
  if (M > 3 || isLong<T>(K)) {
    gemmTiled<T>(c, a, K, 1, b, 0, 1, true, row, floor, work, M, N, K);
    return;
  }
  if (SHARED && planSplit(N, (M * K * sizeof<T>()) / 2, PW<T>())) {
    const job = jobOf<PanelsJob>();
    job.c = c;
    job.a = a;
    job.b = b;
    job.row = row;
    job.work = work;
    job.M = M;
    job.N = N;
    job.K = K;
    job.floor = floor;
    split((from, count, thread) => {
      const job = jobOf<PanelsJob>();
      gemmFewRows<T>(
        at<T>(job.c, from),
        job.N,
        job.a,
        at<T>(job.b, from * job.K),
        job.row == 0 ? 0 : at<T>(job.row, from),
        <T>job.floor,
        at<T>(job.work, thread * PW<T>()),
        job.M,
        count,
        job.K,
      );
    });
    return;
  }
  gemmFewRows<T>(c, N, a, b, row, floor, work, M, N, K);
}

/**
 * Computes gemmPanels' product on one thread, as a part of a job has to. work holds
 * gemmPanelsAloneElements.
 */
export function gemmPanelsAlone<T extends number>(
  c: usize,
  a: usize,
  b: usize,
  row: usize,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  const none = <T>-Infinity;
  if (M > 3 || isLong<T>(K)) {
    gemmPart<T>(c, N, a, K, 1, b, 0, 1, true, row, none, work, M, N, K);
  } else {
    gemmFewRows<T>(c, N, a, b, row, none, work, M, N, K);
  }
}

/** Returns how many elements of workspace gemmPanelsAlone needs for up to M rows. */
export function gemmPanelsAloneElements<T extends number>(M: usize, N: usize, K: usize): usize {
  return max(partElements<T>(max<usize>(M, 4), N, K), PW<T>());
}

/**
 * Computes a few rows of gemmPanels' product on one thread, for a C whose rows are ldc elements
 * apart. A panel's block of K stays in L1 while it is multiplied by one row after the other.
 *
 * @inline
 */
function gemmFewRows<T extends number>(
  c: usize,
  ldc: usize,
  a: usize,
  b: usize,
  row: usize,
  floor: T,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  const size = sizeof<T>();
  for (let j: usize = 0; j < N; j += PW<T>()) {
    const width = min(N - j, PW<T>());
    let pc: usize = 0;
    do {
      const kc = min(K - pc, KC());
      const least = pc + kc == K ? floor : <T>-Infinity;
      for (let i: usize = 0; i < M; i++) {
        const to = c + (i * ldc + j) * size;
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

/**
 * A product of fewer multiply-adds, which takes some 130 µs, is not worth the waking of a worker.
 *
 * @inline
 */
const FORKED: f64 = 3_000_000;
/**
 * A task has at most this many multiply-adds, some 10 ms, as far as there are rows enough: the
 * caller, who waits for tasks to end, sees that the workers are alive.
 *
 * @inline
 */
const TASK: f64 = 268435456;
/**
 * A strip of rows begins where a tile of 4 or 6 rows does, and a strip of columns where a panel of
 * weights does.
 *
 * @inline
 */
const ROWS: usize = 12;
/** @inline */
const COLUMNS: usize = 32;

/**
 * Returns how many tasks a product of so many multiply-adds is cut into, 1 if one thread computes
 * all of it; there are at most as many as threads, or `most`.
 */
export function tasksOf(work: f64, most: usize): usize {
  const count = threads();
  return count < 2 || work < FORKED ? 1 : max(count, min(<usize>(work / TASK), most));
}

/**
 * Returns how many rows a strip of C has, or columns if C has more of these; 0 if one thread
 * computes all of C. Each thread takes a strip at a time.
 */
function stripOf(M: usize, N: usize, K: usize): usize {
  const length = max(M, N);
  const unit = M < N ? COLUMNS : ROWS;
  const tasks = tasksOf(<f64>M * <f64>N * <f64>K, length / unit);
  const strip = roundUp((length + tasks - 1) / tasks, unit);
  return tasks > 1 && strip < length ? strip : 0;
}

@unmanaged
class TiledJob {
  c: usize;
  a: usize;
  rsa: usize;
  csa: usize;
  b: usize;
  rsb: usize;
  csb: usize;
  inPanels: bool;
  row: usize;
  work: usize;
  M: usize;
  N: usize;
  K: usize;
  floor: f64;
}

/**
 * Computes gemm's product by tiles, or gemmPanels', on all threads if C is large enough. Each strip
 * packs its operands for itself.
 */
function gemmTiled<T extends number>(
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
    gemmPart<T>(c, N, a, rsa, csa, b, rsb, csb, inPanels, row, floor, work, M, N, K);
  } else if (SHARED) {
    const job = jobOf<TiledJob>();
    job.c = c;
    job.a = a;
    job.rsa = rsa;
    job.csa = csa;
    job.b = b;
    job.rsb = rsb;
    job.csb = csb;
    job.inPanels = inPanels;
    job.row = row;
    job.work = work;
    job.M = M;
    job.N = N;
    job.K = K;
    job.floor = floor;
    cut(max(M, N), strip);
    split((from, count, thread) => gemmStrip<T>(from, count, thread));
  }
}

/** Computes `count` rows or columns of the product whose job gemmTiled has written. */
function gemmStrip<T extends number>(from: usize, count: usize, thread: usize): void {
  const job = jobOf<TiledJob>();
  let c = job.c;
  let a = job.a;
  let b = job.b;
  let row = job.row;
  let M = job.M;
  let N = job.N;
  const ldc = N;
  const K = job.K;
  const work = at<T>(job.work, thread * partElements<T>(M, N, K));
  const size = sizeof<T>();
  if (M < N) {
    c += from * size;
    b += from * (job.inPanels ? K : job.csb) * size;
    if (row != 0) row += from * size;
    N = count;
  } else {
    c += from * ldc * size;
    a += from * job.rsa * size;
    M = count;
  }
  gemmPart<T>(
    c,
    ldc,
    a,
    job.rsa,
    job.csa,
    b,
    job.rsb,
    job.csb,
    job.inPanels,
    row,
    <T>job.floor,
    work,
    M,
    N,
    K,
  );
}

/**
 * Computes a part of C, whose rows are ldc elements apart, on one thread: by tiles, whatever the
 * shape, with the bits of gemm.
 */
export function gemmPart<T extends number>(
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
  if (isLong<T>(K)) {
    gemmLong<T>(c, ldc, a, rsa, csa, b, rsb, csb, inPanels, row, floor, work, M, N, K);
  } else {
    gemmBlocked<T>(c, ldc, a, rsa, csa, b, rsb, csb, inPanels, row, floor, work, M, N, K);
  }
}

/** Sets c (M, N) to the transpose of turned (N, M), for a small N. */
function transpose<T extends number>(c: usize, turned: usize, M: usize, N: usize): void {
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
