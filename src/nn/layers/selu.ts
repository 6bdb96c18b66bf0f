import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const seluRecord: ServingRecord<"selu"> = {
  kind: "selu",
};

export const seluTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = λ · x where x > 0, else λ · α · (exp(x) − 1), with λ = 1.0507… and α = 1.6732…; any
 * shape.
 */
export const selu = /* @__PURE__ */ plainLayer(seluRecord, seluTraining, Elementwise);

/** What seluForward leaves for seluBackward: its operand, by reference. */
export interface SeluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

/**
 * Scaled exponential linear unit: out = λ · x where x > 0, else λ · α · (exp(x) − 1), element by
 * element, for any shape, with λ = 1.0507009873554805 and α = 1.6732632423543772, by which values
 * of mean 0 and variance 1 stay so from layer to layer. NaN stays NaN.
 *
 * Klambauer, Unterthiner, Mayr and Hochreiter, 2017, arXiv:1706.02515.
 *
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function seluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SeluCache<D> } {
  return activate(seluRecord, seluTraining, x, options);
}

/**
 * Gradient of seluForward: dx = dout · λ where x > 0, else dout · λ · α · exp(x); so λ · α at x =
 * 0.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function seluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SeluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(seluRecord, dout, cache, options);
}
