// Inverted dropout: mask = (r >= p) / (1 − p), out = x · mask.
// Srivastava et al., "Dropout", JMLR 15 (2014).

import { mt19937Seed, mt19937StateBytes, nextDouble } from "../random/mt19937";
import { philox4x32x4 } from "../random/philox";
import { LANES, loadLanes, loadTail, storeLanes, storeTail } from "../simd";
import { SHARED, threads } from "../threads/queue";
import { at, Elements, jobOf, planSplit, split, splitElements } from "../threads/split";

/**
 * Returns how many bytes of workspace dropoutForwardSeeded needs, for the generator's state.
 *
 * @kernel
 */
export function dropoutSeededWorkBytes(): usize {
  return mt19937StateBytes();
}

/** Draws r as np.random.seed(seed); np.random.rand(n) does. out may be x. @kernel */
export function dropoutForwardSeeded<T extends number>(
  out: usize, // (n,)
  mask: usize, // (n,)
  x: usize, // (n,)
  work: usize,
  n: usize,
  p: f64,
  seed: u32,
): void {
  mt19937Seed(work, seed);
  const scale = <T>(1 / (1 - p));
  for (let i: usize = 0; i < n; i++) {
    const at = i * sizeof<T>();
    const m = nextDouble(work) >= p ? scale : <T>0;
    store<T>(mask + at, m);
    store<T>(out + at, <T>(load<T>(x + at) * m));
  }
}

/**
 * Returns how many bytes of workspace dropoutForward needs, for the state of four generators and
 * two constants.
 *
 * @kernel
 */
export function dropoutWorkBytes(): usize {
  return SHARED ? max(threads(), 1) * THREAD_WORK : 96;
}

/**
 * One seeding serves this many elements. The number belongs to the definition of the stream, as the
 * counter does.
 *
 * @constant dropoutChunk @inline
 */
const CHUNK: usize = 4096;
/** The workspaces of two threads are this far apart. @inline */
const THREAD_WORK: usize = 128;

/** @inline */
function rotateLeft(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(x, bits), i32x4.shr_u(x, 32 - bits));
}

/**
 * Sets mask = (words >= threshold) · scale and out = x · mask for the first n of four elements. The
 * two constants are at work + 64 and work + 80. The words are signed, as unsigned ones take two
 * instructions for the comparison.
 *
 * @inline
 */
function drop<T extends number>(
  out: usize,
  mask: usize,
  x: usize,
  words: v128,
  work: usize,
  n: usize,
): void {
  const drops = i32x4.gt_s(v128.load(work, 64), words);
  const scale = v128.load(work, 80);
  if (sizeof<T>() == 4) {
    const m = v128.andnot(scale, drops);
    storeLanes<T>(mask, m, n);
    storeLanes<T>(out, v128.mul<T>(loadLanes<T>(x, n), m), n);
  } else {
    const low = v128.andnot(scale, i64x2.extend_low_i32x4_s(drops));
    storeLanes<T>(mask, low, min(n, 2));
    storeLanes<T>(out, v128.mul<T>(loadLanes<T>(x, min(n, 2)), low), min(n, 2));
    if (n > 2) {
      const high = v128.andnot(scale, i64x2.extend_high_i32x4_s(drops));
      storeLanes<T>(mask + 16, high, n - 2);
      storeLanes<T>(out + 16, v128.mul<T>(loadLanes<T>(x + 16, n - 2), high), n - 2);
    }
  }
}

@unmanaged
class DrawsJob {
  out: usize;
  mask: usize;
  x: usize;
  work: usize;
  key: u32;
  counterLow: u32;
  counterHigh: u32;
  p: f64;
}

/**
 * Draws r as word / 2³² + ½, as words are signed. Every 4,096 elements have four xoshiro128+
 * generators (Blackman and Vigna, ACM TOMS 47, 2021) of their own, which draw in turn and are
 * seeded with four blocks of Philox: a draw depends on key, counter and place alone, whichever
 * thread computes it. out may be x.
 *
 * @kernel
 */
export function dropoutForward<T extends number>(
  out: usize, // (n,)
  mask: usize, // (n,)
  x: usize, // (n,)
  work: usize,
  n: usize,
  p: f64,
  key: u32,
  counterLow: u32,
  counterHigh: u32,
): void {
  if (SHARED && planSplit(n, 2 * sizeof<T>(), 2 * CHUNK)) {
    const job = jobOf<DrawsJob>();
    job.out = out;
    job.mask = mask;
    job.x = x;
    job.work = work;
    job.key = key;
    job.counterLow = counterLow;
    job.counterHigh = counterHigh;
    job.p = p;
    split((from, n, thread) => {
      const job = jobOf<DrawsJob>();
      const first = ((<u64>job.counterHigh) << 32) | <u64>job.counterLow;
      const counter = first + 4 * (from / CHUNK);
      dropoutForward<T>(
        at<T>(job.out, from),
        at<T>(job.mask, from),
        at<T>(job.x, from),
        job.work + thread * THREAD_WORK,
        n,
        job.p,
        job.key,
        <u32>counter,
        <u32>(counter >> 32),
      );
    });
    return;
  }
  const size = sizeof<T>();
  // r >= p in whole numbers: word >= (p − ½) · 2³². Both constants go through memory, as V8
  // computes them anew in every step otherwise, the division included.
  v128.store(work, i32x4.splat(<i32>(<i64>(p * 4294967296.0) - 2147483648)), 64);
  v128.store(work, v128.splat<T>(<T>(1 / (1 - p))), 80);
  let counter = ((<u64>counterHigh) << 32) | <u64>counterLow;
  for (let i: usize = 0; i < n; i += CHUNK) {
    philox4x32x4(work, key, counter);
    counter += 4;
    let s0 = v128.load(work);
    let s1 = v128.load(work, 16);
    let s2 = v128.load(work, 32);
    let s3 = v128.load(work, 48);
    const count = min(n - i, CHUNK);
    const end = out + (count & ~3) * size;
    while (out != end) {
      drop<T>(out, mask, x, i32x4.add(s0, s3), work, 4);
      const t = i32x4.shl(s1, 9);
      s2 = v128.xor(s2, s0);
      s3 = v128.xor(s3, s1);
      s1 = v128.xor(s1, s2);
      s0 = v128.xor(s0, s3);
      s2 = v128.xor(s2, t);
      s3 = rotateLeft(s3, 11);
      out += 4 * size;
      mask += 4 * size;
      x += 4 * size;
    }
    if (count & 3) drop<T>(out, mask, x, i32x4.add(s0, s3), work, count & 3);
  }
}

/** dx = dout · mask. dx may be dout. @kernel */
export function dropoutBackward<T extends number>(
  dx: usize,
  dout: usize,
  mask: usize,
  n: usize,
): void {
  if (SHARED) {
    const kernel: Elements = (n, dx, dout, mask) => dropoutBackward<T>(dx, dout, mask, n);
    if (splitElements<T>(kernel, n, (3 * sizeof<T>()) / 2, dx, dout, mask)) return;
  }
  const whole = n & ~(LANES<T>() - 1);
  const end = dout + whole * sizeof<T>();
  while (dout != end) {
    v128.store(dx, v128.mul<T>(v128.load(dout), v128.load(mask)));
    dout += 16;
    mask += 16;
    dx += 16;
  }
  const rest = n - whole;
  if (rest) storeTail<T>(dx, v128.mul<T>(loadTail<T>(dout, rest), loadTail<T>(mask, rest)), rest);
}
