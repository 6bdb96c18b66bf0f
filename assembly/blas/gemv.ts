// A matrix that is read once, where it lies, as packing it or whole tiles would cost more than the
// product: a few rows times a row-major matrix (gemv), and a row-major matrix times a vector
// (gemvRows). Every element of a result is summed in the order in which gemm sums it: the bits are
// the same.

import { LANES, loadLanes, loadTail, multiplyAdd, storeLanes, storeTail } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";
import { KC, PW } from "./tile";

/**
 * Adds a[0] · b[0] (N,) to sums (N,), then a[1] · b[1], a[2] · b[2] and a[3] · b[3]. Steps are in
 * bytes.
 */
function addFourRows<T extends number>(
  sums: usize,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  N: usize,
): void {
  const a0 = v128.load_splat<T>(a);
  const a1 = v128.load_splat<T>(a + aStep);
  const a2 = v128.load_splat<T>(a + 2 * aStep);
  const a3 = v128.load_splat<T>(a + 3 * aStep);
  let b1 = b + bStep;
  let b2 = b1 + bStep;
  let b3 = b2 + bStep;
  const end = sums + (N & ~(2 * LANES<T>() - 1)) * sizeof<T>();
  let s: v128, t: v128;
  while (sums != end) {
    s = v128.load(sums, 0);
    t = v128.load(sums, 16);
    s = multiplyAdd<T>(a0, v128.load(b, 0), s);
    t = multiplyAdd<T>(a0, v128.load(b, 16), t);
    s = multiplyAdd<T>(a1, v128.load(b1, 0), s);
    t = multiplyAdd<T>(a1, v128.load(b1, 16), t);
    s = multiplyAdd<T>(a2, v128.load(b2, 0), s);
    t = multiplyAdd<T>(a2, v128.load(b2, 16), t);
    s = multiplyAdd<T>(a3, v128.load(b3, 0), s);
    t = multiplyAdd<T>(a3, v128.load(b3, 16), t);
    v128.store(sums, s, 0);
    v128.store(sums, t, 16);
    // The loop has two steps with an exit between them, as in gemm_4x2v_simd128.
    if (sums + 32 == end) {
      sums += 32;
      b += 32;
      b1 += 32;
      b2 += 32;
      b3 += 32;
      break;
    }
    s = v128.load(sums, 32);
    t = v128.load(sums, 48);
    s = multiplyAdd<T>(a0, v128.load(b, 32), s);
    t = multiplyAdd<T>(a0, v128.load(b, 48), t);
    s = multiplyAdd<T>(a1, v128.load(b1, 32), s);
    t = multiplyAdd<T>(a1, v128.load(b1, 48), t);
    s = multiplyAdd<T>(a2, v128.load(b2, 32), s);
    t = multiplyAdd<T>(a2, v128.load(b2, 48), t);
    s = multiplyAdd<T>(a3, v128.load(b3, 32), s);
    t = multiplyAdd<T>(a3, v128.load(b3, 48), t);
    v128.store(sums, s, 32);
    v128.store(sums, t, 48);
    sums += 64;
    b += 64;
    b1 += 64;
    b2 += 64;
    b3 += 64;
  }
  for (let rest = N & (2 * LANES<T>() - 1); rest > 0; ) {
    const n = min(rest, LANES<T>());
    let s = loadLanes<T>(sums, n);
    s = multiplyAdd<T>(a0, loadLanes<T>(b, n), s);
    s = multiplyAdd<T>(a1, loadLanes<T>(b1, n), s);
    s = multiplyAdd<T>(a2, loadLanes<T>(b2, n), s);
    s = multiplyAdd<T>(a3, loadLanes<T>(b3, n), s);
    storeLanes<T>(sums, s, n);
    rest -= n;
    sums += 16;
    b += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
  }
}

/** Adds a[0] · b (N,) to sums (N,). */
function addRow<T extends number>(sums: usize, a: usize, b: usize, N: usize): void {
  const a0 = v128.load_splat<T>(a);
  const whole = sums + (N & ~(LANES<T>() - 1)) * sizeof<T>();
  while (sums != whole) {
    v128.store(sums, multiplyAdd<T>(a0, v128.load(b), v128.load(sums)));
    sums += 16;
    b += 16;
  }
  const rest = N & (LANES<T>() - 1);
  if (rest) {
    storeTail<T>(sums, multiplyAdd<T>(a0, loadTail<T>(b, rest), loadTail<T>(sums, rest)), rest);
  }
}

