import { ShapeError, show } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  describe,
  destination,
  floatOperand,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape, sameShape, sizeOf } from "../tensor/shape.ts";
import type { Axis } from "../tensor/strides.ts";
import type { Tensor, TensorHandle, TensorRuntime } from "../tensor/tensor.ts";
import { readAxis, writeAxes } from "./axes.ts";

/** What concatForward leaves for concatBackward. */
export interface ConcatCache<D extends FloatDType = FloatDType> extends Cache {
  readonly dtype: D;
  readonly axis: number;
}

interface ConcatSaved extends Saved {
  readonly axis: number;
  readonly shapes: readonly (readonly number[])[];
}

class ConcatState<D extends FloatDType> extends SavedState<ConcatSaved> implements ConcatCache<D> {
  get dtype(): D {
    return this.saved.dtype as D;
  }

  get axis(): number {
    return this.saved.axis;
  }
}

/** Copies each part out of the whole, or into it. */
function copyParts<D extends FloatDType>(
  runtime: TensorRuntime,
  whole: TensorHandle<D>,
  parts: readonly (TensorHandle<D> | undefined)[],
  shapes: readonly (readonly number[])[],
  axis: number,
  axes: number,
  isInto: boolean,
): void {
  const { strided_copy } = runtime.kernels(whole.dtype);
  const rows = sizeOf(whole.shape.slice(0, axis));
  const line = whole.size / rows;
  let place = whole.address;
  for (const [i, shape] of shapes.entries()) {
    const run = sizeOf(shape, axis);
    const part = parts[i];
    if (part && part.size > 0) {
      const [to, from] = isInto ? [place, part.address] : [part.address, place];
      const ofRows: Axis = isInto ? [rows, line, run] : [rows, run, line];
      writeAxes(runtime, axes, [ofRows, [run, 1, 1]]);
      strided_copy(to, from, axes, 2);
    }
    place += (run * whole.data.BYTES_PER_ELEMENT) as number;
  }
}

/** Two axes of a copy. */
const COPY_BYTES = 24;

/**
 * Puts tensors one behind the other along an axis: their shapes are the same but for their lengths
 * there.
 *
 * @param xs one or more tensors (…, dᵢ, …) → out (…, Σ dᵢ, …)
 * @param options.axis counts from the end where it is below 0; default −1
 * @param options.out a tensor to write into; it may not share data with any of xs
 * @throws RangeError for an axis that is no whole number, and for no tensor at all; ShapeError,
 *   DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for
 *   what is no tensor
 */
export function concatForward<D extends FloatDType>(
  xs: readonly Tensor<D>[],
  options: { axis?: number | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: ConcatCache<D> } {
  const operation = "concatForward";
  checkKeys(operation, "options", options, ["axis", "out"]);
  // The options are read once, and before the operands are looked at.
  const { axis: wantedAxis = -1, out: wanted } = options;
  if (!Array.isArray(xs)) {
    throw new TypeError(`${operation}: xs must be an array of tensors, got ${describe(xs)}`);
  }
  const given = Array.from(xs as readonly Tensor<D>[]);
  if (given.length === 0) throw new RangeError(`${operation}: xs has no tensor`);
  const first = floatOperand(operation, "xs[0]", given[0] as Tensor<D>);
  const parts = given.map((x, i) =>
    i === 0 ? first : operandLike(operation, `xs[${i}]`, x, "xs[0]", first),
  );
  const axis = readAxis(operation, "axis", wantedAxis, "xs[0]", first.shape);
  const without = (shape: readonly number[]) => shape.filter((_, k) => k !== axis);
  for (const [i, { shape }] of parts.entries()) {
    if (shape.length === first.shape.length && sameShape(without(shape), without(first.shape))) {
      continue;
    }
    throw new ShapeError(
      `${operation}: xs[${i}] has shape ${formatShape(shape)}, which differs from xs[0]'s ${formatShape(first.shape)} not along axis ${axis} alone`,
    );
  }
  const shape = first.shape.slice();
  shape[axis] = parts.reduce((sum, { shape }) => sum + (shape[axis] as number), 0);
  const target = destination(operation, "out", wanted, shape, "xs[0]", first);
  checkAliases(
    operation,
    [["out", target]],
    parts.map((part, i) => [`xs[${i}]`, part]),
  );

  const { runtime, dtype } = first;
  const shapes = parts.map(({ shape }) => shape);
  const out = runtime.withWorkspace(COPY_BYTES, (axes) => {
    const out = target ?? runtime.create(dtype, Object.freeze(shape));
    copyParts(runtime, out, parts, shapes, axis, axes, true);
    return out;
  });
  const saved = { operation, runtime, dtype, outShape: out.shape, axis, shapes };
  return { out, cache: runtime.own(new ConcatState<D>(saved, [])) };
}

/**
 * Gradients of concatForward: the part of dout that each of xs was, in their order.
 *
 * @param options.dx a list of tensors to write into, of undefined for a new one and of false to
 *   leave one out, which is undefined in the result. They may not share data with each other or
 *   with dout
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   RangeError for a list of another length, and TypeError for a cache of another call
 */
export function concatBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: ConcatCache<NoInfer<D>>,
  options: { dx?: readonly (Tensor<NoInfer<D>> | false | undefined)[] | undefined } = {},
): (Tensor<D> | undefined)[] {
  const operation = "concatBackward";
  checkKeys(operation, "options", options, ["dx"]);
  const { dx: list } = options;
  if (list !== undefined && !Array.isArray(list)) {
    throw new TypeError(`${operation}: dx must be an array of tensors, got ${show(list)}`);
  }
  const state = checkCache<ConcatSaved>(operation, cache, "concatForward");
  const up = upstream(operation, dout, state);
  const { shapes, axis, runtime } = state;
  const wanted = shapes.map((_, i) => (list as (Tensor<D> | false | undefined)[] | undefined)?.[i]);
  if (list && list.length !== shapes.length) {
    throw new RangeError(
      `${operation}: dx has ${list.length} destinations but concatForward had ${shapes.length} tensors`,
    );
  }
  const given = shapes.map((shape, i) =>
    destination(operation, `dx[${i}]`, wanted[i], shape, "the cache", state),
  );
  checkAliases(
    operation,
    given.map((tensor, i) => [`dx[${i}]`, tensor]),
    [["dout", up]],
  );
  return runtime.withWorkspace(COPY_BYTES, (axes) =>
    runtime.atomically(() => {
      const parts = shapes.map((shape, i) =>
        wanted[i] === false ? undefined : (given[i] ?? runtime.create(up.dtype, shape)),
      );
      copyParts(runtime, up, parts, shapes, axis, axes, false);
      return parts;
    }),
  );
}
