import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkCache } from "../tensor/operands.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

/** What tanhForward leaves for tanhBackward: its out, by reference. */
export interface TanhCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

class TanhState<D extends FloatDType> extends UnaryState<D> implements TanhCache<D> {
  get out(): Tensor<D> {
    return this.saved.kept;
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
  return { out, cache: out.runtime.own(new TanhState<D>(operation, out)) };
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
  const state = checkCache<UnarySaved<D>>(operation, cache, "tanhForward");
  return unaryBackward(operation, dout, state, options, (kernels, dx, dout) =>
    kernels.tanh_backward(dx.address, dout.address, state.kept.address, dout.size),
  );
}