/** Sets to (n,) to 0. */
function clear<T extends number>(to: usize, n: usize): void {
  const end = to + n * sizeof<T>();
  const whole = to + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  for (; to != whole; to += 16) v128.store(to, v128.splat<T>(<T>0));
  for (; to != end; to += sizeof<T>()) store<T>(to, <T>0);
}

/**
 * Sets c (n,) to max(sums + addend, floor). A NaN stays a NaN; the addend is left out if its
 * address is 0.
 */
export function finish<T extends number>(
  c: usize,
  sums: usize,
  addend: usize,
  addendStep: usize,
  floor: T,
  n: usize,
): void {
  const size = sizeof<T>();
  const least = v128.splat<T>(floor);
  let i: usize = 0;
  if (addend == 0 || addendStep == 1) {
    const whole = n & ~(LANES<T>() - 1);
    for (; i < whole; i += LANES<T>()) {
      let s = v128.load(sums + i * size);
      if (addend != 0) s = v128.add<T>(s, v128.load(addend + i * size));
      v128.store(c + i * size, v128.pmax<T>(s, least));
    }
  }
  for (; i < n; i++) {
    let s = load<T>(sums + i * size);
    if (addend != 0) s = <T>(s + load<T>(addend + i * addendStep * size));
    store<T>(c + i * size, s < floor ? floor : s);
  }
}

/**
 * c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor), as gemm for a row-major b that is read in
 * order, four rows of it at a time. work holds M · N elements.
 */
export function gemv<T extends number>(
  c: usize,
  a: usize,
  rsa: usize,
  csa: usize,
  b: usize,
  rsb: usize,
  row: usize,
  floor: T,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  const size = sizeof<T>();
  const bStep = rsb * size;
  const aStep = csa * size;
  let pc: usize = 0;
  do {
    clear<T>(work, M * N);
    const end = min(pc + KC(), K);
    let k = pc;
    for (; k + 4 <= end; k += 4) {
      for (let i: usize = 0; i < M; i++) {
        const from = a + (i * rsa + k * csa) * size;
        addFourRows<T>(work + i * N * size, from, aStep, b + k * bStep, bStep, N);
      }
    }
    for (; k < end; k++) {
      for (let i: usize = 0; i < M; i++) {
        addRow<T>(work + i * N * size, a + (i * rsa + k * csa) * size, b + k * bStep, N);
      }
    }
    const least = end == K ? floor : <T>-Infinity;
    for (let i: usize = 0; i < M; i++) {
      const to = c + i * N * size;
      const sums = work + i * N * size;
      if (pc == 0) finish<T>(to, sums, row, 1, least, N);
      else finish<T>(to, sums, to, 1, least, N);
    }
    pc += KC();
  } while (pc < K);
}

/**
 * sums (LANES,) += Σ over LANES steps k of a[:, k] · x[k], in order: a's rows are turned into
 * columns in registers.
 *
 * @inline
 */
function addColumns<T extends number>(sum: v128, a: usize, lda: usize, x: usize): v128 {
  const r0 = v128.load(a);
  const r1 = v128.load(a + lda);
  if (sizeof<T>() == 8) {
    sum = multiplyAdd<T>(v128.shuffle<f64>(r0, r1, 0, 2), v128.load_splat<T>(x), sum);
    return multiplyAdd<T>(v128.shuffle<f64>(r0, r1, 1, 3), v128.load_splat<T>(x, 8), sum);
  }
  a += 2 * lda;
  const r2 = v128.load(a);
  const r3 = v128.load(a + lda);
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  sum = multiplyAdd<T>(v128.shuffle<f64>(low01, low23, 0, 2), v128.load_splat<T>(x), sum);
  sum = multiplyAdd<T>(v128.shuffle<f64>(low01, low23, 1, 3), v128.load_splat<T>(x, 4), sum);
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  sum = multiplyAdd<T>(v128.shuffle<f64>(high01, high23, 0, 2), v128.load_splat<T>(x, 8), sum);
  return multiplyAdd<T>(v128.shuffle<f64>(high01, high23, 1, 3), v128.load_splat<T>(x, 12), sum);
}

/**
 * sums (4 · LANES,) = a (4 · LANES, K) · x (K,), for K a multiple of LANES; a's rows are lda bytes
 * apart.
 */
