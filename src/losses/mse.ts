import type { FloatDType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type LossResult, targetLoss } from "./loss.ts";

/**
 * Mean squared error: loss = mean of (x − y)², dx = 2 · (x − y) / n.
 *
 * x of any shape, y of x's shape and dtype, with n elements → the loss as a number, the mean over
 * all n, and dx in x's shape; float64 on the way for either dtype.
 *
 * @param options.dx a tensor to write into, or false to leave it out; it may not share data with x
 *   or y
 * @throws RangeError for no elements at all; ShapeError, DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function mseLoss<D extends FloatDType, X extends Tensor<D> | false = Tensor<D>>(
  x: Tensor<D>,
  y: Tensor<NoInfer<D>>,
  options: { dx?: X | undefined } = {},
): LossResult<D, X> {
  return targetLoss("mseLoss", x, y, options, (kernels, dx, x, y, n) =>
    kernels.mse_loss(dx, x, y, n),
  );
}
