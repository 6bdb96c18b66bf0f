import { ShapeError, show } from "../runtime/errors.ts";
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
import { formatShape, MOST_AXES } from "../tensor/shape.ts";
import { copyAxes, stridesOf } from "../tensor/strides.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import { withAxes } from "./axes.ts";

/** What permuteForward leaves for permuteBackward. */
export interface PermuteCache<D extends FloatDType = FloatDType> extends Cache {
  readonly dtype: D;
  readonly axes: readonly number[];
}

interface PermuteSaved extends Saved {
  readonly axes: readonly number[];
}

class PermuteState<D extends FloatDType>
  extends SavedState<PermuteSaved>
  implements PermuteCache<D>
{
  get dtype(): D {
    return this.saved.dtype as D;
  }

  get axes(): readonly number[] {
    return this.saved.axes;
  }
}

/** A frozen copy of the axes, each of x's once. */
function readAxes(operation: string, axes: unknown, shape: readonly number[]): readonly number[] {
  if (!Array.isArray(axes)) {
    throw new RangeError(`${operation}: axes must be an array of whole numbers, got ${show(axes)}`);
  }
  const own = axes.slice(0, MOST_AXES + 1) as number[];
  if (!own.every((axis, k) => Number.isInteger(axis) && axis >= 0 && own.indexOf(axis) === k)) {
    throw new RangeError(
      `${operation}: axes must hold whole numbers from 0 up, each of them once, got ${show(own)}`,
    );
  }
  if (own.length !== shape.length || own.some((axis) => axis >= shape.length)) {
    throw new ShapeError(
      `${operation}: axes are ${show(own)} but x has shape ${formatShape(shape)}`,
    );
  }
  return Object.freeze(own);
}

/** Copies x into out, whose axis k is x's axis axes[k]. */
function permute<D extends FloatDType>(
  x: TensorHandle<D>,
  axes: readonly number[],
  make: () => TensorHandle<D>,
): TensorHandle<D> {
  const { runtime, dtype, shape } = x;
  if (x.size === 0) return make();
  const strides = stridesOf(shape);
  const outStrides = stridesOf(axes.map((axis) => shape[axis] as number));
  const rows = axes.map(
    (axis, k) => [shape[axis], outStrides[k], strides[axis]] as [number, number, number],
  );
  return withAxes(runtime, copyAxes(rows), (address, rank) => {
    const out = make();
    runtime.kernels(dtype).strided_copy(out.address, x.address, address, rank);
    return out;
  });
}

/**
 * Permutes the axes: axis k of out is axis axes[k] of x, as NumPy's transpose and PyTorch's permute
 * have it.
 *
 * x (d₀, …, d_k) → out (d_axes[0], …, d_axes[k]).
 *
 * @param axes each axis of x once
 * @param options.out a tensor to write into; it may not share data with x
 * @throws RangeError for axes that are no permutation, ShapeError for those of another rank;
 *   DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for
 *   what is no tensor
 */
export function permuteForward<D extends FloatDType>(
  x: Tensor<D>,
  axes: readonly number[],
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: PermuteCache<D> } {
  const operation = "permuteForward";
  checkKeys(operation, "options", options, ["out"]);
  const { out: wanted } = options; // once, and before the operands are looked at
  const xs = floatOperand(operation, "x", x);
  const own = readAxes(operation, axes, xs.shape);
  const shape = Object.freeze(own.map((axis) => xs.shape[axis] as number));
  const given = destination(operation, "out", wanted, shape, "x", xs);
  checkAliases(operation, [["out", given]], [["x", xs]]);
  const { runtime, dtype } = xs;
  const out = permute(xs, own, () => given ?? runtime.create(dtype, shape));
  const saved = { operation, runtime, dtype, outShape: shape, axes: own };
  return { out, cache: runtime.own(new PermuteState<D>(saved, [])) };
}

/**
 * Gradient of permuteForward: dout with its axes where x has them.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function permuteBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: PermuteCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "permuteBackward";
  checkKeys(operation, "options", options, ["dx"]);
  const { dx: wanted } = options;
  const state = checkCache<PermuteSaved>(operation, cache, "permuteForward");
  const up = upstream(operation, dout, state);
  const back = state.axes.map((_, k) => state.axes.indexOf(k));
  const shape = Object.freeze(back.map((axis) => up.shape[axis] as number));
  const given = destination(operation, "dx", wanted, shape, "the cache", state);
  checkAliases(operation, [["dx", given]], [["dout", up]]);
  return permute(up, back, () => given ?? up.runtime.create(up.dtype, shape));
}
