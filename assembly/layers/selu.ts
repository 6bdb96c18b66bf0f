// The scaled exponential linear unit: λ · x where x > 0, and λ · α · (exp(x) − 1) elsewhere, with
// the constants by which means of 0 and variances of 1 stay what they are from layer to layer.
// Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", 2017,
// arXiv:1706.02515.

import { scaledEluBackward, scaledEluForward } from "./elu";

/** λ @inline */
const SCALE: f64 = 1.0507009873554805;
/** λ · α, with α = 1.6732632423543772 @inline */
const FACTOR: f64 = 1.7580993408473766;

/** @kernel @operation selu */
export function seluForward<T extends number>(out: usize, x: usize, n: usize): void {
  scaledEluForward<T>(out, x, n, FACTOR, SCALE);
}

/** dx may be dout. @kernel */
export function seluBackward<T extends number>(dx: usize, dout: usize, x: usize, n: usize): void {
  scaledEluBackward<T>(dx, dout, x, n, FACTOR, SCALE);
}
