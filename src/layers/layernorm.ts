import { ShapeError } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkRange, positive } from "../tensor/numbers.ts";
import {
  checkAliases,
  checkTensorShape,
  destination,
  floatOperand,
  operandLike,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Gradient, type NormCache, type NormSaved, NormState, normBackward } from "./norm.ts";

/**
 * Layer normalisation over the trailing axes that gamma and beta have, for each index of the
 * leading ones.
 *
 * x (…, d₁, …, d_k), gamma and beta (d₁, …, d_k) → out = gamma · (x − mean) / sqrt(var + eps) +
 * beta in x's shape, with the mean and the biased variance over the k trailing axes, float64
 * whatever the dtype.
 *
 * Ba, Kiros and Hinton, "Layer Normalization", 2016, arXiv:1607.06450.
 *
 * @param param.eps added to the variance, above 0; default 1e-5
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for an eps that is not above 0, and for a gamma without elements; ShapeError
 *   where x does not end in gamma's shape; DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function layernormForward<D extends FloatDType>(
  x: Tensor<D>,
  gamma: Tensor<NoInfer<D>>,
  beta: Tensor<NoInfer<D>>,
  param: { readonly eps?: number | undefined } = {},
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: NormCache<D> } {
  const operation = "layernormForward";
  checkKeys(operation, "options", options, ["out"]);
  checkKeys(operation, "param", param, ["eps"]);
  const { out: wanted } = options; // once, and before the operands are looked at
  const { eps = 1e-5 } = param;
  const xs = floatOperand(operation, "x", x);
  const gammas = operandLike(operation, "gamma", gamma, "x", xs);
  const betas = operandLike(operation, "beta", beta, "x", xs);
  const { shape, size: D } = gammas;
  const own = xs.shape.slice(xs.shape.length - shape.length);
  if (shape.length === 0 || !sameShape(own, shape)) {
    throw new ShapeError(
      `${operation}: gamma must have the last axes of x, got ${formatShape(shape)} for ${formatShape(xs.shape)}`,
    );
  }
  checkTensorShape(operation, "beta", betas, shape);
  checkRange(operation, "eps", positive, eps);
  const given = destination(operation, "out", wanted, xs.shape, "x", xs);
  checkAliases(
    operation,
    [["out", given]],
    [
      ["x", xs],
      ["gamma", gammas],
      ["beta", betas],
    ],
  );
  if (D === 0) {
    throw new RangeError(`${operation}: gamma has no elements, and a mean is taken over its axes`);
  }

  const { runtime, dtype } = xs;
  return runtime.atomically(() => {
    const N = xs.size / D;
    const out = given ?? runtime.create(dtype, xs.shape);
    const statistics = runtime.create("float64", [N, 2]);
    runtime
      .kernels(dtype)
      .layernorm_forward(
        out.address,
        statistics.address,
        xs.address,
        gammas.address,
        betas.address,
        N,
        D,
        eps,
      );
    const [x, gamma, outShape] = [xs.alias(), gammas.alias(), xs.shape];
    const state = new NormState<D>({ operation, runtime, dtype, outShape, x, gamma, statistics });
    return { out, cache: runtime.own(state) };
  });
}

/**
 * Gradients of layernormForward: dbeta = Σ dout and dgamma = Σ dout · xNorm over the leading axes,
 * and dx = (g − mean(g) − xNorm · mean(g · xNorm)) / sqrt(var + eps) with g = gamma · dout and
 * means over the trailing axes.
 *
 * dout in x's shape → dx in x's shape, dgamma and dbeta in gamma's.
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dgamma and dbeta.
 *   They may not share data with each other, with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function layernormBackward<
  D extends FloatDType,
  X extends Tensor<D> | false = Tensor<D>,
  G extends Tensor<D> | false = Tensor<D>,
  B extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: NormCache<NoInfer<D>>,
  options: { dx?: X | undefined; dgamma?: G | undefined; dbeta?: B | undefined } = {},
): { dx: Gradient<D, X>; dgamma: Gradient<D, G>; dbeta: Gradient<D, B> } {
  return normBackward<D, NormSaved<D>, X, G, B>(
    "layernormBackward",
    "layernormForward",
    dout,
    cache,
    options,
    ({ runtime, gamma }) => runtime.core.exports.layernorm_work_bytes(gamma.size),
    ({ runtime, x, gamma, statistics }, work, up, dx, dgamma, dbeta) =>
      runtime
        .kernels(up.dtype)
        .layernorm_backward(
          dx?.address ?? 0,
          dgamma?.address ?? 0,
          dbeta?.address ?? 0,
          up.address,
          x.address,
          gamma.address,
          statistics.address,
          work,
          x.size / gamma.size,
          gamma.size,
        ),
  );
}
