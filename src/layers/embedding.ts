import { DTypeError, RuntimeMismatchError } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  checkRank,
  destination,
  floatOperand,
  liveTensor,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";

/** What embeddingForward leaves for embeddingBackward: its operands, by reference. */
export interface EmbeddingCache<D extends FloatDType = FloatDType> extends Cache {
  readonly indices: Tensor<"int32">;
  readonly w: Tensor<D>;
}

interface EmbeddingSaved<D extends FloatDType> extends Saved {
  readonly indices: TensorHandle<"int32">;
  readonly w: TensorHandle<D>;
}

class EmbeddingState<D extends FloatDType>
  extends SavedState<EmbeddingSaved<D>>
  implements EmbeddingCache<D>
{
  get indices(): Tensor<"int32"> {
    return this.saved.indices;
  }

  get w(): Tensor<D> {
    return this.saved.w;
  }
}

/** Refuses an index outside [0, V), by its place in the tensor and its value. */
function checkIndices(operation: string, { data, shape }: TensorHandle<"int32">, V: number): void {
  const wrong = data.findIndex((index) => index < 0 || index >= V);
  if (wrong < 0) return;
  const place: number[] = [];
  let rest = wrong;
  for (const length of [...shape].reverse()) {
    place.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  throw new RangeError(
    `${operation}: indices[${place.join(", ")}] is ${data[wrong]}, expected a whole number in [0, ${V})`,
  );
}

/**
 * Embedding: each index becomes the row of w with its number, out[…] = w[indices[…]].
 *
 * indices (N, …) int32, w (V, D) → out (N, …, D). Each index is in [0, V).
 *
 * @param options.out a tensor to write into; it may not share data with w
 * @throws RangeError for an index outside [0, V), by its place and value; ShapeError, DTypeError,
 *   AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no
 *   tensor
 */
export function embeddingForward<D extends FloatDType>(
  indices: Tensor<"int32">,
  w: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: EmbeddingCache<D> } {
  const operation = "embeddingForward";
  checkKeys(operation, "options", options, ["out"]);
  const { out: wanted } = options; // once, and before the operands are looked at
  const xs = liveTensor(operation, "indices", indices) as TensorHandle<"int32">;
  if (xs.dtype !== "int32") {
    throw new DTypeError(`${operation}: indices must be int32, got ${xs.dtype}`);
  }
  const ws = floatOperand(operation, "w", w);
  const { runtime, dtype } = ws;
  if (xs.runtime !== runtime) {
    throw new RuntimeMismatchError(`${operation}: w and indices belong to different runtimes`);
  }
  checkRank(operation, "w", ws, 2, "(V, D)");
  const [V, D] = ws.shape as readonly [number, number];
  const outShape = [...xs.shape, D];
  const given = destination(operation, "out", wanted, outShape, "w", ws);
  checkAliases(operation, [["out", given]], [["w", ws]]);
  checkIndices(operation, xs, V);

  return runtime.atomically(() => {
    const out = given ?? runtime.create(dtype, outShape);
    runtime.kernels(dtype).embedding_forward(out.address, xs.address, ws.address, xs.size, D);
    const saved = { operation, runtime, dtype, outShape, indices: xs.alias(), w: ws.alias() };
    const state = new EmbeddingState<D>(saved, [saved.indices, saved.w]);
    return { out, cache: runtime.own(state) };
  });
}

/**
 * Gradient of embeddingForward: row v of dw is the sum of the rows of dout whose index is v, which
 * are added in the order of the indices; 0 for a row that no index names.
 *
 * dout (N, …, D) → dw (V, D).
 *
 * @param options.dw a tensor to write into; it may not share data with dout or w
 * @throws RangeError where an index has been changed since to one outside [0, V); ShapeError,
 *   DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a
 *   cache of another call
 */
export function embeddingBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: EmbeddingCache<NoInfer<D>>,
  options: { dw?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "embeddingBackward";
  checkKeys(operation, "options", options, ["dw"]);
  const { dw: wanted } = options;
  const state = checkCache<EmbeddingSaved<D>>(operation, cache, "embeddingForward");
  const up = upstream(operation, dout, state);
  const { indices, w, runtime } = state;
  const given = destination(operation, "dw", wanted, w.shape, "the cache", state);
  checkAliases(
    operation,
    [["dw", given]],
    [
      ["dout", up],
      ["the cache's w", w],
    ],
  );
  const [V, D] = w.shape as readonly [number, number];
  checkIndices(operation, indices, V);
  return runtime.atomically(() => {
    const dw = given ?? runtime.create(up.dtype, w.shape);
    runtime
      .kernels(up.dtype)
      .embedding_backward(dw.address, up.address, indices.address, indices.size, V, D);
    return dw as Tensor<D>;
  });
}
