import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import { wholeNumber } from "../../tensor/numbers.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { optionLayer } from "../engine/kinds.ts";
import { axisRefusal, rowLength, rowStride } from "../graph/axis.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export interface LogSoftmaxSpec {
  readonly kind: "logSoftmax";
  readonly axis?: number | undefined;
}

export const logSoftmaxRecord: ServingRecord<"logSoftmax"> = {
  kind: "logSoftmax",
  settings: { axis: [wholeNumber, undefined] },
  refusal: axisRefusal,
  columns: rowLength,
  values: rowStride,
};

export const logSoftmaxTraining: TrainingRecord = {
  keeps: "out",
};

/**
 * out = x − log Σ exp(x) over an axis of the examples, by default the last: logarithms of
 * probabilities. The loss "softmax" takes the scores before this layer, so a model is trained
 * without it.
 *
 * @param options.axis which axis the rows lie along, counted from the end where it is negative;
 *   default −1
 */
export const logSoftmax = /* @__PURE__ */ optionLayer<LogSoftmaxSpec>(
  logSoftmaxRecord,
  logSoftmaxTraining,
  Elementwise,
);

/**
 * What logSoftmaxForward leaves for logSoftmaxBackward: its out, by reference, and its settings.
 */
export interface LogSoftmaxCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
  readonly axis: number | undefined;
}

/**
 * The logarithm of softmax: out = x − log Σ exp(x) along an axis, by default the last.
 *
 * x and out have one shape, of rank 1 or more. The row's maximum is subtracted first, so that no
 * score is too large. −∞ stays −∞; a row with NaN or +∞, or of −∞ alone, is NaN throughout.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.axis which axis the rows lie along, counted from the end where it is negative;
 *   default −1
 * @param options.out a tensor to write into; it may not share data with x
 * @throws RangeError for a setting out of its range; ShapeError, DTypeError, AliasError,
 *   DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function logSoftmaxForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { axis?: number | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: LogSoftmaxCache<D> } {
  return activate(logSoftmaxRecord, logSoftmaxTraining, x, options);
}

/**
 * Gradient of logSoftmaxForward: dx = dout − exp(out) · Σ dout, the sum along the axis and in
 * float64.
 *
 * @param options.dx a tensor to write into; it may not share data with dout or with what the cache
 *   holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for a cache of another call
 */
export function logSoftmaxBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: LogSoftmaxCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(logSoftmaxRecord, dout, cache, options);
}
