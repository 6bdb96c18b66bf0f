import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { type PlainSpec, plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const reluRecord: ServingRecord<"relu"> = {
  kind: "relu",
  join(product) {
    product.values[0] = 0;
  },
  endsProduct: true,
  joinsTraining: true,
};

export type ReluSpec = PlainSpec<"relu">;

export const reluTraining: TrainingRecord = {
  inPlace: true,
  keeps: "sign",
  keepsSign: true,
  hidden: "activation",
};

/** out = max(0, x), any shape. After an affine layer it costs no pass of its own. */
export const relu = /* @__PURE__ */ plainLayer(reluRecord, reluTraining, Elementwise);

/** What reluForward leaves for reluBackward: its operand, by reference. */
export interface ReluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

/**
 * Rectified linear unit: out = max(0, x), element by element, for any shape. NaN stays NaN.
 *
 * In place, and with dropout in place after it, the backward still holds: what dropout has set to
 * 0 passes no gradient either way.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for what is no tensor
 */
export function reluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: ReluCache<D> } {
  return activate(reluRecord, reluTraining, x, options);
}

/**
 * Gradient of reluForward: dx = dout where x > 0, else 0; so 0 at x = 0.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function reluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: ReluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(reluRecord, dout, cache, options);
}
