import { type Cache, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkCache } from "../tensor/operands.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import { unaryBackward, unaryForward } from "./unary.ts";

/** What tanhForward leaves for tanhBackward: its out, by reference. */
export interface TanhCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

class TanhState<D extends FloatDType> extends SavedState implements TanhCache<D> {
  readonly operation = "tanhForward";

  constructor(readonly out: TensorHandle<D>) {
    super(out.runtime, out.dtype, out.shape, [out]);
  }
}

/**
 * Hyperbolic tangent: out = tanh(x), element by element, for any shape. NaN stays NaN.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no
 *   tensor
 */
export function tanhForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: TanhCache<D> } {
  const operation = "tanhForward";
  const { out } = unaryForward(operation, x, options, (kernels, out, x) =>
    kernels.tanh_forward(out.address, x.address, x.size),
  );
  return { out, cache: out.runtime.own(new TanhState(out.alias())) };
}

/**
 * Gradient of tanhForward: dx = dout · (1 − out²).
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a cache of
 *   another call
 */
export function tanhBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: TanhCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "tanhBackward";
  const state = checkCache(operation, cache, TanhState<D>, "tanhForward");
  return unaryBackward(operation, dout, state, options, (kernels, dx, dout) =>
    kernels.tanh_backward(dx.address, dout.address, state.out.address, dout.size),
  );
}
