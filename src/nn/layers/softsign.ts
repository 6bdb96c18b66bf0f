import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const softsignRecord: ServingRecord<"softsign"> = {
  kind: "softsign",
};

export const softsignTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x / (1 + |x|); any shape.
 */
export const softsign = /* @__PURE__ */ plainLayer(softsignRecord, softsignTraining, Elementwise);

/** What softsignForward leaves for softsignBackward: its operand, by reference. */
export interface SoftsignCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

/**
 * Softsign: out = x / (1 + |x|), element by element, for any shape. NaN stays NaN, and ±∞ become
 * NaN, as ∞ / ∞ is.
 *
 * Turian, Bergstra and Bengio, 2009.
 *
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function softsignForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SoftsignCache<D> } {
  return activate(softsignRecord, softsignTraining, x, options);
}

/**
 * Gradient of softsignForward: dx = dout / (1 + |x|)².
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function softsignBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SoftsignCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(softsignRecord, dout, cache, options);
}
