import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const tanhRecord: ServingRecord<"tanh"> = {
  kind: "tanh",
};

export const tanhTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  keepsSign: true,
  hidden: "activation",
};

/** out = tanh(x), any shape. */
export const tanh = /* @__PURE__ */ plainLayer(tanhRecord, tanhTraining, Elementwise);

/** What tanhForward leaves for tanhBackward: its out, by reference. */
export interface TanhCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

/**
 * Hyperbolic tangent: out = tanh(x), element by element, for any shape. NaN stays NaN.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for what is no tensor
 */
export function tanhForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: TanhCache<D> } {
  return activate(tanhRecord, tanhTraining, x, options);
}

/**
 * Gradient of tanhForward: dx = dout · (1 − out²).
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function tanhBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: TanhCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(tanhRecord, dout, cache, options);
}
