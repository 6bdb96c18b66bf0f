// What the processor can do at most through WebAssembly, in AssemblyScript; compiled by limits-core.js,
// once with relaxed SIMD and once without.

function step(sum: v128, a: v128): v128 {
  // sum · a + a: the sum depends on the step before, so no product can be moved out of the loop.
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(sum, a, a);
  return f32x4.add(f32x4.mul(sum, a), a);
}

/**
 * 96 operations a turn in twelve independent sums, which with `a` fit the registers. The factor is an argument and the
 * sums begin apart, so that a compiler can neither put constants in their place nor merge them.
 */
export function multiply_add(turns: i32, factor: f32): f32 {
  const a = f32x4.splat(factor);
  let s0 = a;
  let s1 = f32x4.add(s0, a);
  let s2 = f32x4.add(s1, a);
  let s3 = f32x4.add(s2, a);
  let s4 = f32x4.add(s3, a);
  let s5 = f32x4.add(s4, a);
  let s6 = f32x4.add(s5, a);
  let s7 = f32x4.add(s6, a);
  let s8 = f32x4.add(s7, a);
  let s9 = f32x4.add(s8, a);
  let s10 = f32x4.add(s9, a);
  let s11 = f32x4.add(s10, a);
  for (let i = 0; i < turns; i++) {
    s0 = step(s0, a);
    s1 = step(s1, a);
    s2 = step(s2, a);
    s3 = step(s3, a);
    s4 = step(s4, a);
    s5 = step(s5, a);
    s6 = step(s6, a);
    s7 = step(s7, a);
    s8 = step(s8, a);
    s9 = step(s9, a);
    s10 = step(s10, a);
    s11 = step(s11, a);
  }
  const low = f32x4.add(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)), f32x4.add(s4, s5));
  const high = f32x4.add(f32x4.add(f32x4.add(s6, s7), f32x4.add(s8, s9)), f32x4.add(s10, s11));
  return f32x4.extract_lane(f32x4.add(low, high), 0);
}

/** Reads a multiple of 128 bytes, eight 128-bit loads a turn. */
export function read(p: usize, bytes: usize): i32 {
  const end = p + bytes;
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  while (p < end) {
    s0 = i32x4.add(s0, v128.load(p));
    s1 = i32x4.add(s1, v128.load(p, 16));
    s2 = i32x4.add(s2, v128.load(p, 32));
    s3 = i32x4.add(s3, v128.load(p, 48));
    s0 = i32x4.add(s0, v128.load(p, 64));
    s1 = i32x4.add(s1, v128.load(p, 80));
    s2 = i32x4.add(s2, v128.load(p, 96));
    s3 = i32x4.add(s3, v128.load(p, 112));
    p += 128;
  }
  return i32x4.extract_lane(i32x4.add(i32x4.add(s0, s1), i32x4.add(s2, s3)), 0);
}

/** Copies a multiple of 64 bytes as a kernel would, by 128-bit loads and stores. */
export function copy_vectors(to: usize, from: usize, bytes: usize): void {
  const end = from + bytes;
  while (from < end) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
    from += 64;
    to += 64;
  }
}

export function copy(to: usize, from: usize, bytes: usize): void {
  memory.copy(to, from, bytes);
}
