import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import { finite } from "../../tensor/numbers.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { optionLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export interface EluSpec {
  readonly kind: "elu";
  readonly alpha?: number | undefined;
}

export const eluRecord: ServingRecord<"elu"> = {
  kind: "elu",
  settings: { alpha: [finite, 1] },
  values: ({ alpha }) => [alpha],
};

export const eluTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x where x > 0, else alpha · (exp(x) − 1); any shape.
 *
 * @param options.alpha a finite number; default 1
 */
export const elu = /* @__PURE__ */ optionLayer<EluSpec>(eluRecord, eluTraining, Elementwise);

/** What eluForward leaves for eluBackward: its operand, by reference, and its settings. */
export interface EluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly alpha: number;
}

/**
 * Exponential linear unit: out = x where x > 0, else alpha · (exp(x) − 1), element by element,
 * for any shape. Near 0 the result keeps its relative accuracy. NaN stays NaN.
 *
 * Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289.
 *
 * @param options.alpha a finite number; default 1
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs
 * @throws RangeError for a setting out of its range; ShapeError, DTypeError, AliasError,
 *   DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function eluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { alpha?: number | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: EluCache<D> } {
  return activate(eluRecord, eluTraining, x, options);
}

/**
 * Gradient of eluForward: dx = dout where x > 0, else dout · alpha · exp(x); so alpha at x = 0.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function eluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: EluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(eluRecord, dout, cache, options);
}
