import { ShapeError, show } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import { type FloatDType, itemSize } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  checkRank,
  destination,
  floatOperand,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape, sizeOf } from "../tensor/shape.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";

const FORWARD = ["out", "activation"];
const BACKWARD = ["dx", "dw", "db"];

/**
 * What affineForward leaves for affineBackward: its operands, by reference, and after ReLU its out.
 */
export interface AffineCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly w: Tensor<D>;
  readonly b: Tensor<D>;
}

interface AffineSaved<D extends FloatDType> extends Saved {
  readonly x: TensorHandle<D>;
  readonly w: TensorHandle<D>;
  readonly b: TensorHandle<D>;
  /** The out of ReLU, above 0 where its sum was. */
  readonly mask: TensorHandle<D> | undefined;
}

class AffineState<D extends FloatDType>
  extends SavedState<AffineSaved<D>>
  implements AffineCache<D>
{
  get x(): Tensor<D> {
    return this.saved.x;
  }

  get w(): Tensor<D> {
    return this.saved.w;
  }

  get b(): Tensor<D> {
    return this.saved.b;
  }
}

/**
 * Fully connected layer: out = reshape(x, (N, D)) · w + b, or max(0, that) with activation "relu".
 *
 * x (N, d₁, …, d_k) with D = d₁ · … · d_k, w (D, M), b (M,) → out (N, M). An empty batch gives an
 * empty out. ReLU here costs no pass of its own and gives the bits that reluForward would;
 * affineBackward then reads its mask from out, so that only dropout in place may change out before
 * it: what dropout has set to 0 passes no gradient either way.
 *
 * @param options.out a tensor to write into; it may not share data with an operand
 * @param options.activation what follows the sum; default nothing
 * @throws RangeError for another activation, ShapeError, DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function affineForward<D extends FloatDType>(
  x: Tensor<D>,
  w: Tensor<NoInfer<D>>,
  b: Tensor<NoInfer<D>>,
  options: { out?: Tensor<NoInfer<D>> | undefined; activation?: "relu" | undefined } = {},
): { out: Tensor<D>; cache: AffineCache<D> } {
  const operation = "affineForward";
  checkKeys(operation, "options", options, FORWARD);
  const { out: wanted, activation } = options; // once, and before the operands are looked at
  const xs = floatOperand(operation, "x", x);
  const ws = operandLike(operation, "w", w, "x", xs);
  const bs = operandLike(operation, "b", b, "x", xs);
  if (xs.shape.length < 2) {
    throw new ShapeError(
      `${operation}: x must have shape (N, d_1, …, d_k), got ${formatShape(xs.shape)}`,
    );
  }
  checkRank(operation, "w", ws, 2, "(D, M)");
  checkRank(operation, "b", bs, 1, "(M,)");
  const N = xs.shape[0] as number;
  const D = sizeOf(xs.shape, 1);
  const rows = ws.shape[0] as number;
  const M = ws.shape[1] as number;
  if (rows !== D) {
    throw new ShapeError(`${operation}: x has ${D} features per example but w has ${rows} rows`);
  }
  if (bs.size !== M) {
    throw new ShapeError(`${operation}: w has ${M} columns but b has ${bs.size} elements`);
  }
  if (activation !== undefined && activation !== "relu") {
    throw new RangeError(`${operation}: activation must be "relu", got ${show(activation)}`);
  }
  const shape = [N, M];
  const given = destination(operation, "out", wanted, shape, "x", xs);
  checkAliases(
    operation,
    [["out", given]],
    [
      ["x", xs],
      ["w", ws],
      ["b", bs],
    ],
  );

  const { runtime, dtype } = xs;
  const kernels = runtime.kernels(dtype);
  const bytes = kernels.affine_forward_work_bytes(N, D, M);
  const forward = activation ? kernels.affine_relu_forward : kernels.affine_forward;
  const out = runtime.withWorkspace(bytes, (work) => {
    const target = given ?? runtime.create(dtype, shape);
    forward(target.address, xs.address, ws.address, bs.address, work, N, D, M);
    return target;
  });
  const mask = activation && out.alias();
  const outShape = out.shape;
  const saved: AffineSaved<D> = {
    operation,
    runtime,
    dtype,
    outShape,
    x: xs.alias(),
    w: ws.alias(),
    b: bs.alias(),
    mask,
  };
  const held = [saved.x, saved.w, saved.b];
  if (mask) held.push(mask);
  return { out, cache: runtime.own(new AffineState<D>(saved, held)) };
}

type Gradient<D extends FloatDType, Given> = Given extends false ? undefined : Tensor<D>;

/**
 * Gradients of affineForward: dx = dout · wᵀ in x's own shape, dw = xᵀ · dout, db = Σₙ dout; after
 * ReLU with 0 in place of dout wherever out is not above 0.
 *
 * dout (N, M) → dx (N, d₁, …, d_k), dw (D, M), db (M,). An empty batch gives zeros for dw and db.
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dw and db. They may
 *   not share data with each other, with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function affineBackward<
  D extends FloatDType,
  X extends Tensor<D> | false = Tensor<D>,
  W extends Tensor<D> | false = Tensor<D>,
  B extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: AffineCache<NoInfer<D>>,
  options: { dx?: X | undefined; dw?: W | undefined; db?: B | undefined } = {},
): { dx: Gradient<D, X>; dw: Gradient<D, W>; db: Gradient<D, B> } {
  const operation = "affineBackward";
  checkKeys(operation, "options", options, BACKWARD);
  const { dx: wantedX, dw: wantedW, db: wantedB } = options;
  const state = checkCache<AffineSaved<D>>(operation, cache, "affineForward");
  const up = upstream(operation, dout, state);
  const { x, w, b, mask, runtime } = state;
  const givenX = destination(operation, "dx", wantedX, x.shape, "the cache", state);
  const givenW = destination(operation, "dw", wantedW, w.shape, "the cache", state);
  const givenB = destination(operation, "db", wantedB, b.shape, "the cache", state);
  checkAliases(
    operation,
    [
      ["dx", givenX],
      ["dw", givenW],
      ["db", givenB],
    ],
    [
      ["dout", up],
      ["the cache's x", x],
      ["the cache's w", w],
      ["the cache's b", b],
      ["the cache's out", mask],
    ],
  );

  const D = w.shape[0] as number;
  const M = w.shape[1] as number;
  const N = x.shape[0] as number;
  const kernels = runtime.kernels(up.dtype);
  const bytes = kernels.affine_backward_work_bytes(N, D, M);
  const gatedBytes = mask ? up.size * itemSize[up.dtype] : 0;
  const create = (wanted: false | unknown, like: TensorHandle<D>) =>
    wanted === false ? undefined : runtime.create(up.dtype, like.shape);
  return runtime.withWorkspace(gatedBytes, (gated) =>
    runtime.withWorkspace(bytes, (work) =>
      runtime.atomically(() => {
        const dx = givenX ?? create(wantedX, x);
        const dw = givenW ?? create(wantedW, w);
        const db = givenB ?? create(wantedB, b);
        if (mask) kernels.relu_backward(gated, up.address, mask.address, up.size);
        kernels.affine_backward(
          dx?.address ?? 0,
          dw?.address ?? 0,
          db?.address ?? 0,
          mask ? gated : up.address,
          x.address,
          w.address,
          work,
          N,
          D,
          M,
        );
        return { dx, dw, db } as { dx: Gradient<D, X>; dw: Gradient<D, W>; db: Gradient<D, B> };
      }),
    ),
  );
}
