// Inverted dropout: mask = (r >= p) / (1 − p), out = x · mask.
// Srivastava et al., "Dropout", JMLR 15 (2014).

import { LANES, loadTail, storeTail } from "../simd";
import { mt19937Seed, mt19937StateBytes, nextDouble } from "../random/mt19937";
import { philox4x32x4 } from "../random/philox";

/** Bytes of workspace for dropoutForwardSeeded: the generator's state. */
export function dropoutSeededWorkBytes(): usize {
  return mt19937StateBytes();
}

/** With r = np.random.seed(seed); np.random.rand(n). out may be x. */
export function dropoutForwardSeeded<T>(
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
    store<T>(out + at, load<T>(x + at) * m);
  }
}

/** Bytes of workspace for dropoutForward: sixteen draws. */
export function dropoutWorkBytes(): usize {
  return 64;
}

/**
 * With r = word / 2³² of the Philox stream of this key from this counter on; every 16 elements use four
 * blocks. out may be x.
 */
export function dropoutForward<T>(
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
  // r >= p in whole numbers: word >= p · 2³².
  const threshold = i32x4.splat(<u32>(p * 4294967296.0));
  const scale = v128.splat<T>(<T>(1 / (1 - p)));
  let counter = (<u64>counterHigh << 32) | <u64>counterLow;
  const whole = n & ~(LANES<T>() - 1);
  for (let i: usize = 0; i < n; i += 16) {
    philox4x32x4(work, key, counter);
    counter += 4;
    const end = min(i + 16, n);
    let draw = work;
    for (let j = i; j < end; j += LANES<T>()) {
      const at = j * sizeof<T>();
      let keep: v128;
      if (sizeof<T>() == 8) {
        const words = v128.load64_zero(draw);
        keep = i64x2.extend_low_i32x4_s(i32x4.ge_u(words, threshold));
      } else {
        keep = i32x4.ge_u(v128.load(draw), threshold);
      }
      const m = v128.and(keep, scale);
      if (j < whole) {
        v128.store(mask + at, m);
        v128.store(out + at, v128.mul<T>(v128.load(x + at), m));
      } else {
        storeTail<T>(mask + at, m, n - j);
        storeTail<T>(out + at, v128.mul<T>(loadTail<T>(x + at, n - j), m), n - j);
      }
      draw += LANES<T>() * sizeof<u32>();
    }
  }
}

/** dx = dout · mask. dx may be dout. */
export function dropoutBackward<T>(dx: usize, dout: usize, mask: usize, n: usize): void {
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
