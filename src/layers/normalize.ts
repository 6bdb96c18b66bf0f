import { ShapeError } from "../runtime/errors.ts";
import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  checkTensorShape,
  floatOperand,
  operandLike,
} from "../tensor/operands.ts";
import { formatShape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

/** What normalizeForward leaves for normalizeBackward: the deviations, by reference. */
export interface NormalizeCache<D extends FloatDType = FloatDType> extends Cache {
  readonly std: Tensor<D>;
}

class NormalizeState<D extends FloatDType> extends UnaryState<D> implements NormalizeCache<D> {
  get std(): Tensor<D> {
    return this.saved.kept;
  }
}

/**
 * Normalisation by constants: out = (x − mean) / std for each feature, where mean and std are those
 * of a training set, for example. They get no gradient. The division is one, so that the bits are
 * NumPy's.
 *
 * x (N, d₁, …, d_k), mean (d₁, …, d_k), std (d₁, …, d_k) → out (N, d₁, …, d_k).
 *
 * @param options.out a tensor to write into; x itself serves, mean and std do not
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for what is no tensor
 */
export function normalizeForward<D extends FloatDType>(
  x: Tensor<D>,
  mean: Tensor<NoInfer<D>>,
  std: Tensor<NoInfer<D>>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: NormalizeCache<D> } {
  const operation = "normalizeForward";
  const xs = floatOperand(operation, "x", x);
  const means = operandLike(operation, "mean", mean, "x", xs);
  const stds = operandLike(operation, "std", std, "x", xs);
  if (xs.shape.length < 2) {
    throw new ShapeError(
      `${operation}: x must have shape (N, d_1, …, d_k), got ${formatShape(xs.shape)}`,
    );
  }
  checkTensorShape(operation, "mean", means, xs.shape.slice(1));
  checkTensorShape(operation, "std", stds, xs.shape.slice(1));
  const { out } = unaryForward(
    operation,
    x,
    options,
    (kernels, out) => {
      const N = xs.shape[0] as number;
      kernels.normalize_forward(out.address, xs.address, means.address, stds.address, N, stds.size);
    },
    (_, given) =>
      checkAliases(
        operation,
        [["out", given]],
        [
          ["mean", means],
          ["std", stds],
        ],
      ),
  );
  return {
    out,
    cache: xs.runtime.own(new NormalizeState<D>(operation, stds, { outShape: xs.shape })),
  };
}

/**
 * Gradient of normalizeForward: dx = dout / std.
 *
 * @param options.dx a tensor to write into; dout itself serves, the cache's std does not
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function normalizeBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: NormalizeCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "normalizeBackward";
  const state = checkCache<UnarySaved<D>>(operation, cache, "normalizeForward");
  const { kept: std } = state;
  return unaryBackward(
    operation,
    dout,
    state,
    options,
    (kernels, dx, dout) => {
      const N = dout.shape[0] as number;
      kernels.normalize_backward(dx.address, dout.address, std.address, N, std.size);
    },
    (_, given) => checkAliases(operation, [["dx", given]], [["the cache's std", std]]),
  );
}
