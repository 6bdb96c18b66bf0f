// Networks over images and sequences, of odd sizes: strides that leave a rest, kernels larger than
// the image, 1, 3 and 17 channels.

import {
  affine,
  augment,
  avgPool1d,
  avgPool2d,
  batchnorm,
  conv1d,
  conv2d,
  convTranspose2d,
  dropout,
  flatten,
  globalAvgPool,
  groupnorm,
  gru,
  type LayerSpec,
  layernorm,
  lstm,
  maxPool1d,
  maxPool2d,
  permute,
  relu,
  relu6,
  reshape,
  rnn,
  sigmoid,
  softmax,
  tanh,
  upsample2d,
  zeroPad2d,
} from "../../src/index.ts";

export interface Net {
  readonly input: readonly number[];
  readonly layers: () => LayerSpec[];
  readonly output: readonly number[];
}

export const nets: Readonly<Record<string, Net>> = {
  "a convolution with ReLU": {
    input: [5, 7, 3],
    layers: () => [conv2d(4, 3), relu()],
    output: [3, 5, 4],
  },
  "recurrent layers one behind the other": {
    input: [7, 3],
    layers: () => [
      ...[rnn(5, { returnSequences: true }), relu()],
      ...[lstm(6, { bidirectional: true, returnSequences: true }), gru(4, { layers: 2 })],
      affine(3),
    ],
    output: [3],
  },
  "LeNet of a small image": {
    input: [8, 8, 1],
    layers: () => [
      ...[conv2d(3, 3, { padding: "same" }), relu(), maxPool2d(2)],
      ...[conv2d(5, [3, 2]), relu(), maxPool2d(2, { ceil: true }), flatten(), affine(4)],
    ],
    output: [4],
  },
  "batch normalisation folded into a convolution, then ReLU": {
    input: [5, 4, 2],
    layers: () => [
      ...[conv2d(3, 3, { useBias: false, stride: 2, padding: 1 }), batchnorm(), relu()],
      ...[conv2d(17, 1), batchnorm(), relu6(), globalAvgPool(), affine(2)],
    ],
    output: [2],
  },
  "batch normalisation of features behind a flattened convolution": {
    input: [3, 4, 2],
    layers: () => [conv2d(3, 2), flatten(), batchnorm(), relu(), affine(3)],
    output: [3],
  },
  "batch normalisation of an image": {
    input: [3, 4, 3],
    layers: () => [batchnorm(), conv2d(2, 2), tanh()],
    output: [2, 3, 2],
  },
  "a depthwise convolution between two of one pixel": {
    input: [4, 5, 3],
    layers: () => [
      ...[conv2d(6, 1), relu(), conv2d(6, 3, { groups: 6, padding: "same" }), batchnorm(), relu()],
      ...[conv2d(4, 1, { stride: 2 }), sigmoid()],
    ],
    output: [2, 3, 4],
  },
  "groups, dilation, and a kernel larger than the image": {
    input: [3, 2, 4],
    layers: () => [
      conv2d(6, [5, 3], { groups: 2, padding: { top: 3, left: 2, bottom: 2, right: 3 } }),
      conv2d(3, 2, { dilation: 2, groups: 3, padding: 1 }),
    ],
    output: [4, 5, 3],
  },
  "transposed convolutions": {
    input: [2, 3, 4],
    layers: () => [
      ...[convTranspose2d(3, 3, { stride: 2, outputPadding: 1, padding: 1 }), relu()],
      ...[convTranspose2d(2, 2, { padding: "same" }), batchnorm()],
    ],
    output: [4, 6, 2],
  },
  "averages that count the padding and that do not": {
    input: [5, 5, 3],
    layers: () => [
      avgPool2d(3, { stride: 2, padding: 1 }),
      avgPool2d(2, { stride: 1, padding: 1, countPadding: true }),
    ],
    output: [4, 4, 3],
  },
  "a sequence": {
    input: [9, 2],
    layers: () => [
      ...[conv1d(4, 3, { padding: { left: 2, right: 0 } }), relu(), maxPool1d(2, { stride: 3 })],
      ...[conv1d(3, 2), batchnorm(), avgPool1d(2, { stride: 1 }), globalAvgPool(), softmax()],
    ],
    output: [3],
  },
  "an image of one pixel": {
    input: [1, 1, 17],
    layers: () => [conv2d(3, 1), relu(), conv2d(5, 3, { padding: 1 }), globalAvgPool()],
    output: [5],
  },
  "normalisation of groups and of single channels": {
    input: [3, 5, 6],
    layers: () => [
      ...[
        groupnorm({ groups: 3 }),
        relu(),
        conv2d(5, 2, { padding: { top: 1, left: 0, bottom: 0, right: 1 } }),
      ],
      ...[groupnorm({ groups: 5, eps: 1e-3 }), conv2d(17, 1), groupnorm({ groups: 1 }), affine(3)],
    ],
    output: [3],
  },
  "layer normalisation of rows and of features": {
    input: [4, 5],
    layers: () => [layernorm(), tanh(), affine(7), layernorm({ eps: 0.1 }), relu(), affine(2)],
    output: [2],
  },
  "padded images, made larger": {
    input: [2, 3, 3],
    layers: () => [
      ...[zeroPad2d({ top: 2, left: 0, bottom: 1, right: 3 }), conv2d(4, 3), relu()],
      ...[upsample2d([3, 2]), conv2d(3, 2, { stride: 2 }), zeroPad2d([0, 1]), upsample2d(1)],
    ],
    output: [4, 6, 3],
  },
  "axes that change places, and shapes": {
    input: [3, 4, 5],
    layers: () => [
      ...[permute([2, 0, 1]), conv2d(3, [2, 1]), relu(), permute([1, 0, 2]), reshape([6, -1])],
      ...[tanh(), permute([1, 0]), reshape([2, 3, 6]), permute([0, 1, 2]), batchnorm()],
    ],
    output: [2, 3, 6],
  },
  "one axis alone": {
    input: [7],
    layers: () => [permute([0]), affine(6), reshape([1, 2, 3]), permute([2, 0, 1]), relu()],
    output: [3, 1, 2],
  },
  "augmented and dropped images, served as they are": {
    input: [4, 4, 1],
    layers: () => [
      augment({ shift: 1, rotate: 20, crop: 0.2, flip: true }),
      ...[conv2d(3, 3), dropout(0.3), relu(), flatten(), affine(2)],
    ],
    output: [2],
  },
};
