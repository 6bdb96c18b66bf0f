// Networks that have every layer in every place that compiling treats differently.

import {
  affine,
  batchnorm,
  dropout,
  elu,
  flatten,
  gelu,
  hardSigmoid,
  type LayerSpec,
  leakyRelu,
  logSoftmax,
  normalize,
  prelu,
  relu,
  relu6,
  type Sequential,
  sigmoid,
  softmax,
  tanh,
} from "../../src/index.ts";
import { seeded } from "../support/core.ts";
import { layers, unary } from "./every.ts";

/** Numbers in [−2, 2). */
export function examples(count: number, size: number, seed = 1): Float64Array {
  const random = seeded(seed);
  return Float64Array.from({ length: count * size }, () => 4 * random() - 2);
}

/** Running statistics that are no longer 0 and 1, gammas and betas that are no longer 1 and 0. */
export function settle(model: Sequential<"float32" | "float64">, count = 8): void {
  const size = model.input.reduce((a, b) => a * b, 1);
  for (let i = 0; i < count; i++) {
    model.forward(Float32Array.from(examples(16, size, i)), { mode: "train" }).dispose();
  }
  const random = seeded(9);
  for (const [name, value] of Object.entries(model.stateDict())) {
    if (value.shape.length === 1 && !name.includes("running") && !name.includes("std")) {
      const data = value.data;
      for (let i = 0; i < data.length; i++) (data[i] as number) += random() - 0.5;
    }
  }
}

export const networks: Record<string, { input: number[]; layers: LayerSpec[] }> = {
  "affine alone": { input: [7], layers: [affine(5)] },
  "affine without a bias": {
    input: [7],
    layers: [affine(40, { useBias: false }), relu(), affine(3)],
  },
  "batch normalisation after affine, then ReLU": {
    input: [20],
    layers: [affine(33), batchnorm(), relu(), dropout(0.4), affine(10), batchnorm()],
  },
  "batch normalisation after ReLU": {
    input: [20],
    layers: [affine(33), relu(), batchnorm(), affine(10)],
  },
  "batch normalisation of the input": { input: [20], layers: [batchnorm(), batchnorm(), relu()] },
  "two batch normalisations in a row": {
    input: [6],
    layers: [affine(9), batchnorm(), batchnorm()],
  },
  "images, and every layer there is": {
    input: [4, 5],
    layers: [
      ...[
        normalize({ mean: 0.5, std: 2 }),
        flatten(),
        affine(40),
        batchnorm(),
        relu(),
        dropout(0.3),
      ],
      ...[affine(37), gelu(), affine(35), tanh(), batchnorm(), leakyRelu(0.1)],
      ...[affine(12, { useBias: false }), batchnorm(), sigmoid(), affine(6), softmax()],
    ],
  },
  "a product before each activation there is": {
    input: [6],
    layers: [...unary, "prelu"].flatMap((kind) => [affine(9), layers[kind]!()]),
  },
  "softmax over the last axis of the input": { input: [3, 4], layers: [softmax()] },
  "ReLU6 in the product, also where normalisation is folded into it": {
    input: [8],
    layers: [affine(33), batchnorm(), relu6(), affine(9), relu6(), relu6()],
  },
  "softmax and its logarithm over the first axis": {
    input: [3, 4],
    layers: [softmax({ axis: 0 }), logSoftmax({ axis: -2 })],
  },
  "settings of activations": {
    input: [5],
    layers: [
      ...[gelu({ approximate: "tanh" }), elu({ alpha: 0.5 })],
      ...[hardSigmoid({ alpha: 0.3, beta: 0.4 }), prelu({ shared: true })],
    ],
  },
  "nothing that computes": { input: [2, 3], layers: [dropout(0.5), flatten()] },
};
