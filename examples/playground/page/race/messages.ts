// Both sides of the race speak these.

export interface Course {
  /** Units from the pixels to the scores. */
  sizes: number[];
  optimizer: "sgd" | "momentum" | "adam";
  learningRate: number;
  batchSize: number;
}

/** Weights (in, out) and biases, layer by layer. */
export type Weights = Float32Array[];

export type ToRacer =
  /** Gets the network and the batches ready; without weights, draws them. */
  { type: "prepare"; course: Course; weights?: Weights } | { type: "go"; steps: number };

export type FromRacer =
  | { type: "ready"; weights: Weights; version: string }
  /** Milliseconds and loss of each of the steps. */
  | { type: "done"; times: Float64Array; losses: Float64Array }
  | { type: "failed"; message: string };

/** Momentum, and the others' settings beside the learning rate, the same for both. */
export const MOMENTUM = 0.9;
export const ADAM = { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
