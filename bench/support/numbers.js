// @ts-check
// Operands that are the same in every run, and the check that contenders agree.

/** A result that is not what it should be; ends the run with a failure. */
export class WrongResult extends Error {}

/**
 * Uniform on [−scale, scale): mulberry32.
 *
 * @param {number} length
 * @param {number} seed
 * @param {number} scale
 */
export function uniform(length, seed, scale = 1) {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return scale * (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1);
  });
}

/**
 * @param {string} what For the message
 * @param {ArrayLike<number>} got
 * @param {ArrayLike<number>} expected
 * @param {number} tolerance Of the greatest expected magnitude
 */
export function checkClose(what, got, expected, tolerance) {
  if (got.length !== expected.length) {
    throw new WrongResult(`${what}: ${got.length} values, expected ${expected.length}`);
  }
  let scale = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    // Not "greater than", which a NaN would pass.
    if (!(Math.abs(got[i] - expected[i]) <= tolerance * scale)) {
      throw new WrongResult(`${what}: [${i}] is ${got[i]}, expected ${expected[i]}`);
    }
  }
}
