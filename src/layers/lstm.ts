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

/** What lstmForward leaves for lstmBackward: its operands, by reference. */
export interface LstmCache<D extends FloatDType = FloatDType> extends RecurrentCache<D> {
  readonly c0: Tensor<D>;
}

type Gradients = "dx" | "dh0" | "dc0" | "dwx" | "dwh" | "db";
const GRADIENTS = ["dx", "dh0", "dc0", "dwx", "dwh", "db"];

/**
 * Long short-term memory: a = xₜ · wx + h · wh + b in four blocks i, f, o, g; c = σ(f) · c + σ(i) ·
 * tanh(g), h = σ(o) · tanh(c) for each step t, from h0 and c0 on; out has all h, and h and c are
 * the last.
 *
 * x (N, T, D), h0 (N, H), c0 (N, H), wx (D, 4·H), wh (H, 4·H), b (4·H,) → out (N, T, H), h (N, H),
 * c (N, H).
 *
 * Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Gers et al., "Learning to Forget",
 * 2000.
 *
 * @param options.lengths (N,) whole numbers from 0 to T, the steps of each sequence; default T.
 *   Behind them out is 0, h and c are those after the last of them, h0 and c0 where there are none,
 *   and what x holds there changes nothing
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for a length with its index and value; ShapeError, DTypeError, AliasError,
 *   DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function lstmForward<D extends FloatDType>(
  x: Tensor<D>,
  h0: Tensor<NoInfer<D>>,
  c0: Tensor<NoInfer<D>>,
  wx: Tensor<NoInfer<D>>,
  wh: Tensor<NoInfer<D>>,
  b: Tensor<NoInfer<D>>,
  options: RecurrentOptions<NoInfer<D>> = {},
): { out: Tensor<D>; h: Tensor<D>; c: Tensor<D>; cache: LstmCache<D> } {
  checkKeys("lstmForward", "options", options, ["lengths", "out"]);
  const layer = { name: "lstm", G: 4, gates: true, cells: true, resetAfter: false } as const;
  return recurrentForward<D>(layer, { x, h0, c0, wx, wh, b }, options);
}

/**
 * Gradients of lstmForward, back through time; docs/layers/recurrent.md derives them.
 *
 * dout (N, T, H) → dx (N, T, D), dh0 (N, H), dc0 (N, H), dwx (D, 4·H), dwh (H, 4·H), db (4·H,). dx
 * is 0 behind a sequence's length, where dout is not read.
 *
 * @param options.dh (N, H), the gradient of the last state h; default zeros; likewise dc that of
 *   the last cell
 * @param options.dx a tensor to write into, or false to leave it out; likewise dh0, dc0, dwx, dwh
 *   and db. They may not share data with each other, with dout, dh, dc or what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function lstmBackward<
  D extends FloatDType,
  const O extends Destinations<D, Gradients> & {
    readonly dh?: Tensor<D> | undefined;
    readonly dc?: Tensor<D> | undefined;
  } = object,
>(
  dout: Tensor<D>,
  cache: LstmCache<NoInfer<D>>,
  options: O = {} as O,
): { [Name in Gradients]: GradientOf<D, O, Name> } {
  const states = ["dh", "dc"];
  return recurrentBackward<D>("lstm", GRADIENTS, states, dout, cache, options as never) as never;
}
