// The weights of a loss's rows.

/**
 * Returns the weight of row n. Without weights it is 1, so that such a loss has the bits of one
 * whose weights are all 1.
 *
 * @inline
 */
export function weightOf(weights: usize, n: usize): f64 {
  return weights == 0 ? 1 : load<f64>(weights + (n << 3));
}
