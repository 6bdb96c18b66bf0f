import { activate, differentiate } from "../../layers/activation.ts";
import { show } from "../../runtime/errors.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { optionLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

/** How Φ is computed: exactly, or by a hyperbolic tangent. */
type Approximation = "none" | "tanh";

export interface GeluSpec {
  readonly kind: "gelu";
  readonly approximate?: Approximation | undefined;
}

function readApproximation(operation: string, name: string, value: unknown): unknown {
  if (value === "none" || value === "tanh") return value;
  throw new RangeError(`${operation}: ${name} must be "none" or "tanh", got ${show(value)}`);
}

export const geluRecord: ServingRecord<"gelu"> = {
  kind: "gelu",
  settings: { approximate: [readApproximation, undefined] },
  values: ({ approximate }) => [approximate === "tanh" ? 1 : 0],
};

export const geluTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x · Φ(x), Φ being the distribution function of the normal distribution: the exact form,
 * which is PyTorch's default. Any shape.
 *
 * @param options.approximate "tanh" has ½ · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) for Φ(x), as
 *   GPT-2 and others were trained with; default "none"
 */
export const gelu = /* @__PURE__ */ optionLayer<GeluSpec>(geluRecord, geluTraining, Elementwise);

/** What geluForward leaves for geluBackward: its operand, by reference, and its settings. */
export interface GeluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly approximate: Approximation | undefined;
}

/**
 * Gaussian error linear unit in its exact form: out = x · Φ(x) = x/2 · (1 + erf(x / √2)), element
 * by element, for any shape. It is PyTorch's default, not the approximation by tanh; far below 0
 * the result keeps its relative accuracy. NaN stays NaN, and −∞ becomes NaN, as it is −∞ · 0.
 *
 * Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415.
 *
 * @param options.approximate "tanh" takes ½ · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) for Φ(x);
 *   default "none"
 * @param options.out a tensor to write into; it may not share data with x, which geluBackward
 *   needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function geluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { approximate?: Approximation | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: GeluCache<D> } {
  return activate(geluRecord, geluTraining, x, options);
}

/**
 * Gradient of geluForward: dx = dout · (Φ(x) + x · φ(x)), φ being the density exp(−x²/2) / √(2π).
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function geluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: GeluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(geluRecord, dout, cache, options);
}
