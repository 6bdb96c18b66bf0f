import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const sigmoidRecord: ServingRecord<"sigmoid"> = {
  kind: "sigmoid",
};

export const sigmoidTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  hidden: "activation",
  givesProbabilities: true,
};

/** out = 1 / (1 + exp(−x)), any shape. */
export const sigmoid = /* @__PURE__ */ plainLayer(sigmoidRecord, sigmoidTraining, Elementwise);

/** What sigmoidForward leaves for sigmoidBackward: its out, by reference. */
export interface SigmoidCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

/**
 * Logistic sigmoid: out = 1 / (1 + exp(−x)), element by element, for any shape. No x is too large,
 * and far below 0 the result keeps its relative accuracy. NaN stays NaN.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for what is no tensor
 */
export function sigmoidForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SigmoidCache<D> } {
  return activate(sigmoidRecord, sigmoidTraining, x, options);
}

/**
 * Gradient of sigmoidForward: dx = dout · out · (1 − out).
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function sigmoidBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SigmoidCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(sigmoidRecord, dout, cache, options);
}
