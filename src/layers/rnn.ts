import type { FloatDType } from "../tensor/dtype.ts";
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

/** The keys of an options object are those of gradients, and `dh`, the last state's gradient. */
type Gradients = "dx" | "dh0" | "dwx" | "dwh" | "db";
const GRADIENTS = ["dx", "dh0", "dwx", "dwh", "db"];

/**
 * The plain recurrent layer: h = tanh(xₜ · wx + h · wh + b) for each step t, from h0 on; out has
 * all states, and h the last.
 *
 * x (N, T, D), h0 (N, H), wx (D, H), wh (H, H), b (H,) → out (N, T, H), h (N, H).
 *
 * Elman, "Finding Structure in Time", 1990.
 *
 * @param options.lengths (N,) whole numbers from 0 to T, the steps of each sequence; default T.
 *   Behind them out is 0, h is the state after the last of them, h0 where there are none, and what
 *   x holds there changes nothing
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for a length with its index and value; ShapeError, DTypeError, AliasError,
 *   DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function rnnForward<D extends FloatDType>(
  x: Tensor<D>,
  h0: Tensor<NoInfer<D>>,
  wx: Tensor<NoInfer<D>>,
  wh: Tensor<NoInfer<D>>,
  b: Tensor<NoInfer<D>>,
  options: RecurrentOptions<NoInfer<D>> = {},
): { out: Tensor<D>; h: Tensor<D>; cache: RecurrentCache<D> } {
  checkKeys("rnnForward", "options", options, ["lengths", "out"]);
  const layer = { name: "rnn", G: 1, gates: false, cells: false, resetAfter: false } as const;
  const { out, h, cache } = recurrentForward<D>(layer, { x, h0, wx, wh, b }, options);
  return { out, h, cache };
}

/**
 * Gradients of rnnForward, back through time: with da = dh · (1 − h²) of each step, dx = da · wxᵀ,
 * dwx = Σ xᵀ · da, dwh = Σ hᵀ · da with the state before the step, db = Σ da; the state before has
 * da · whᵀ.
 *
 * dout (N, T, H) → dx (N, T, D), dh0 (N, H), dwx (D, H), dwh (H, H), db (H,). dx is 0 behind a
 * sequence's length, where dout is not read.
 *
 * @param options.dh (N, H), the gradient of the last state h; default zeros
 * @param options.dx a tensor to write into, or false to leave it out; likewise dh0, dwx, dwh and
 *   db. They may not share data with each other, with dout, dh or what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function rnnBackward<
  D extends FloatDType,
  const O extends Destinations<D, Gradients> & { readonly dh?: Tensor<D> | undefined } = object,
>(
  dout: Tensor<D>,
  cache: RecurrentCache<NoInfer<D>>,
  options: O = {} as O,
): { [Name in Gradients]: GradientOf<D, O, Name> } {
  return recurrentBackward<D>("rnn", GRADIENTS, ["dh"], dout, cache, options as never) as never;
}
