import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const mishRecord: ServingRecord<"mish"> = {
  kind: "mish",
};

export const mishTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x · tanh(log(1 + exp(x))); any shape.
 */
export const mish = /* @__PURE__ */ plainLayer(mishRecord, mishTraining, Elementwise);

/** What mishForward leaves for mishBackward: its operand, by reference. */
export interface MishCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

/**
 * Mish: out = x · tanh(log(1 + exp(x))), element by element, for any shape. NaN stays NaN, and −∞
 * becomes NaN, as it is −∞ · 0.
 *
 * Misra, 2019, arXiv:1908.08681.
 *
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function mishForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: MishCache<D> } {
  return activate(mishRecord, mishTraining, x, options);
}

/**
 * Gradient of mishForward: dx = dout · (t + x · σ(x) · (1 − t²)), where t is that tangent and σ
 * the logistic sigmoid.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function mishBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: MishCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(mishRecord, dout, cache, options);
}
