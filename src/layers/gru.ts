import type { FloatDType } from "../tensor/dtype.ts";
import { checkRange, flag } from "../tensor/numbers.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  type Destinations,
  type GradientOf,
  type RecurrentCache,
  type RecurrentOptions,
  recurrentBackward,
  recurrentForward,
} from "./recurrent.ts";

/** What gruForward leaves for gruBackward: its operands, by reference. */
export interface GruCache<
  D extends FloatDType = FloatDType,
  B extends Tensor<D> | null = Tensor<D> | null,
> extends RecurrentCache<D> {
  readonly bh: B;
}

type Gradients = "dx" | "dh0" | "dwx" | "dwh" | "db" | "dbh";
const GRADIENTS = ["dx", "dh0", "dwx", "dwh", "db", "dbh"];

/**
 * Gated recurrent units, in three blocks r, z, n: h = (1 − z) · n + z · h for each step t, from h0
 * on, with r = σ(xₜ · wr + h · ur + br + bhr), z likewise, and n = tanh(xₜ · wn + bn + r · (h · un
 * + bhn)), or tanh(xₜ · wn + bn + (r · h) · un + bhn) with resetAfter false; out has all states,
 * and h the last.
 *
 * x (N, T, D), h0 (N, H), wx (D, 3·H), wh (H, 3·H), b (3·H,), bh (3·H,) or null for none → out (N,
 * T, H), h (N, H).
 *
 * Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, arXiv:1406.1078.
 *
 * @param options.resetAfter true multiplies by r after the product with un, as PyTorch and Keras
 *   do; false before it, as ONNX does by default; default true
 * @param options.lengths (N,) whole numbers from 0 to T, the steps of each sequence; default T.
 *   Behind them out is 0, h is the state after the last of them, h0 where there are none, and what
 *   x holds there changes nothing
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for a length with its index and value, and for a resetAfter that is neither
 *   true nor false; ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError,
 *   MemoryError, and TypeError for what is no tensor
 */
export function gruForward<D extends FloatDType, B extends Tensor<NoInfer<D>> | null>(
  x: Tensor<D>,
  h0: Tensor<NoInfer<D>>,
  wx: Tensor<NoInfer<D>>,
  wh: Tensor<NoInfer<D>>,
  b: Tensor<NoInfer<D>>,
  bh: B,
  options: RecurrentOptions<NoInfer<D>> & { readonly resetAfter?: boolean | undefined } = {},
): { out: Tensor<D>; h: Tensor<D>; cache: GruCache<D, B> } {
  const operation = "gruForward";
  checkKeys(operation, "options", options, ["lengths", "out", "resetAfter"]);
  const { resetAfter = true, ...others } = options;
  checkRange(operation, "resetAfter", flag, resetAfter);
  const layer = { name: "gru", G: 3, gates: true, cells: resetAfter, resetAfter } as const;
  const { out, h, cache } = recurrentForward<D>(layer, { x, h0, wx, wh, b, bh }, others);
  return { out, h, cache: cache as GruCache<D> as GruCache<D, B> };
}

/**
 * Gradients of gruForward, back through time; docs/layers/recurrent.md derives them.
 *
 * dout (N, T, H) → dx (N, T, D), dh0 (N, H), dwx (D, 3·H), dwh (H, 3·H), db (3·H,), dbh (3·H,),
 * undefined where bh was null. dx is 0 behind a sequence's length, where dout is not read.
 *
 * @param options.dh (N, H), the gradient of the last state h; default zeros
 * @param options.dx a tensor to write into, or false to leave it out; likewise dh0, dwx, dwh, db
 *   and dbh. They may not share data with each other, with dout, dh or what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call, and for a dbh of a layer without bh
 */
export function gruBackward<
  D extends FloatDType,
  B extends Tensor<D> | null,
  const O extends Destinations<D, Gradients> & { readonly dh?: Tensor<D> | undefined } = object,
>(
  dout: Tensor<D>,
  cache: GruCache<NoInfer<D>, B>,
  options: O = {} as O,
): {
  [Name in Gradients]: Name extends "dbh"
    ? B extends null
      ? undefined
      : GradientOf<D, O, Name>
    : GradientOf<D, O, Name>;
} {
  return recurrentBackward<D>("gru", GRADIENTS, ["dh"], dout, cache, options as never) as never;
}
