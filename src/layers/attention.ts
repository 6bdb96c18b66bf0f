import { AttentionWords } from "../runtime/abi.ts";
import { DTypeError, RuntimeMismatchError, ShapeError } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { DType, FloatDType } from "../tensor/dtype.ts";
import { checkCount, checkRange, flag } from "../tensor/numbers.ts";
import {
  checkAliases,
  checkCache,
  checkRank,
  checkTensorShape,
  destination,
  floatOperand,
  liveTensor,
  type Named,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape } from "../tensor/shape.ts";
import type { Tensor, TensorHandle, TensorRuntime } from "../tensor/tensor.ts";

/** How attentionForward attends. */
export interface AttentionParam<D extends FloatDType = FloatDType> {
  /** The number of heads, which divides E; each has E / heads columns of q, k and v. */
  readonly heads: number;
  /** Key j serves query i where j ≤ i + (S − T) alone; default false. */
  readonly causal?: boolean | undefined;
  /**
   * (T, S), (N, 1, S) or (N, T, S), the same for all heads: a tensor of q's dtype is added to the
   * scores, and of an int32 one a key serves a query where it is not 0.
   */
  readonly mask?: Tensor<D> | Tensor<"int32"> | undefined;
}

/**
 * What attentionForward leaves for attentionBackward: its operands, by reference, and two numbers
 * of each row of scores.
 */
export interface AttentionCache<D extends FloatDType = FloatDType> extends Cache {
  readonly q: Tensor<D>;
  readonly k: Tensor<D>;
  readonly v: Tensor<D>;
}

interface AttentionSaved<D extends FloatDType> extends Saved {
  readonly q: TensorHandle<D>;
  readonly k: TensorHandle<D>;
  readonly v: TensorHandle<D>;
  readonly mask: TensorHandle | undefined;
  /** (N, heads, T, 2): what is subtracted from a row of scores, and 1 / Σ exp. */
  readonly statistics: TensorHandle<"float64">;
  /** The fields of the core's Attention, in their order. */
  readonly sizes: ArrayLike<number>;
}

class AttentionState<D extends FloatDType>
  extends SavedState<AttentionSaved<D>>
  implements AttentionCache<D>
{
  constructor(saved: AttentionSaved<D>) {
    const { q, k, v, mask, statistics } = saved;
    super(saved, mask ? [q, k, v, statistics, mask] : [q, k, v, statistics]);
  }

  get q(): Tensor<D> {
    return this.saved.q;
  }

  get k(): Tensor<D> {
    return this.saved.k;
  }

  get v(): Tensor<D> {
    return this.saved.v;
  }
}

/** Runs fn with the addresses of the sizes and of a workspace. */
function withSizes<T>(
  runtime: TensorRuntime,
  sizes: ArrayLike<number>,
  workBytes: (window: number) => number,
  fn: (window: number, work: number) => T,
): T {
  return runtime.withWorkspace(4 * sizes.length, (window) => {
    new Uint32Array(runtime.linear.wasm.buffer, window, sizes.length).set(sizes);
    return runtime.withWorkspace(workBytes(window) >>> 0, (work) => fn(window, work));
  });
}

/** A mask and how far apart its examples and its rows are; undefined where there is none. */
function checkMask(
  operation: string,
  mask: unknown,
  q: { runtime: TensorRuntime; dtype: DType },
  [N, T, S]: readonly [number, number, number],
): { tensor: TensorHandle; example: number; row: number } | undefined {
  if (mask === undefined) return undefined;
  const tensor = liveTensor(operation, "mask", mask);
  if (tensor.runtime !== q.runtime) {
    throw new RuntimeMismatchError(`${operation}: mask and q belong to different runtimes`);
  }
  if (tensor.dtype !== q.dtype && tensor.dtype !== "int32") {
    throw new DTypeError(
      `${operation}: mask must be int32, or ${q.dtype} as q is, got ${tensor.dtype}`,
    );
  }
  const { shape } = tensor;
  const [rows, columns] = shape.slice(-2);
  const isShared = shape.length === 2;
  const isOfExamples = shape.length === 3 && shape[0] === N;
  const fits =
    columns === S && (isShared ? rows === T : isOfExamples && (rows === T || rows === 1));
  if (!fits) {
    throw new ShapeError(
      `${operation}: mask must have shape ${formatShape([T, S])}, ${formatShape([N, 1, S])} or ${formatShape([N, T, S])}, got ${formatShape(shape)}`,
    );
  }
  const row = rows === T ? S : 0;
  return { tensor, example: isShared ? 0 : (rows as number) * S, row };
}

/**
 * Scaled dot-product attention: of each head out = softmax(q · kᵀ / √d + mask) · v, with d = E /
 * heads.
 *
 * q (N, T, E), k and v (N, S, E) → out (N, T, E): T queries and S keys, of which head h has the
 * columns from h · d on. With `causal` the last positions of both are aligned: key j serves query i
 * where j ≤ i + (S − T), as a cache of keys needs it. A query that no key serves gives 0, and its
 * gradients are 0. The scores of all heads are never in memory at once.
 *
 * Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762.
 *
 * @param param.heads a whole number from 1 up that divides E; it has to be given
 * @param param.causal default false
 * @param param.mask (T, S), (N, 1, S) or (N, T, S): of q's dtype it is added to the scores, of
 *   int32 a key serves a query where it is not 0; default none
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for heads that are no whole number from 1 up; ShapeError where they do not
 *   divide E, and for shapes that do not fit; DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor and for unknown keys
 */
