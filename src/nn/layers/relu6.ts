import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const relu6Record: ServingRecord<"relu6"> = {
  kind: "relu6",
  join(product) {
    product.values = [0, 6];
  },
  endsProduct: true,
};

export const relu6Training: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  keepsSign: true,
  hidden: "activation",
};

/**
 * out = min(max(x, 0), 6); any shape. Behind an affine layer it costs a predictor next to
 * nothing.
 */
export const relu6 = /* @__PURE__ */ plainLayer(relu6Record, relu6Training, Elementwise);

/** What relu6Forward leaves for relu6Backward: its out, by reference. */
export interface Relu6Cache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

/**
 * ReLU with an upper bound: out = min(max(x, 0), 6), element by element, for any shape. NaN stays
 * NaN.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for what is no tensor
 */
export function relu6Forward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: Relu6Cache<D> } {
  return activate(relu6Record, relu6Training, x, options);
}

/**
 * Gradient of relu6Forward: dx = dout where 0 < out < 6, else 0; so 0 at x = 0 and at x = 6.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function relu6Backward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: Relu6Cache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(relu6Record, dout, cache, options);
}
