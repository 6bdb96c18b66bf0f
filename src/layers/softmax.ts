import { ShapeError } from "../runtime/errors.ts";
import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkAliases, checkCache } from "../tensor/operands.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

/** What softmaxForward leaves for softmaxBackward: its out, by reference. */
export interface SoftmaxCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
}

class SoftmaxState<D extends FloatDType> extends UnaryState<D> implements SoftmaxCache<D> {
  get out(): Tensor<D> {
    return this.saved.kept;
  }
}

/** Rows and their length. */
function rowsOf({ shape, size }: TensorHandle): [N: number, C: number] {
  const C = shape.at(-1) as number;
  return [size && size / C, C];
}

/**
 * Softmax along the last axis: out = exp(x) / Σ exp(x).
 *
 * x (…, C) → out (…, C), whose rows sum to 1. The row's maximum is subtracted first, so that no score is too large.
 * −∞ has probability 0; a row with NaN or +∞, or of −∞ alone, is NaN throughout. To train a classifier, softmaxLoss
 * takes the scores themselves and is the more accurate.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * @param options.out a tensor to write into; it may not share data with x
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for
 *   what is no tensor
 */
export function softmaxForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: SoftmaxCache<D> } {
  const operation = "softmaxForward";
  const { out } = unaryForward(
    operation,
    x,
    options,
    (kernels, out, x) => kernels.softmax_forward(out.address, x.address, ...rowsOf(x)),
    (x, given) => {
      if (x.shape.length === 0) {
        throw new ShapeError(`${operation}: x must have shape (…, C), got ()`);
      }
      checkAliases(operation, [["out", given]], [["x", x]]);
    },
  );
  return { out, cache: out.runtime.own(new SoftmaxState<D>(operation, out)) };
}

/**
 * Gradient of softmaxForward: dx = out · (dout − Σ dout · out), the sum along the last axis and in float64.
 *
 * @param options.dx a tensor to write into; it may not share data with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a
 *   cache of another call
 */
export function softmaxBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: SoftmaxCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "softmaxBackward";
  const state = checkCache<UnarySaved<D>>(operation, cache, "softmaxForward");
  return unaryBackward(
    operation,
    dout,
    state,
    options,
    (kernels, dx, dout) =>
      kernels.softmax_backward(dx.address, dout.address, state.kept.address, ...rowsOf(dout)),
    (dout, given) =>
      checkAliases(
        operation,
        [["dx", given]],
        [
          ["dout", dout],
          ["the cache's out", state.kept],
        ],
      ),
  );
}
