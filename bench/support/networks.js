// @ts-check
import { uniform } from "./numbers.js";

/** He et al.'s bound for uniform weights, so that values keep their size from layer to layer. */
const bound = (/** @type {number} */ D) => Math.sqrt(6 / D);

/**
 * @param {number[]} sizes
 * @param {number} batch
 */
export function networkOf(sizes, batch) {
  const shapes = sizes.slice(1).map((M, i) => [sizes[i], M]);
  return {
    ...{ sizes, batch },
    weights: shapes.map(([D, M], i) => uniform(D * M, 10 + i, bound(D))),
    biases: shapes.map(([, M], i) => uniform(M, 20 + i, 0.1)),
  };
}

/**
 * @param {number[]} sizes
 * @param {number} batch
 * @returns {import("../contenders/index.js").Training}
 */
export function trainingOf(sizes, batch) {
  const classes = sizes[sizes.length - 1];
  // Four batches, and a rate at which none is learnt by heart: no unit dies, and nothing ever becomes denormal.
  const seeds = [30, 31, 32, 33];
  return {
    ...networkOf(sizes, batch),
    inputs: seeds.map((seed) => uniform(batch * sizes[0], seed)),
    labels: seeds.map((seed) =>
      Int32Array.from(uniform(batch, seed + 10), (u) => Math.floor(((u + 1) / 2) * classes)),
    ),
    rate: 1e-3,
    momentum: 0.9,
  };
}