function sumManyRows<T extends number>(
  sums: usize,
  a: usize,
  lda: usize,
  x: usize,
  K: usize,
): void {
  const group = LANES<T>() * lda;
  let s0 = v128.splat<T>(<T>0);
  let s1 = v128.splat<T>(<T>0);
  let s2 = v128.splat<T>(<T>0);
  let s3 = v128.splat<T>(<T>0);
  const half = group + group;
  const end = x + K * sizeof<T>();
  while (x != end) {
    s0 = addColumns<T>(s0, a, lda, x);
    s1 = addColumns<T>(s1, a + group, lda, x);
    s2 = addColumns<T>(s2, a + half, lda, x);
    s3 = addColumns<T>(s3, a + half + group, lda, x);
    a += 16;
    x += 16;
  }
  v128.store(sums, s0);
  v128.store(sums, s1, 16);
  v128.store(sums, s2, 32);
  v128.store(sums, s3, 48);
}

/** Computes what sumManyRows does for LANES rows. */
function sumRows<T extends number>(sums: usize, a: usize, lda: usize, x: usize, K: usize): void {
  let s = v128.splat<T>(<T>0);
  const end = x + K * sizeof<T>();
  for (; x != end; x += 16) {
    s = addColumns<T>(s, a, lda, x);
    a += 16;
  }
  v128.store(sums, s);
}

@unmanaged
class RowsJob {
  c: usize;
  a: usize;
  lda: usize;
  x: usize;
  addend: usize;
  addendStep: usize;
  work: usize;
  K: usize;
  floor: f64;
}

/**
 * c (M,) = max(a (M, K) · x (K,) + addend, floor), as gemm, for a row-major a, whose rows are lda
 * elements apart. The addend's elements are addendStep apart; it is left out where its address is
 * 0. work holds 4 · LANES elements.
 */
export function gemvRows<T extends number>(
  c: usize,
  a: usize,
  lda: usize,
  x: usize,
  addend: usize,
  addendStep: usize,
  floor: T,
  work: usize,
  M: usize,
  K: usize,
): void {
  if (SHARED && planSplit(M, (K * sizeof<T>()) / 2, 16)) {
    const job = jobOf<RowsJob>();
    job.c = c;
    job.a = a;
    job.lda = lda;
    job.x = x;
    job.addend = addend;
    job.addendStep = addendStep;
    job.work = work;
    job.K = K;
    job.floor = floor;
    split((from, M, thread) => {
      const job = jobOf<RowsJob>();
      gemvRows<T>(
        at<T>(job.c, from),
        at<T>(job.a, from * job.lda),
        job.lda,
        job.x,
        job.addend == 0 ? 0 : at<T>(job.addend, from * job.addendStep),
        job.addendStep,
        <T>job.floor,
        at<T>(job.work, thread * PW<T>()),
        M,
        job.K,
      );
    });
    return;
  }
  const size = sizeof<T>();
  const step = lda * size;
  const rows = M < 4 * LANES<T>() ? LANES<T>() : 4 * LANES<T>();
  let pc: usize = 0;
  do {
    const kc = min(K - pc, KC());
    const least = pc + kc == K ? floor : <T>-Infinity;
    const xs = x + pc * size;
    for (let i: usize = 0; i < M; i += rows) {
      const n = min(M - i, rows);
      // If rows are missing at the end, those before them are computed once more.
      const again = min(rows - n, i);
      const from = a + (i - again) * step + pc * size;
      const sums = work + again * size;
      let k: usize = 0;
      if (again + n == rows) {
        k = kc & ~(LANES<T>() - 1);
        if (rows == LANES<T>()) sumRows<T>(work, from, step, xs, k);
        else sumManyRows<T>(work, from, step, xs, k);
      } else clear<T>(sums, n);
      for (let j: usize = 0; j < n && k < kc; j++) {
        const p = from + (again + j) * step;
        // One lane of a vector is used, so that the sum is rounded as multiplyAdd rounds.
        let sum = loadTail<T>(sums + j * size, 1);
        for (let q = k * size; q < kc * size; q += size) {
          sum = multiplyAdd<T>(loadTail<T>(p + q, 1), loadTail<T>(xs + q, 1), sum);
        }
        storeTail<T>(sums + j * size, sum, 1);
      }
      const to = c + i * size;
      if (pc != 0) finish<T>(to, sums, to, 1, least, n);
      else {
        const first = addend == 0 ? <usize>0 : addend + i * addendStep * size;
        finish<T>(to, sums, first, addendStep, least, n);
      }
    }
    pc += KC();
  } while (pc < K);
}
