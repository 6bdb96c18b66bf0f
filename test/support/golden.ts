// The fixtures of test/golden, which make.py there computes with NumPy and PyTorch.

import { readFileSync } from "node:fs";
import type { Runtime, Tensor } from "../../src/index.ts";

export interface GoldenArray {
  shape: number[];
  data: number[];
}

type Arrays<Name extends string> = Record<Name, GoldenArray>;

interface Files {
  layers: {
    affine: Arrays<"x" | "w" | "b" | "dout" | "out" | "dx" | "dw" | "db">;
    relu: Arrays<"x" | "dout" | "out" | "dx">;
    batchnormTrain: BatchnormCase &
      Arrays<"runningMeanAfter" | "runningVarAfter"> & { momentum: number };
    batchnormTest: BatchnormCase;
    softmax: LossCase;
    svm: LossCase;
    sigmoid: UnaryCase;
    tanh: UnaryCase;
    leakyRelu: UnaryCase & { negativeSlope: number };
    gelu: UnaryCase;
    softmaxLayer: UnaryCase;
    normalize: UnaryCase & Arrays<"mean" | "std">;
    bce: LossCase;
    mse: LossCase;
    softmaxWeighted: LossCase & Arrays<"classWeights">;
    svmWeighted: LossCase & Arrays<"classWeights">;
  };
  activations: Record<
    | "silu"
    | "hardSwish"
    | "hardSigmoid"
    | "relu6"
    | "elu"
    | "selu"
    | "softplus"
    | "softsign"
    | "mish"
    | "geluTanh"
    | "logSoftmax"
    | "logSoftmaxFirst"
    | "softmaxFirst",
    UnaryCase
  > & { prelu: Arrays<"x" | "weight" | "dout" | "out" | "dx" | "dweight"> };
  sequences: {
    embedding: Arrays<"indices" | "weight" | "dout" | "out" | "dweight">;
    attention: Record<
      string,
      { heads: number; causal: boolean; mask?: GoldenArray } & Arrays<
        "q" | "k" | "v" | "dout" | "out" | "dq" | "dk" | "dv"
      >
    >;
  };
  optim: {
    steps: number;
    start: number[];
    target: number[];
    stiffness: number[];
    /** w after so many steps, and the options in PyTorch's words. */
    runs: Record<string, { options: Record<string, number>; after: Record<string, number[]> }>;
  };
  random: {
    dropout: { seed: number; p: number; shape: number[]; scale: number; keep: string }[];
  };
  training: {
    batch: number;
    steps: number;
    mu: number;
    eps: number;
    runs: {
      loss: "softmax" | "svm";
      batchnorm: boolean;
      learningRate: number;
      losses: number[];
    }[];
  } & Arrays<"x" | "y" | "w1" | "w2" | "w3">;
  networks: {
    sizes: number[];
    examples: number;
    batch: number;
    steps: number;
    runs: {
      batchnorm: boolean;
      loss: "softmax" | "svm";
      optimizer: "sgd" | "momentum" | "rmsprop" | "adam";
      losses: number[];
      lastBias: number[];
    }[];
    stateDicts: ({ dtype: "float32" | "float64"; base64: string } & Arrays<"x" | "out">)[];
  };
  images: {
    shape: number[];
    batch: number;
    y: number[];
    runs: {
      network: "pooled_network" | "flat_network";
      optimizer: "momentum" | "adam";
      losses: number[];
      last: Record<string, GoldenArray>;
    }[];
  };
}

type BatchnormCase = { eps: number } & Arrays<
  | ("x" | "gamma" | "beta" | "dout" | "runningMean" | "runningVar")
  | ("out" | "dx" | "dgamma" | "dbeta")
>;

type UnaryCase = Arrays<"x" | "dout" | "out" | "dx">;

type LossCase = { loss: number } & Arrays<"x" | "y" | "dx">;

export function golden<Name extends keyof Files>(name: Name): Files[Name] {
  const url = new URL(`../golden/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8"));
}

export function fromGolden(runtime: Runtime, { data, shape }: GoldenArray): Tensor<"float64"> {
  return runtime.tensor(data, shape, "float64");
}
