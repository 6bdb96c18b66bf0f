import type { FloatDType } from "../tensor/dtype.ts";
import type { Labels } from "../tensor/labels.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type LabelLossOptions, type LossResult, labelLoss } from "./loss.ts";

/**
 * Multiclass support vector machine (hinge) loss with margin 1:
 * loss = 1/N Σₙ Σ_{j ≠ yₙ} max(0, x[n,j] − x[n,yₙ] + 1). dx[n,j] = 1/N where that margin is above
 * 0, and dx[n,yₙ] = −(number of such margins in row n) / N. With class weights w, row n counts
 * w[yₙ] / Σₙ w[yₙ] in place of 1/N.
 *
 * x (N, C) scores, y (N,) labels in [0, C) or one-hot rows (N, C) → the loss as a number,
 * accumulated in float64, and dx (N, C).
 *
 * Weston and Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.
 *
 * @param options.dx a tensor to write into, or false to leave it out; it may not share data with x
 * @param options.classWeights C numbers from 0 up, one a class; default 1 each. A row whose class
 *   has weight 0 is left out, and where all rows are, loss and dx are 0
 * @throws RangeError for a label out of range, by index and value, for a class weight that is no
 *   number from 0 up, and for an empty batch; ShapeError, DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function svmLoss<D extends FloatDType, X extends Tensor<D> | false = Tensor<D>>(
  x: Tensor<D>,
  y: Labels,
  options: LabelLossOptions<X> = {},
): LossResult<D, X> {
  return labelLoss("svmLoss", x, y, options, (kernels, dx, x, y, weights, N, C, W) =>
    kernels.svm_loss(dx, x, y, weights, N, C, W),
  );
}
