import type { FloatDType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type LossResult, targetLoss } from "./loss.ts";

/**
 * Binary cross-entropy of scores: loss = mean of −y · log p − (1 − y) · log(1 − p) with p =
 * sigmoid(x), computed as max(x, 0) − x · y + log(1 + exp(−|x|)), so that no score is too large. dx
 * = (sigmoid(x) − y) / n.
 *
 * x of any shape, y of x's shape and dtype, with n elements → the loss as a number, the mean over
 * all n, and dx in x's shape; float64 on the way for either dtype. y is in [0, 1], which is not
 * checked: 1 is yes, 0 is no.
 *
 * @param options.dx a tensor to write into, or false to leave it out; it may not share data with x
 *   or y
 * @throws RangeError for no elements at all; ShapeError, DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function bceWithLogitsLoss<D extends FloatDType, X extends Tensor<D> | false = Tensor<D>>(
  x: Tensor<D>,
  y: Tensor<NoInfer<D>>,
  options: { dx?: X | undefined } = {},
): LossResult<D, X> {
  return targetLoss("bceWithLogitsLoss", x, y, options, (kernels, dx, x, y, n) =>
    kernels.bce_with_logits_loss(dx, x, y, n),
  );
}
