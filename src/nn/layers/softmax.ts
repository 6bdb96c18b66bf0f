import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import { wholeNumber } from "../../tensor/numbers.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { optionLayer } from "../engine/kinds.ts";
import { axisRefusal, rowLength, rowStride } from "../graph/axis.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export interface SoftmaxSpec {
  readonly kind: "softmax";
  readonly axis?: number | undefined;
}

export const softmaxRecord: ServingRecord<"softmax"> = {
  kind: "softmax",
  settings: { axis: [wholeNumber, undefined] },
  refusal: axisRefusal,
  columns: rowLength,
  values: rowStride,
};

export const softmaxTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  givesProbabilities: true,
};

/**
 * out = exp(x) / Σ exp(x) over an axis of the examples, by default the last: probabilities. The
 * loss "softmax" takes the scores before this layer, so a model is trained without it.
 *
 * @param options.axis which axis the rows lie along, counted from the end where it is negative;
 *   default −1
 */
export const softmax = /* @__PURE__ */ optionLayer<SoftmaxSpec>(
  softmaxRecord,
  softmaxTraining,
  Elementwise,
);

/** What softmaxForward leaves for softmaxBackward: its out, by reference, and its settings. */
export interface SoftmaxCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
  readonly axis: number | undefined;
}

/**
 * Softmax along an axis, by default the last: out = exp(x) / Σ exp(x).
 *
 * x (…, C) → out (…, C), whose rows sum to 1. The row's maximum is subtracted first, so that no
 * score is too large. −∞ has probability 0; a row with NaN or +∞, or of −∞ alone, is NaN
 * throughout. To train a classifier, softmaxLoss takes the scores themselves and is the more
 * accurate.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.axis which axis the rows lie along, counted from the end where it is negative;
 *   default −1
 * @param options.out a tensor to write into; it may not share data with x
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function softmaxForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { axis?: number | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SoftmaxCache<D> } {
  return activate(softmaxRecord, softmaxTraining, x, options);
}

/**
 * Gradient of softmaxForward: dx = out · (dout − Σ dout · out), the sum along the axis and in
 * float64.
 *
 * @param options.dx a tensor to write into; it may not share data with dout or with what the cache
 *   holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for a cache of another call
 */
export function softmaxBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SoftmaxCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(softmaxRecord, dout, cache, options);
}
