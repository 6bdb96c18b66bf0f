// A few rows times a row-major matrix, where packing or whole tiles would cost more than the
// product. The matrix is read in order, four rows of it at a time, and comes from memory once.
// Every element of the result is summed in the order in which gemm sums it: the bits are the same.

import { LANES, loadTail, multiplyAdd, storeTail } from "../simd";

/** sums (N,) += a[0] · b[0] (N,), then a[1] · b[1], … a[3] · b[3]; steps in bytes. */
function addFourRows<T>(
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
  const pairs = sums + (N & ~(2 * LANES<T>() - 1)) * sizeof<T>();
  while (sums != pairs) {
    let s = v128.load(sums);
    let t = v128.load(sums, 16);
    s = multiplyAdd<T>(a0, v128.load(b), s);
    t = multiplyAdd<T>(a0, v128.load(b, 16), t);
    s = multiplyAdd<T>(a1, v128.load(b1), s);
    t = multiplyAdd<T>(a1, v128.load(b1, 16), t);
    s = multiplyAdd<T>(a2, v128.load(b2), s);
    t = multiplyAdd<T>(a2, v128.load(b2, 16), t);
    s = multiplyAdd<T>(a3, v128.load(b3), s);
    t = multiplyAdd<T>(a3, v128.load(b3, 16), t);
    v128.store(sums, s);
    v128.store(sums, t, 16);
    sums += 32;
    b += 32;
    b1 += 32;
    b2 += 32;
    b3 += 32;
  }
  for (let rest = N & (2 * LANES<T>() - 1); rest > 0; ) {
    const n = min(rest, LANES<T>());
    if (n == LANES<T>()) {
      let s = v128.load(sums);
      s = multiplyAdd<T>(a0, v128.load(b), s);
      s = multiplyAdd<T>(a1, v128.load(b1), s);
      s = multiplyAdd<T>(a2, v128.load(b2), s);
      s = multiplyAdd<T>(a3, v128.load(b3), s);
      v128.store(sums, s);
    } else {
      let s = loadTail<T>(sums, n);
      s = multiplyAdd<T>(a0, loadTail<T>(b, n), s);
      s = multiplyAdd<T>(a1, loadTail<T>(b1, n), s);
      s = multiplyAdd<T>(a2, loadTail<T>(b2, n), s);
      s = multiplyAdd<T>(a3, loadTail<T>(b3, n), s);
      storeTail<T>(sums, s, n);
    }
    rest -= n;
    sums += 16;
    b += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
  }
}

/** sums (N,) += a[0] · b (N,) */
function addRow<T>(sums: usize, a: usize, b: usize, N: usize): void {
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

/** to (n,) = 0 */
function clear<T>(to: usize, n: usize): void {
  const end = to + n * sizeof<T>();
  for (; to != end; to += sizeof<T>()) store<T>(to, 0);
}

/** c (n,) = max(c, floor), which keeps a NaN */
function raise<T>(c: usize, floor: T, n: usize): void {
  const least = v128.splat<T>(floor);
  const whole = c + (n & ~(LANES<T>() - 1)) * sizeof<T>();
  for (; c != whole; c += 16) v128.store(c, v128.pmax<T>(v128.load(c), least));
  const rest = n & (LANES<T>() - 1);
  if (rest) storeTail<T>(c, v128.pmax<T>(loadTail<T>(c, rest), least), rest);
}

/** to (N,) += from (N,) */
function add<T>(to: usize, from: usize, N: usize): void {
  const end = to + N * sizeof<T>();
  for (; to != end; to += sizeof<T>()) {
    store<T>(to, load<T>(to) + load<T>(from));
    from += sizeof<T>();
  }
}

/**
 * c (M, N) = max(a (M, K) · b (K, N) + row (N,), floor), as gemm for a row-major b, with its blocks of KC products.
 * work holds M · N elements.
 */
export function gemv<T>(
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
  KC: usize,
): void {
  const size = sizeof<T>();
  const bStep = rsb * size;
  const aStep = csa * size;
  let pc: usize = 0;
  do {
    // Sums of the first block go to c itself, those of the others are added to it.
    const sums = pc == 0 ? c : work;
    clear<T>(sums, M * N);
    const end = min(pc + KC, K);
    let k = pc;
    for (; k + 4 <= end; k += 4) {
      for (let i: usize = 0; i < M; i++) {
        const from = a + (i * rsa + k * csa) * size;
        addFourRows<T>(sums + i * N * size, from, aStep, b + k * bStep, bStep, N);
      }
    }
    for (; k < end; k++) {
      for (let i: usize = 0; i < M; i++) {
        addRow<T>(sums + i * N * size, a + (i * rsa + k * csa) * size, b + k * bStep, N);
      }
    }
    if (pc != 0) add<T>(c, work, M * N);
    else if (row != 0) {
      for (let i: usize = 0; i < M; i++) add<T>(c + i * N * size, row, N);
    }
    pc += KC;
  } while (pc < K);
  if (floor > -Infinity) raise<T>(c, floor, M * N);
}
