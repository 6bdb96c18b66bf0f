// Addition and multiplication with NumPy's broadcasting, and what the two have in common.

import { ShapeError } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  destination,
  floatOperand,
  type Named,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape } from "../tensor/shape.ts";
import { type Axis, copyAxes, mergeAxes, stridesOf } from "../tensor/strides.ts";
import type { Tensor, TensorHandle, TensorRuntime } from "../tensor/tensor.ts";
import { withAxes } from "./axes.ts";
import type { Gradient } from "./norm.ts";

/** What addForward leaves for addBackward: the shapes. */
export interface AddCache<D extends FloatDType = FloatDType> extends Cache {
  readonly dtype: D;
}

/** What multiplyForward leaves for multiplyBackward: its operands, by reference. */
export interface MultiplyCache<D extends FloatDType = FloatDType> extends Cache {
  readonly a: Tensor<D>;
  readonly b: Tensor<D>;
}

interface BroadcastSaved<D extends FloatDType> extends Saved {
  readonly shapes: readonly [readonly number[], readonly number[]];
  /** Of a product. */
  readonly a: TensorHandle<D> | undefined;
  readonly b: TensorHandle<D> | undefined;
}

class AddState<D extends FloatDType> extends SavedState<BroadcastSaved<D>> implements AddCache<D> {
  get dtype(): D {
    return this.saved.dtype as D;
  }
}

class MultiplyState<D extends FloatDType>
  extends SavedState<BroadcastSaved<D>>
  implements MultiplyCache<D>
{
  get a(): Tensor<D> {
    return this.saved.a as TensorHandle<D>;
  }

  get b(): Tensor<D> {
    return this.saved.b as TensorHandle<D>;
  }
}

/** The strides of an operand along the axes of what it is broadcast to. */
function stridesIn(shape: readonly number[], out: readonly number[]): number[] {
  const strides = stridesOf(shape);
  const behind = out.length - shape.length;
  return out.map((_, k) => (shape[k - behind] === 1 ? 0 : (strides[k - behind] ?? 0)));
}

/** Axes of `out` with the strides of two operands. */
function axesOf(
  out: readonly number[],
  a: readonly number[],
  b: readonly number[] = [],
): readonly Axis[] {
  const [first, second] = [stridesIn(a, out), stridesIn(b, out)];
  return out.map((length, k) => [length, first[k] as number, second[k] as number]);
}

/** The shape that two are broadcast to, NumPy's rule. */
function broadcastShape(
  operation: string,
  a: readonly number[],
  b: readonly number[],
): readonly number[] {
  const rank = Math.max(a.length, b.length);
  const shape = Array.from({ length: rank }, (_, k) => {
    const one = a[k + a.length - rank] ?? 1;
    const other = b[k + b.length - rank] ?? 1;
    if (one !== other && one !== 1 && other !== 1) {
      throw new ShapeError(
        `${operation}: a has shape ${formatShape(a)} and b ${formatShape(b)}, which are not broadcast together`,
      );
    }
    return one === 1 ? other : one;
  });
  return Object.freeze(shape);
}

function forward<D extends FloatDType>(
  operation: string,
  isProduct: boolean,
  a: Tensor<D>,
  b: Tensor<D>,
  options: { out?: Tensor<D> | undefined },
): { out: TensorHandle<D>; saved: BroadcastSaved<D> } {
  checkKeys(operation, "options", options, ["out"]);
  const { out: wanted } = options; // once, and before the operands are looked at
  const first = floatOperand(operation, "a", a);
  const second = operandLike(operation, "b", b, "a", first);
  const shape = broadcastShape(operation, first.shape, second.shape);
  const given = destination(operation, "out", wanted, shape, "a", first);
  const operands: Named[] = [
    ["a", first],
    ["b", second],
  ];
  // A sum may take the place of an operand that it has the shape of: it reads each element before
  // it writes there.
  checkAliases(
    operation,
    [["out", given]],
    operands.filter(([, tensor]) => isProduct || tensor?.size !== given?.size),
    isProduct ? "multiplyBackward needs a and b" : "it is broadcast",
  );
  const { runtime, dtype } = first;
  const kernels = runtime.kernels(dtype);
  const kernel = isProduct ? kernels.multiply_broadcast : kernels.add_broadcast;
  const axes = mergeAxes(axesOf(shape, first.shape, second.shape));
  const out = withAxes(runtime, axes, (address, rank) => {
    const out = given ?? runtime.create(dtype, shape);
    if (out.size > 0) kernel(out.address, first.address, second.address, address, rank);
    return out;
  });
  const saved: BroadcastSaved<D> = {
    ...{ operation, runtime, dtype, outShape: shape },
    shapes: [first.shape, second.shape],
    a: isProduct ? first.alias() : undefined,
    b: isProduct ? second.alias() : undefined,
  };
  return { out, saved };
}

