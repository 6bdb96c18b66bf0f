import type { FloatDType } from "../tensor/dtype.ts";
import type { Labels } from "../tensor/labels.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type LabelLossOptions, type LossResult, labelLoss } from "./loss.ts";

/**
 * Softmax (cross-entropy) loss: loss = −1/N Σₙ log softmax(x[n])[yₙ], dx = (softmax(x) − onehot(y))
 * / N. With class weights w, loss = Σₙ w[yₙ] · (−log softmax(x[n])[yₙ]) / Σₙ w[yₙ], as PyTorch
 * defines it.
 *
 * x (N, C) scores, y (N,) labels in [0, C) or one-hot rows (N, C) → the loss as a number,
 * accumulated in float64, and dx (N, C). The row's maximum is subtracted first, so that no score is
 * too large.
 *
 * @param options.dx a tensor to write into, or false to leave it out; it may not share data with x
 * @param options.classWeights C numbers from 0 up, one a class; default 1 each. A row whose class
 *   has weight 0 is left out, and where all rows are, loss and dx are 0
 * @throws RangeError for a label out of range, by index and value, for a class weight that is no
 *   number from 0 up, and for an empty batch; ShapeError, DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function softmaxLoss<D extends FloatDType, X extends Tensor<D> | false = Tensor<D>>(
  x: Tensor<D>,
  y: Labels,
  options: LabelLossOptions<X> = {},
): LossResult<D, X> {
  return labelLoss("softmaxLoss", x, y, options, (kernels, dx, x, y, weights, N, C, W, runtime) =>
    runtime.withWorkspace(dx === 0 ? kernels.softmax_loss_work_bytes(C) : 0, (work) =>
      kernels.softmax_loss(dx, x, y, weights, work, N, C, W),
    ),
  );
}
