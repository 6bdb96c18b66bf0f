import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const softplusRecord: ServingRecord<"softplus"> = {
  kind: "softplus",
};

export const softplusTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = log(1 + exp(x)); any shape.
 */
export const softplus = /* @__PURE__ */ plainLayer(softplusRecord, softplusTraining, Elementwise);

/** What softplusForward leaves for softplusBackward: its operand, by reference. */
export interface SoftplusCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

/**
 * Softplus: out = log(1 + exp(x)), element by element, for any shape. No x is too large, and far
 * below 0 the result keeps its relative accuracy. NaN stays NaN.
 *
 * Dugas et al., 2000.
 *
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function softplusForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SoftplusCache<D> } {
  return activate(softplusRecord, softplusTraining, x, options);
}

/**
 * Gradient of softplusForward: dx = dout · σ(x), σ being the logistic sigmoid.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function softplusBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SoftplusCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(softplusRecord, dout, cache, options);
}