/** target = Σ dout · factor over the axes that target lacks, or Σ dout without a factor. */
function gradient<D extends FloatDType>(
  runtime: TensorRuntime,
  target: TensorHandle<D>,
  dout: TensorHandle<D>,
  factor: TensorHandle<D> | undefined,
  work: number,
  address: number,
): void {
  const kernels = runtime.kernels(dout.dtype);
  const write = (axes: readonly Axis[]) => {
    new Uint32Array(runtime.linear.wasm.buffer, address, 3 * axes.length).set(axes.flat());
    return axes.length;
  };
  const other = factor?.shape;
  if (target.size === dout.size) {
    if (target.size === 0) return;
    if (factor) {
      const rank = write(mergeAxes(axesOf(dout.shape, dout.shape, other)));
      kernels.multiply_broadcast(target.address, dout.address, factor.address, address, rank);
    } else {
      const rank = write(copyAxes([[dout.size, 1, 1]]));
      kernels.strided_copy(target.address, dout.address, address, rank);
    }
    return;
  }
  const rank = write(mergeAxes(axesOf(dout.shape, target.shape, other)));
  kernels.sum_broadcast(
    target.address,
    dout.address,
    factor?.address ?? 0,
    work,
    address,
    rank,
    target.size,
  );
}

function backward<D extends FloatDType, A, B>(
  operation: string,
  forward: string,
  dout: Tensor<D>,
  cache: Cache,
  options: { da?: A | undefined; db?: B | undefined },
): { da: Gradient<D, A>; db: Gradient<D, B> } {
  const names = ["da", "db"];
  checkKeys(operation, "options", options, names);
  const wanted = [options.da, options.db] as (Tensor<D> | false | undefined)[];
  const state = checkCache<BroadcastSaved<D>>(operation, cache, forward);
  const up = upstream(operation, dout, state);
  const { shapes, a, b, runtime } = state;
  const given = shapes.map((shape, i) =>
    destination(operation, names[i] as string, wanted[i], shape, "the cache", state),
  );
  checkAliases(
    operation,
    given.map((tensor, i) => [names[i] as string, tensor]),
    [
      ["dout", up],
      ["the cache's a", a],
      ["the cache's b", b],
    ],
  );
  const most = Math.max(...shapes.map((shape) => shape.reduce((n, length) => n * length, 1)));
  return runtime.withWorkspace(12 * (up.shape.length + 2), (address) =>
    runtime.withWorkspace(8 * most, (work) =>
      runtime.atomically(() => {
        const targets = shapes.map((shape, i) =>
          wanted[i] === false ? undefined : (given[i] ?? runtime.create(up.dtype, shape)),
        );
        for (const [i, target] of targets.entries()) {
          if (target) gradient(runtime, target, up, i === 0 ? b : a, work, address);
        }
        const [da, db] = targets;
        return { da, db } as { da: Gradient<D, A>; db: Gradient<D, B> };
      }),
    ),
  );
}

/**
 * The sum of two tensors, with NumPy's broadcasting: out = a + b.
 *
 * a (…), b (…) → out (…), of the larger rank; where one has a length of 1, or no axis, it is
 * repeated.
 *
 * @param options.out a tensor to write into; an operand that has out's shape serves
 * @throws ShapeError for shapes that are not broadcast together, DTypeError, AliasError,
 *   DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function addForward<D extends FloatDType>(
  a: Tensor<D>,
  b: Tensor<NoInfer<D>>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: AddCache<D> } {
  const { out, saved } = forward("addForward", false, a, b, options);
  return { out, cache: out.runtime.own(new AddState<D>(saved, [])) };
}

/**
 * Gradients of addForward: dout, summed over the axes along which an operand was repeated; the sums
 * are float64.
 *
 * dout in out's shape → da in a's shape, db in b's.
 *
 * @param options.da a tensor to write into, or false to leave it out; likewise db. They may not
 *   share data with each other or with dout
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function addBackward<
  D extends FloatDType,
  A extends Tensor<D> | false = Tensor<D>,
  B extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: AddCache<NoInfer<D>>,
  options: { da?: A | undefined; db?: B | undefined } = {},
): { da: Gradient<D, A>; db: Gradient<D, B> } {
  return backward<D, A, B>("addBackward", "addForward", dout, cache, options);
}

/**
 * The product of two tensors, element by element and with NumPy's broadcasting: out = a · b.
 *
 * a (…), b (…) → out (…), as addForward has it.
 *
 * @param options.out a tensor to write into; it may not share data with a or b, which the backward
 *   needs
 * @throws as addForward
 */
export function multiplyForward<D extends FloatDType>(
  a: Tensor<D>,
  b: Tensor<NoInfer<D>>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: MultiplyCache<D> } {
  const { out, saved } = forward("multiplyForward", true, a, b, options);
  const held = [saved.a, saved.b] as TensorHandle<D>[];
  return { out, cache: out.runtime.own(new MultiplyState<D>(saved, held)) };
}

/**
 * Gradients of multiplyForward: da = dout · b and db = dout · a, each summed over the axes along
 * which its operand was repeated; the sums are float64.
 *
 * dout in out's shape → da in a's shape, db in b's.
 *
 * @param options.da a tensor to write into, or false to leave it out; likewise db. They may not
 *   share data with each other, with dout or with what the cache holds
 * @throws as addBackward
 */
export function multiplyBackward<
  D extends FloatDType,
  A extends Tensor<D> | false = Tensor<D>,
  B extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: MultiplyCache<NoInfer<D>>,
  options: { da?: A | undefined; db?: B | undefined } = {},
): { da: Gradient<D, A>; db: Gradient<D, B> } {
  return backward<D, A, B>("multiplyBackward", "multiplyForward", dout, cache, options);
}
