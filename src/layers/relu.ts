import { type Cache, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkCache,
  checkObject,
  destination,
  floatOperand,
  upstream,
} from "../tensor/operands.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";

/** What reluForward leaves for reluBackward: its operand, by reference. */
export interface ReluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

class ReluState<D extends FloatDType> extends SavedState implements ReluCache<D> {
  readonly operation = "reluForward";

  constructor(readonly x: TensorHandle<D>) {
    super(x.runtime, x.dtype, x.shape, [x]);
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
  checkObject(operation, "options", options);
  const xs = floatOperand(operation, "x", x);
  const given = destination(operation, "out", options.out, xs.shape, "x", xs);
  const { runtime, dtype } = xs;
  const out = given ?? runtime.create(dtype, xs.shape);
  runtime.kernels(dtype).relu_forward(out.address, xs.address, xs.size);
  return { out, cache: runtime.own(new ReluState(xs.alias())) };
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
  checkObject(operation, "options", options);
  const { x, runtime } = checkCache(operation, cache, ReluState<D>, "reluForward");
  const up = upstream(operation, dout, cache as ReluState<D>);
  const given = destination(operation, "dx", options.dx, x.shape, "the cache", x);
  const dx = given ?? runtime.create(up.dtype, x.shape);
  runtime.kernels(up.dtype).relu_backward(dx.address, up.address, x.address, x.size);
  return dx;
}
