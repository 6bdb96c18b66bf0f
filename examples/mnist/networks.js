// @ts-check
// The networks of the demo, and what they learn best with. All was chosen on 5,000 training digits
// held back, never on the test digits.

import {
  adam,
  affine,
  augment,
  batchnorm,
  conv2d,
  cosine,
  dropout,
  linear,
  maxPool2d,
  momentum,
  normalize,
  relu,
} from "lamella";

// A bias before batch normalisation would be taken away with the mean.
const useBias = false;

const hidden = (/** @type {number} */ units) => [
  affine(units, { useBias }),
  batchnorm(),
  relu(),
  dropout(0.2),
];

// To normalise what is left after pooling takes a quarter of the time.
const block = (/** @type {number} */ filters) => [
  conv2d(filters, 5, { useBias }),
  maxPool2d(2),
  batchnorm(),
  relu(),
];

export const networks = {
  /** 784-256-128-10 */
  mlp: {
    input: [28 * 28],
    layers: [normalize({ mean: 0, std: 255 }), ...hidden(256), ...hidden(128), affine(10)],
    batchSize: 125,
    optimizer: (/** @type {number} */ steps) =>
      momentum({ learningRate: linear({ from: 0.2, steps }) }),
    isConvolutional: false,
  },
  /** LeNet's shape, with normalisation; it sees each digit a pixel up or down and to either side. */
  cnn: {
    input: [28, 28, 1],
    layers: [
      normalize({ mean: 33, std: 79 }), // the mean and deviation of all pixels
      augment({ shift: 1 }),
      ...[...block(8), ...block(24)],
      ...[affine(128, { useBias }), batchnorm(), relu(), dropout(0.4)],
      affine(10),
    ],
    batchSize: 100,
    optimizer: (/** @type {number} */ steps) =>
      adam({ learningRate: cosine({ from: 4e-3, steps }) }),
    isConvolutional: true,
  },
};
