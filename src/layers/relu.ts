import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkCache } from "../tensor/operands.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

/** What reluForward leaves for reluBackward: its operand, by reference. */
export interface ReluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

class ReluState<D extends FloatDType> extends UnaryState<D> implements ReluCache<D> {
  get x(): Tensor<D> {
    return this.saved.kept;
  }
}

/**
 * Rectified linear unit: out = max(0, x), element by element, for any shape. NaN stays NaN.
 *
 * In place, and with dropout in place after it, the backward still holds: what dropout has set to 0 passes no gradient
 * either way.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no
 *   tensor
 */
export function reluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: ReluCache<D> } {
  const operation = "reluForward";
  const { out, x: xs } = unaryForward(operation, x, options, (kernels, out, x) =>
    kernels.relu_forward(out.address, x.address, x.size),
  );
  return { out, cache: xs.runtime.own(new ReluState<D>(operation, xs)) };
}

/**
 * Gradient of reluForward: dx = dout where x > 0, else 0; so 0 at x = 0.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a cache of
 *   another call
 */
export function reluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: ReluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "reluBackward";
  const state = checkCache<UnarySaved<D>>(operation, cache, "reluForward");
  return unaryBackward(operation, dout, state, options, (kernels, dx, dout) =>
    kernels.relu_backward(dx.address, dout.address, state.kept.address, dout.size),
  );
}
