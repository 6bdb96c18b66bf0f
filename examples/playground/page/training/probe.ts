// What goes through a network, layer by layer. A model keeps that to itself, so this calls the layers one by one, with the
// model's own tensors.

import {
  affineBackward,
  affineForward,
  batchnormBackward,
  batchnormForward,
  geluBackward,
  geluForward,
  type LayerSpec,
  leakyReluBackward,
  leakyReluForward,
  normalizeBackward,
  normalizeForward,
  reluBackward,
  reluForward,
  type Sequential,
  sigmoidBackward,
  sigmoidForward,
  softmaxBackward,
  softmaxForward,
  softmaxLoss,
  svmLoss,
  type Tensor,
  tanhBackward,
  tanhForward,
} from "lamella";
import { type Histogram, histogramOf } from "./histogram.ts";

type Matrix = Tensor<"float32">;

export interface LayerProbe {
  /** The layer's index in the network. */
  index: number;
  kind: LayerSpec["kind"];
  /** What leaves the layer. */
  activations: Histogram;
  /** The loss's gradient there. */
  gradients: Histogram;
}

interface Pass {
  out: Matrix;
  /** From the gradient of out to that of the layer's input. */
  back: (dout: Matrix) => Matrix;
}

/** Activations and gradients of a batch, normalised by the batch as in training, and without dropout. */
export function probe(
  model: Sequential,
  x: Matrix,
  y: Int32Array,
  loss: "softmax" | "svm",
): LayerProbe[] {
  return model.runtime.scope(() => {
    const passes: Pass[] = [];
    let below = x;
    for (const [i, spec] of model.layers.entries()) {
      const pass = forward(model, i, spec, below);
      passes.push(pass);
      below = pass.out;
    }
    const layers: LayerProbe[] = [];
    let dout = (loss === "svm" ? svmLoss : softmaxLoss)(below, y).dx;
    for (let i = passes.length - 1; i >= 0; i--) {
      const { out, back } = passes[i]!;
      layers.unshift({
        index: i,
        kind: model.layers[i]!.kind,
        activations: histogramOf(out.data),
        gradients: histogramOf(dout.data),
      });
      // Nobody asks for the gradient of the examples.
      if (i > 0) dout = back(dout);
    }
    return layers;
  });
}

function forward(model: Sequential, index: number, spec: LayerSpec, x: Matrix): Pass {
  const { runtime } = model;
  const state = model.stateDict();
  const of = (name: string) => state[`${index}.${name}`];
  switch (spec.kind) {
    case "affine": {
      const bias = of("bias") ?? runtime.zeros([spec.units]);
      const { out, cache } = affineForward(x, of("weight")!, bias);
      return { out, back: (dout) => affineBackward(dout, cache, { dw: false, db: false }).dx };
    }
    case "batchnorm": {
      const { eps, momentum } = spec;
      // Running values of its own, as the model's are the training's to move.
      const width = x.shape.slice(1);
      const running = { runningMean: runtime.zeros(width), runningVar: runtime.zeros(width) };
      const param = { mode: "train" as const, eps, momentum, ...running };
      const { out, cache } = batchnormForward(x, of("weight")!, of("bias")!, param);
      return { out, back: (dout) => batchnormBackward(dout, cache).dx };
    }
    case "normalize": {
      const { out, cache } = normalizeForward(x, of("mean")!, of("std")!);
      return { out, back: (dout) => normalizeBackward(dout, cache) };
    }
    case "leakyRelu": {
      const { out, cache } = leakyReluForward(x, { negativeSlope: spec.negativeSlope });
      return { out, back: (dout) => leakyReluBackward(dout, cache) };
    }
    case "relu": {
      const { out, cache } = reluForward(x);
      return { out, back: (dout) => reluBackward(dout, cache) };
    }
    case "gelu": {
      const { out, cache } = geluForward(x);
      return { out, back: (dout) => geluBackward(dout, cache) };
    }
    case "sigmoid": {
      const { out, cache } = sigmoidForward(x);
      return { out, back: (dout) => sigmoidBackward(dout, cache) };
    }
    case "tanh": {
      const { out, cache } = tanhForward(x);
      return { out, back: (dout) => tanhBackward(dout, cache) };
    }
    case "softmax": {
      const { out, cache } = softmaxForward(x);
      return { out, back: (dout) => softmaxBackward(dout, cache) };
    }
    // Examples are rows already, and dropout is left out.
    case "flatten":
    case "dropout":
      return { out: x, back: (dout) => dout };
    default:
      throw new Error(`the playground makes no layers of kind ${spec.kind}`);
  }
}
