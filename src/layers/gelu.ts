import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkAliases, checkCache } from "../tensor/operands.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

/** What geluForward leaves for geluBackward: its operand, by reference. */
export interface GeluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

class GeluState<D extends FloatDType> extends UnaryState<D> implements GeluCache<D> {
  get x(): Tensor<D> {
    return this.saved.kept;
  }
}

/**
 * Gaussian error linear unit in its exact form: out = x · Φ(x) = x/2 · (1 + erf(x / √2)), element by element, for any
 * shape. It is PyTorch's default, not the approximation by tanh; far below 0 the result keeps its relative accuracy.
 * NaN stays NaN, and −∞ becomes NaN, as it is −∞ · 0.
 *
 * Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415.
 *
 * @param options.out a tensor to write into; it may not share data with x, which geluBackward needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for
 *   what is no tensor
 */
export function geluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: GeluCache<D> } {
  const operation = "geluForward";
  const { out, x: xs } = unaryForward(
    operation,
    x,
    options,
    (kernels, out, x) => kernels.gelu_forward(out.address, x.address, x.size),
    (x, given) => checkAliases(operation, [["out", given]], [["x", x]], "geluBackward needs x"),
  );
  return { out, cache: xs.runtime.own(new GeluState<D>(operation, xs)) };
}

/**
 * Gradient of geluForward: dx = dout · (Φ(x) + x · φ(x)), φ being the density exp(−x²/2) / √(2π).
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a cache of
 *   another call
 */
export function geluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: GeluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "geluBackward";
  const state = checkCache<UnarySaved<D>>(operation, cache, "geluForward");
  return unaryBackward(operation, dout, state, options, (kernels, dx, dout) =>
    kernels.gelu_backward(dx.address, dout.address, state.kept.address, dout.size),
  );
}
