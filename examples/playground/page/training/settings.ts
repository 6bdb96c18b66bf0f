// What a training is made of, as the page's forms hold it and workers get it: plain data.

import type { LayerSpec, Optimizer } from "lamella";

export interface Settings {
  layers: LayerSpec[];
  optimizer: Optimizer;
  loss: "softmax" | "svm";
  /** Of the weights' squares, added to the loss. */
  l2: number;
  batchSize: number;
  /** Of the first weights, of dropout, and of the order of the examples. */
  seed: number;
}

/** What makes another network necessary; all else is taken over by the one that is there. */
export function isSameNetwork(a: Settings, b: Settings): boolean {
  return a.seed === b.seed && JSON.stringify(a.layers) === JSON.stringify(b.layers);
}