export function attentionForward<D extends FloatDType>(
  q: Tensor<D>,
  k: Tensor<NoInfer<D>>,
  v: Tensor<NoInfer<D>>,
  param: AttentionParam<NoInfer<D>>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: AttentionCache<D> } {
  const operation = "attentionForward";
  checkKeys(operation, "options", options, ["out"]);
  checkKeys(operation, "param", param, ["heads", "causal", "mask"]);
  const { out: wanted } = options; // once, and before the operands are looked at
  const { heads, causal = false, mask } = param;
  const qs = floatOperand(operation, "q", q);
  const ks = operandLike(operation, "k", k, "q", qs);
  const vs = operandLike(operation, "v", v, "q", qs);
  checkRank(operation, "q", qs, 3, "(N, T, E)");
  checkRank(operation, "k", ks, 3, "(N, S, E)");
  const [N, T, E] = qs.shape as readonly [number, number, number];
  const S = ks.shape[1] as number;
  checkTensorShape(operation, "k", ks, [N, S, E]);
  checkTensorShape(operation, "v", vs, [N, S, E]);
  checkCount(operation, "heads", heads);
  checkRange(operation, "causal", flag, causal);
  if (E % heads !== 0) {
    throw new ShapeError(`${operation}: heads must divide the ${E} features of q, got ${heads}`);
  }
  const masking = checkMask(operation, mask, qs, [N, T, S]);
  const given = destination(operation, "out", wanted, qs.shape, "q", qs);
  const operands: Named[] = [
    ["q", qs],
    ["k", ks],
    ["v", vs],
    ["mask", masking?.tensor],
  ];
  checkAliases(operation, [["out", given]], operands);

  const { runtime, dtype } = qs;
  const sizes = new Uint32Array(AttentionWords.length);
  Object.assign(sizes, {
    [AttentionWords.T]: T,
    [AttentionWords.S]: S,
    [AttentionWords.E]: E,
    [AttentionWords.heads]: heads,
    [AttentionWords.isCausal]: Number(causal),
    [AttentionWords.isBoolean]: Number(masking?.tensor.dtype === "int32"),
    [AttentionWords.maskExample]: masking?.example ?? 0,
    [AttentionWords.maskRow]: masking?.row ?? 0,
  });
  const kernels = runtime.kernels(dtype);
  return withSizes(runtime, sizes, kernels.attention_forward_work_bytes, (window, work) =>
    runtime.atomically(() => {
      const out = given ?? runtime.create(dtype, qs.shape);
      const statistics = runtime.create("float64", [N, heads, T, 2]);
      kernels.attention_forward(
        out.address,
        statistics.address,
        qs.address,
        ks.address,
        vs.address,
        masking?.tensor.address ?? 0,
        window,
        work,
        N,
      );
      const saved: AttentionSaved<D> = {
        ...{ operation, runtime, dtype, outShape: qs.shape, statistics, sizes },
        ...{ q: qs.alias(), k: ks.alias(), v: vs.alias(), mask: masking?.tensor.alias() },
      };
      return { out, cache: runtime.own(new AttentionState<D>(saved)) };
    }),
  );
}

const BACKWARD = ["dq", "dk", "dv"] as const;

/** Undefined for a gradient that was left out. */
type Gradient<D extends FloatDType, Given> = Given extends false ? undefined : Tensor<D>;

/**
 * Gradients of attentionForward: with P = softmax(q · kᵀ / √d + mask) of a head and dP = dout · vᵀ,
 * dv = Pᵀ · dout, dS = P · (dP − Σ P · dP), dq = dS · k / √d and dk = dSᵀ · q / √d. The scores are
 * computed anew.
 *
 * dout (N, T, E) → dq (N, T, E), dk and dv (N, S, E).
 *
 * @param options.dq a tensor to write into, or false to leave it out; likewise dk and dv. They may
 *   not share data with each other, with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function attentionBackward<
  D extends FloatDType,
  Q extends Tensor<D> | false = Tensor<D>,
  K extends Tensor<D> | false = Tensor<D>,
  V extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: AttentionCache<NoInfer<D>>,
  options: { dq?: Q | undefined; dk?: K | undefined; dv?: V | undefined } = {},
): { dq: Gradient<D, Q>; dk: Gradient<D, K>; dv: Gradient<D, V> } {
  const operation = "attentionBackward";
  checkKeys(operation, "options", options, BACKWARD);
  const wanted = [options.dq, options.dk, options.dv] as (Tensor<D> | false | undefined)[];
  const state = checkCache<AttentionSaved<D>>(operation, cache, "attentionForward");
  const up = upstream(operation, dout, state);
  const { q, k, v, mask, statistics, sizes, runtime } = state;
  const like = [q, k, v];
  const given = like.map(({ shape }, i) =>
    destination(operation, BACKWARD[i] as string, wanted[i], shape, "the cache", state),
  );
  checkAliases(
    operation,
    given.map((tensor, i): Named => [BACKWARD[i] as string, tensor]),
    [
      ["dout", up],
      ["the cache's q", q],
      ["the cache's k", k],
      ["the cache's v", v],
      ["the cache's mask", mask],
    ],
  );
  const kernels = runtime.kernels(up.dtype);
  return withSizes(runtime, sizes, kernels.attention_backward_work_bytes, (window, work) =>
    runtime.atomically(() => {
      const made = like.map(({ shape }, i) =>
        wanted[i] === false ? undefined : (given[i] ?? runtime.create(up.dtype, shape)),
      );
      const [dq, dk, dv] = made;
      kernels.attention_backward(
        ...([dq?.address ?? 0, dk?.address ?? 0, dv?.address ?? 0] as const),
        ...([up.address, q.address, k.address, v.address] as const),
        ...([mask?.address ?? 0, statistics.address, window, work] as const),
        q.shape[0] as number,
      );
      return { dq, dk, dv } as {
        dq: Gradient<D, Q>;
        dk: Gradient<D, K>;
        dv: Gradient<D, V>;
      };
    }),
  );
}
