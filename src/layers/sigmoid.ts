import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkCache } from "../tensor/operands.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

/** What sigmoidForward leaves for sigmoidBackward: its out, by reference. */
export interface SigmoidCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

class SigmoidState<D extends FloatDType> extends UnaryState<D> implements SigmoidCache<D> {
  get out(): Tensor<D> {
    return this.saved.kept;
  }
}

/**
 * Logistic sigmoid: out = 1 / (1 + exp(−x)), element by element, for any shape. No x is too large, and far below 0
 * the result keeps its relative accuracy. NaN stays NaN.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no
 *   tensor
 */
export function sigmoidForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SigmoidCache<D> } {
  const operation = "sigmoidForward";
  const { out } = unaryForward(operation, x, options, (kernels, out, x) =>
    kernels.sigmoid_forward(out.address, x.address, x.size),
  );
  return { out, cache: out.runtime.own(new SigmoidState<D>(operation, out)) };
}

/**
 * Gradient of sigmoidForward: dx = dout · out · (1 − out).
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a cache of
 *   another call
 */
export function sigmoidBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SigmoidCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "sigmoidBackward";
  const state = checkCache<UnarySaved<D>>(operation, cache, "sigmoidForward");
  return unaryBackward(operation, dout, state, options, (kernels, dx, dout) =>
    kernels.sigmoid_backward(dx.address, dout.address, state.kept.address, dout.size),
  );
}
