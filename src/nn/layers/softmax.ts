import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const softmaxRecord: ServingRecord<"softmax"> = {
  kind: "softmax",
  columns: (shape) => shape[shape.length - 1] as number,
};

export const softmaxTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  givesProbabilities: true,
};

/**
 * out = exp(x) / Σ exp(x) over the last axis: probabilities. The loss "softmax" takes the scores
 * before this layer, so a model is trained without it.
 */
export const softmax = /* @__PURE__ */ plainLayer(softmaxRecord, softmaxTraining, Elementwise);

/** What softmaxForward leaves for softmaxBackward: its out, by reference. */
export interface SoftmaxCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

/**
 * Softmax along the last axis: out = exp(x) / Σ exp(x).
 *
 * x (…, C) → out (…, C), whose rows sum to 1. The row's maximum is subtracted first, so that no score is too large.
 * −∞ has probability 0; a row with NaN or +∞, or of −∞ alone, is NaN throughout. To train a classifier, softmaxLoss
 * takes the scores themselves and is the more accurate.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.out a tensor to write into; it may not share data with x
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for
 *   what is no tensor
 */
export function softmaxForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SoftmaxCache<D> } {
  return activate(softmaxRecord, softmaxTraining, x, options);
}

/**
 * Gradient of softmaxForward: dx = out · (dout − Σ dout · out), the sum along the last axis and in float64.
 *
 * @param options.dx a tensor to write into; it may not share data with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a
 *   cache of another call
 */
export function softmaxBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SoftmaxCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(softmaxRecord, dout, cache, options);
}
