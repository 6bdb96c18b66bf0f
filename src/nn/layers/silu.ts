import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const siluRecord: ServingRecord<"silu"> = {
  kind: "silu",
};

export const siluTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x · σ(x), σ being the logistic sigmoid; any shape.
 */
export const silu = /* @__PURE__ */ plainLayer(siluRecord, siluTraining, Elementwise);

/** What siluForward leaves for siluBackward: its operand, by reference. */
export interface SiluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

/**
 * Sigmoid linear unit, also called swish: out = x · σ(x) = x / (1 + exp(−x)), element by element,
 * for any shape. NaN stays NaN, and −∞ becomes NaN, as it is −∞ · 0.
 *
 * Elfwing, Uchibe and Doya, 2017, arXiv:1702.03118.
 *
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function siluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SiluCache<D> } {
  return activate(siluRecord, siluTraining, x, options);
}

/**
 * Gradient of siluForward: dx = dout · σ(x) · (1 + x · σ(−x)).
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function siluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SiluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(siluRecord, dout, cache, options);
}
