import { ShapeError } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkCount, checkRange, positive } from "../tensor/numbers.ts";
import {
  checkAliases,
  checkTensorShape,
  destination,
  floatOperand,
  operandLike,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape, sizeOf } from "../tensor/shape.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import { type Channels, channelsLast, scratchBytes } from "./axes.ts";
import { type Gradient, type NormCache, type NormSaved, NormState, normBackward } from "./norm.ts";

/** What is not learned of group normalisation. */
export interface GroupnormParam {
  /**
   * So many groups of neighbouring channels; as many as there are channels is instance
   * normalisation.
   */
  readonly groups: number;
  /** Added to the variance, above 0; default 1e-5. */
  readonly eps?: number | undefined;
}

interface GroupnormSaved<D extends FloatDType> extends NormSaved<D> {
  readonly groups: number;
}

/** x (N, C, …) as (N, C, S). */
const channelsOf = ({ shape }: TensorHandle): Omit<Channels, "address"> => ({
  N: shape[0] as number,
  C: shape[1] as number,
  S: sizeOf(shape, 2),
});

/**
 * Group normalisation: each group of C / groups channels of an example is normalised by its own
 * mean and biased variance, over its channels and all spatial axes; float64 whatever the dtype. As
 * many groups as channels are instance normalisation.
 *
 * x (N, C, …), gamma (C,), beta (C,) → out (N, C, …) = gamma · (x − mean) / sqrt(var + eps) + beta.
 *
 * Wu and He, "Group Normalization", 2018, arXiv:1803.08494.
 *
 * @param param.groups divides C; it has to be given
 * @param param.eps added to the variance, above 0; default 1e-5
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for groups or an eps out of range, and for groups without a value; ShapeError
 *   where groups do not divide C or shapes do not fit; DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function groupnormForward<D extends FloatDType>(
  x: Tensor<D>,
  gamma: Tensor<NoInfer<D>>,
  beta: Tensor<NoInfer<D>>,
  param: GroupnormParam,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: NormCache<D> } {
  const operation = "groupnormForward";
  checkKeys(operation, "options", options, ["out"]);
  checkKeys(operation, "param", param, ["groups", "eps"]);
  const { out: wanted } = options; // once, and before the operands are looked at
  const { groups, eps = 1e-5 } = param;
  const xs = floatOperand(operation, "x", x);
  const gammas = operandLike(operation, "gamma", gamma, "x", xs);
  const betas = operandLike(operation, "beta", beta, "x", xs);
  if (xs.shape.length < 2) {
    throw new ShapeError(`${operation}: x must have shape (N, C, …), got ${formatShape(xs.shape)}`);
  }
  const channels = channelsOf(xs);
  const { N, C, S } = channels;
  checkTensorShape(operation, "gamma", gammas, [C]);
  checkTensorShape(operation, "beta", betas, [C]);
  checkCount(operation, "groups", groups);
  checkRange(operation, "eps", positive, eps);
  if (C % groups !== 0) {
    throw new ShapeError(`${operation}: x has ${C} channels, which ${groups} groups do not divide`);
  }
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
  if (C * S === 0) {
    throw new RangeError(
      `${operation}: x has shape ${formatShape(xs.shape)}, in which no group has a value to take a mean over`,
    );
  }

  const { runtime, dtype } = xs;
  const bytes = runtime.core.exports.groupnorm_work_bytes(0, C);
  return runtime.withWorkspace(bytes, (work) =>
    runtime.atomically(() =>
      channelsLast(runtime, dtype, false, scratchBytes(dtype, false, channels, channels), () => {
        const out = given ?? runtime.create(dtype, xs.shape);
        const statistics = runtime.create("float64", [N, groups, 2]);
        return {
          inputs: [{ ...channels, address: xs.address }],
          outputs: [{ ...channels, address: out.address }],
          run(from, to) {
            runtime
              .kernels(dtype)
              .groupnorm_forward(
                to,
                statistics.address,
                from,
                gammas.address,
                betas.address,
                work,
                N,
                S,
                C,
                groups,
                eps,
              );
            const [x, gamma, outShape] = [xs.alias(), gammas.alias(), xs.shape];
            const saved = { operation, runtime, dtype, outShape, x, gamma, statistics, groups };
            const state = new NormState<D, GroupnormSaved<D>>(saved);
            return { out, cache: runtime.own(state) };
          },
        };
      }),
    ),
  );
}

/**
 * Gradients of groupnormForward: dbeta = Σ dout and dgamma = Σ dout · xNorm over examples and
 * spatial axes, and dx = (g − mean(g) − xNorm · mean(g · xNorm)) / sqrt(var + eps) with g = gamma ·
 * dout and means over a group.
 *
 * dout (N, C, …) → dx (N, C, …), dgamma (C,), dbeta (C,).
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dgamma and dbeta.
 *   They may not share data with each other, with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function groupnormBackward<
  D extends FloatDType,
  X extends Tensor<D> | false = Tensor<D>,
  G extends Tensor<D> | false = Tensor<D>,
  B extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: NormCache<NoInfer<D>>,
  options: { dx?: X | undefined; dgamma?: G | undefined; dbeta?: B | undefined } = {},
): { dx: Gradient<D, X>; dgamma: Gradient<D, G>; dbeta: Gradient<D, B> } {
  return normBackward<D, GroupnormSaved<D>, X, G, B>(
    "groupnormBackward",
    "groupnormForward",
    dout,
    cache,
    options,
    ({ runtime, x }) => {
      const { N, C } = channelsOf(x);
      return runtime.core.exports.groupnorm_work_bytes(N, C);
    },
    ({ runtime, x, gamma, statistics, groups, dtype }, work, up, dx, dgamma, dbeta) => {
      const channels = channelsOf(x);
      const { N, C, S } = channels;
      const arrays = dx ? [channels, channels, channels] : [channels, channels];
      channelsLast(runtime, dtype, false, scratchBytes(dtype, false, ...arrays), () => ({
        inputs: [
          { ...channels, address: up.address },
          { ...channels, address: x.address },
        ],
        outputs: [{ ...channels, address: dx?.address ?? 0 }],
        run: (dout, x, dx) =>
          runtime
            .kernels(dtype)
            .groupnorm_backward(
              dx,
              dgamma?.address ?? 0,
              dbeta?.address ?? 0,
              dout,
              x,
              gamma.address,
              statistics.address,
              work,
              N,
              S,
              C,
              groups,
            ),
      }));
    },
  );
}
