import { CoreConstants } from "../runtime/abi.ts";
import { ShapeError } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  destination,
  floatOperand,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape, sizeOf } from "../tensor/shape.ts";
import type { Tensor, TensorRuntime } from "../tensor/tensor.ts";
import type { Pair } from "../tensor/window.ts";
import {
  type ImageLayout,
  layouts,
  readLayout,
  type SequenceLayout,
  withWindow,
} from "./images.ts";

/** What globalAvgPoolForward leaves for globalAvgPoolBackward: the shape of x. */
export interface GlobalAvgPoolCache<D extends FloatDType = FloatDType> extends Cache {
  /** The output's dtype, by which caches of two dtypes are told apart. */
  readonly dtype: D;
}

interface GlobalSaved extends Saved {
  readonly shape: readonly number[];
  readonly isLast: boolean;
}

class GlobalState<D extends FloatDType>
  extends SavedState<GlobalSaved>
  implements GlobalAvgPoolCache<D>
{
  get dtype(): D {
    return this.saved.dtype as D;
  }
}

/** One window over all S places of a sequence. */
function withWhole<T>(runtime: TensorRuntime, C: number, S: number, fn: (window: number) => T): T {
  const one: Pair = [1, 1];
  const sliding = { kernel: [1, S] as const, stride: one, dilation: one };
  return withWindow(runtime, fn, [1, S], C, sliding, { out: one, top: 0, left: 0 });
}

/**
 * Global average pooling: the mean of each channel over all spatial axes, which is float64 until it
 * is rounded.
 *
 * x (N, C, …) → out (N, C); with layout "NHWC" or "NLC" x (N, …, C).
 *
 * @param options.out a tensor to write into; it may not share data with x
 * @param options.layout default "NCHW", of any number of axes
 * @throws RangeError for another layout; ShapeError for a channel without any value, and for less
 *   than two axes; DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for what is no tensor
 */
export function globalAvgPoolForward<D extends FloatDType>(
  x: Tensor<D>,
  options: {
    out?: Tensor<NoInfer<D>> | undefined;
    layout?: ImageLayout | SequenceLayout | undefined;
  } = {},
): { out: Tensor<D>; cache: GlobalAvgPoolCache<D> } {
  const operation = "globalAvgPoolForward";
  checkKeys(operation, "options", options, ["out", "layout"]);
  const { out: wanted, layout } = options; // once, and before the operands are looked at
  const xs = floatOperand(operation, "x", x);
  const isLast = readLayout(operation, layout, ...layouts[2], ...layouts[1]);
  const { shape, size, runtime, dtype } = xs;
  const form = isLast ? "(N, …, C)" : "(N, C, …)";
  if (shape.length < 2) {
    throw new ShapeError(`${operation}: x must have shape ${form}, got ${formatShape(shape)}`);
  }
  const [N, C] = [shape[0] as number, (isLast ? shape.at(-1) : shape[1]) as number];
  const S = isLast ? sizeOf(shape.slice(1, -1)) : sizeOf(shape, 2);
  if (S === 0) {
    throw new ShapeError(
      `${operation}: x has shape ${formatShape(shape)}, in which no channel has a value to take a mean over`,
    );
  }
  const given = destination(operation, "out", wanted, [N, C], "x", xs);
  checkAliases(operation, [["out", given]], [["x", xs]]);

  const kernels = runtime.kernels(dtype);
  const run = (window: number) => {
    const out = given ?? runtime.create(dtype, Object.freeze([N, C]));
    if (!isLast) kernels.global_average_pool_forward(out.address, xs.address, N * C, S);
    else if (size > 0) {
      const divisor = CoreConstants.divideByImage;
      kernels.average_pool_forward(out.address, xs.address, window, N, divisor);
    }
    return out;
  };
  const out = isLast ? withWhole(runtime, C, S, run) : run(0);
  const saved = { operation, runtime, dtype, outShape: out.shape, shape, isLast };
  return { out, cache: runtime.own(new GlobalState<D>(saved, [])) };
}

/**
 * Gradient of globalAvgPoolForward: each of a channel's S values gets dout / S.
 *
 * dout (N, C) → dx in x's own shape.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function globalAvgPoolBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: GlobalAvgPoolCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "globalAvgPoolBackward";
  checkKeys(operation, "options", options, ["dx"]);
  const { dx: wanted } = options;
  const state = checkCache<GlobalSaved>(operation, cache, "globalAvgPoolForward");
  const up = upstream(operation, dout, state);
  const { shape, isLast, runtime } = state;
  const given = destination(operation, "dx", wanted, shape, "the cache", state);
  checkAliases(operation, [["dx", given]], [["dout", up]]);

  const { dtype } = up;
  const [N, C] = up.shape as [number, number];
  const S = isLast ? sizeOf(shape.slice(1, -1)) : sizeOf(shape, 2);
  const kernels = runtime.kernels(dtype);
  const run = (window: number) => {
    const dx = given ?? runtime.create(dtype, shape);
    if (!isLast) kernels.global_average_pool_backward(dx.address, up.address, N * C, S);
    else if (dx.size > 0) {
      const divisor = CoreConstants.divideByImage;
      kernels.average_pool_backward(dx.address, up.address, window, N, divisor);
    }
    return dx;
  };
  return isLast ? withWhole(runtime, C, S, run) : run(0);
}
