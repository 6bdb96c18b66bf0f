// @ts-check
// The convolutional networks of images.js, described once for everybody who takes part. Batch normalisation is
// folded into the convolutions, as whoever serves a network has it.

import { uniform } from "./numbers.js";

/**
 * conv: weight (KH, KW, C / groups, F), padded so that ⌈H / stride⌉ comes out, the odd pixel at bottom and right.
 * affine: weight (D, M), over an image as it lies in memory, [H, W, C].
 *
 * @typedef {object} Conv
 * @property {"conv"} kind
 * @property {number} filters
 * @property {[number, number]} kernel
 * @property {number} stride
 * @property {number} groups
 * @property {Float32Array} weight
 * @property {Float32Array} bias
 * @property {boolean} relu
 *
 * @typedef {{ kind: "affine", units: number, weight: Float32Array, bias: Float32Array, relu: boolean }} Affine
 * @typedef {{ kind: "maxPool" } | { kind: "globalAverage" }} Pool Windows of 2 × 2, or of the whole image
 *
 * @typedef {(Conv | Affine | Pool) & { in: number[], out: number[] }} Layer With the shapes of an example: [H, W, C]
 *   or [D]
 *
 * @typedef {object} ImageNetwork
 * @property {string} name
 * @property {number[]} input
 * @property {Layer[]} layers
 * @property {number} flop Multiplications and additions for an example
 */

/**
 * @typedef {[filters: number, kernel: number | [number, number], options?: { stride?: number, groups?: number }]} ConvStep
 * @typedef {{ conv: ConvStep } | { affine: number, relu?: boolean } | "maxPool" | "globalAverage"} Step
 */

/**
 * @param {string} name
 * @param {number[]} input
 * @param {Step[]} steps
 * @returns {ImageNetwork}
 */
function network(name, input, steps) {
  /** @type {Layer[]} */
  const layers = [];
  let shape = input;
  let flop = 0;
  /** He et al.'s bound for uniform weights, so that values keep their size from layer to layer. */
  const draw = (/** @type {number} */ length, /** @type {number} */ terms) =>
    uniform(length, 100 + layers.length, Math.sqrt(6 / terms));
  for (const step of steps) {
    const before = shape;
    if (step === "maxPool") {
      shape = [shape[0] >> 1, shape[1] >> 1, shape[2]];
      layers.push({ kind: step, in: before, out: shape });
    } else if (step === "globalAverage") {
      shape = [shape[2]];
      layers.push({ kind: step, in: before, out: shape });
    } else if ("conv" in step) {
      const [filters, size, { stride = 1, groups = 1 } = {}] = step.conv;
      const kernel = /** @type {[number, number]} */ (
        typeof size === "number" ? [size, size] : size
      );
      const [H, W, C] = shape;
      const terms = (kernel[0] * kernel[1] * C) / groups;
      shape = [Math.ceil(H / stride), Math.ceil(W / stride), filters];
      flop += 2 * terms * shape[0] * shape[1] * filters;
      layers.push({
        ...{ kind: "conv", filters, kernel, stride, groups, relu: true, in: before, out: shape },
        ...{
          weight: draw(terms * filters, terms),
          bias: uniform(filters, 200 + layers.length, 0.1),
        },
      });
    } else {
      const D = shape.reduce((product, length) => product * length, 1);
      const { affine: units, relu = false } = step;
      shape = [units];
      flop += 2 * D * units;
      layers.push({
        ...{ kind: "affine", units, relu, in: before, out: shape },
        ...{ weight: draw(D * units, D), bias: uniform(units, 200 + layers.length, 0.1) },
      });
    }
  }
  return { name, input, layers, flop };
}

/**
 * A depthwise convolution and one of 1 × 1.
 *
 * @param {number} channels
 * @param {number} filters
 * @param {number} [stride]
 * @returns {Step[]}
 */
const separable = (channels, filters, stride = 1) => [
  { conv: [channels, 3, { stride, groups: channels }] },
  { conv: [filters, 1] },
];

/** LeNet with 8 and 16 filters of 5 × 5. */
export const lenet = network(
  "LeNet",
  [28, 28, 1],
  [{ conv: [8, 5] }, "maxPool", { conv: [16, 5] }, "maxPool", { affine: 10 }],
);

/** The shapes of MLPerf Tiny, and LeNet. ResNet-8 is its longest chain: what goes around it is left out. */
export const imageNetworks = [
  lenet,
  network(
    "DS-CNN",
    [49, 10, 1],
    [
      { conv: [64, [10, 4], { stride: 2 }] },
      ...[1, 2, 3, 4].flatMap(() => separable(64, 64)),
      "globalAverage",
      { affine: 12 },
    ],
  ),
  network(
    "MobileNet 0.25",
    [96, 96, 3],
    [
      { conv: [8, 3, { stride: 2 }] },
      ...separable(8, 16),
      ...separable(16, 32, 2),
      ...separable(32, 32),
      ...separable(32, 64, 2),
      ...separable(64, 64),
      ...separable(64, 128, 2),
      ...[1, 2, 3, 4, 5].flatMap(() => separable(128, 128)),
      ...separable(128, 256, 2),
      ...separable(256, 256),
      "globalAverage",
      { affine: 2 },
    ],
  ),
  network(
    "ResNet-8, its chain",
    [32, 32, 3],
    [
      ...[16, 16, 16].map((filters) => ({ conv: /** @type {ConvStep} */ ([filters, 3]) })),
      { conv: [32, 3, { stride: 2 }] },
      { conv: [32, 3] },
      { conv: [64, 3, { stride: 2 }] },
      { conv: [64, 3] },
      "globalAverage",
      { affine: 10 },
    ],
  ),
  network(
    "autoencoder",
    [640],
    [
      ...[128, 128, 128, 128, 8, 128, 128, 128, 128].map((affine) => ({ affine, relu: true })),
      { affine: 640 },
    ],
  ),
];
