// NumPy's legacy stream: the Mersenne Twister of Matsumoto and Nishimura (ACM TOMACS 8, 1998) and
// the draws that numpy.random.RandomState makes of it (frozen by NumPy's NEP 19).
//
// State, 2512 bytes: 624 words, the position in them, whether a normal value waits, that value.

import { log } from "../math/log";

/** @inline */
const N: usize = 624;
/** @inline */
const M: usize = 397;
/**
 * The state has here how many of the words have been drawn since all were made.
 *
 * @constant mt19937Position @inline
 */
const POSITION: usize = 2496;
/** @inline */
const HAS_GAUSS: usize = 2500;
/** @inline */
const GAUSS: usize = 2504;

/** @kernel */
export function mt19937StateBytes(): usize {
  return 2512;
}

/** Sets the state as np.random.seed(seed) does with one whole number. @kernel */
export function mt19937Seed(state: usize, seed: u32): void {
  let word = seed;
  for (let i: usize = 0; i < N; i++) {
    store<u32>(state + (i << 2), word);
    word = 1812433253 * (word ^ (word >> 30)) + <u32>i + 1;
  }
  store<u32>(state, <u32>N, POSITION);
  store<u32>(state, 0, HAS_GAUSS);
  store<f64>(state, 0, GAUSS);
}

/** @inline */
function twist(state: usize, i: usize, next: usize, middle: usize): void {
  const y =
    (load<u32>(state + (i << 2)) & 0x80000000) | (load<u32>(state + (next << 2)) & 0x7fffffff);
  const odd = 0 - (y & 1);
  store<u32>(state + (i << 2), load<u32>(state + (middle << 2)) ^ (y >> 1) ^ (odd & 0x9908b0df));
}

/** Returns the next 32 bits. */
function next32(state: usize): u32 {
  let position = <usize>load<u32>(state, POSITION);
  if (position == N) {
    let i: usize = 0;
    for (; i < N - M; i++) twist(state, i, i + 1, i + M);
    for (; i < N - 1; i++) twist(state, i, i + 1, i + M - N);
    twist(state, N - 1, 0, M - 1);
    position = 0;
  }
  let y = load<u32>(state + (position << 2));
  store<u32>(state, <u32>(position + 1), POSITION);
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >> 18);
}

/** Returns a float64 of 53 bits on [0, 1). */
export function nextDouble(state: usize): f64 {
  const a = next32(state) >> 5;
  const b = next32(state) >> 6;
  return (<f64>a * 67108864.0 + <f64>b) / 9007199254740992.0;
}

/** out (n,) float64, uniform on [0, 1). @kernel */
export function mt19937Rand(out: usize, state: usize, n: usize): void {
  const end = out + n * sizeof<f64>();
  for (; out != end; out += sizeof<f64>()) store<f64>(out, nextDouble(state));
}

/**
 * Returns a standard normal value by Marsaglia's polar method; every second one was made together
 * with the one before.
 */
function nextGauss(state: usize): f64 {
  if (load<u32>(state, HAS_GAUSS)) {
    store<u32>(state, 0, HAS_GAUSS);
    return load<f64>(state, GAUSS);
  }
  let x1: f64, x2: f64, r2: f64;
  do {
    x1 = 2 * nextDouble(state) - 1;
    x2 = 2 * nextDouble(state) - 1;
    r2 = x1 * x1 + x2 * x2;
  } while (r2 >= 1 || r2 == 0);
  const f = sqrt<f64>((-2 * log(r2)) / r2);
  store<f64>(state, f * x1, GAUSS);
  store<u32>(state, 1, HAS_GAUSS);
  return f * x2;
}

/** out (n,) float64, normal with mean 0 and deviation 1. @kernel */
export function mt19937Randn(out: usize, state: usize, n: usize): void {
  const end = out + n * sizeof<f64>();
  for (; out != end; out += sizeof<f64>()) store<f64>(out, nextGauss(state));
}

/** Returns a whole number on [0, most], by masking and rejection. Nothing is drawn if most is 0. */
function nextInterval(state: usize, most: u32): u32 {
  if (most == 0) return 0;
  const mask = <u32>0xffffffff >> clz<u32>(most);
  let value: u32;
  do {
    value = next32(state) & mask;
  } while (value > most);
  return value;
}

/** out (n,) int32, whole numbers on [low, low + range]. @kernel */
export function mt19937Randint(out: usize, state: usize, n: usize, low: i32, range: u32): void {
  const end = out + n * sizeof<i32>();
  for (; out != end; out += sizeof<i32>()) {
    store<i32>(out, low + <i32>nextInterval(state, range));
  }
}

/** out (n,) int32: 0 … n − 1 shuffled by Fisher and Yates, from the last place down. @kernel */
export function mt19937Permutation(out: usize, state: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) store<i32>(out + (i << 2), <i32>i);
  for (let i = n; i > 1; i--) {
    const a = out + ((i - 1) << 2);
    const b = out + ((<usize>nextInterval(state, <u32>i - 1)) << 2);
    const value = load<i32>(a);
    store<i32>(a, load<i32>(b));
    store<i32>(b, value);
  }
}
