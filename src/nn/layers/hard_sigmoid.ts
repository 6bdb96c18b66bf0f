import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import { finite } from "../../tensor/numbers.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { optionLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export interface HardSigmoidSpec {
  readonly kind: "hardSigmoid";
  readonly alpha?: number | undefined;
  readonly beta?: number | undefined;
}

export const hardSigmoidRecord: ServingRecord<"hardSigmoid"> = {
  kind: "hardSigmoid",
  settings: { alpha: [finite, 1 / 6], beta: [finite, 0.5] },
  values: ({ alpha, beta }) => [alpha, beta],
};

export const hardSigmoidTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  hidden: "activation",
};

/**
 * out = min(max(alpha · x + beta, 0), 1); any shape.
 *
 * @param options.alpha a finite number; default 1/6, which is PyTorch's; ONNX has 0.2
 * @param options.beta a finite number; default ½
 */
export const hardSigmoid = /* @__PURE__ */ optionLayer<HardSigmoidSpec>(
  hardSigmoidRecord,
  hardSigmoidTraining,
  Elementwise,
);

/**
 * What hardSigmoidForward leaves for hardSigmoidBackward: its out, by reference, and its settings.
 */
export interface HardSigmoidCache<D extends FloatDType = FloatDType> extends Cache {
  readonly out: Tensor<D>;
  readonly alpha: number;
  readonly beta: number;
}

/**
 * Hard sigmoid: out = min(max(alpha · x + beta, 0), 1), element by element, for any shape. NaN
 * stays NaN.
 *
 * The backward reads out, so nothing may change out before it.
 *
 * Courbariaux, Bengio and David, 2015, arXiv:1511.00363.
 *
 * @param options.alpha a finite number; default 1/6, which is PyTorch's; ONNX has 0.2
 * @param options.beta a finite number; default ½
 * @param options.out a tensor to write into; x itself serves
 * @throws RangeError for a setting out of its range; ShapeError, DTypeError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function hardSigmoidForward<D extends FloatDType>(
  x: Tensor<D>,
  options: {
    alpha?: number | undefined;
    beta?: number | undefined;
    out?: Tensor<NoInfer<D>> | undefined;
  } = {},
): { out: Tensor<D>; cache: HardSigmoidCache<D> } {
  return activate(hardSigmoidRecord, hardSigmoidTraining, x, options);
}

/**
 * Gradient of hardSigmoidForward: dx = dout · alpha where 0 < out < 1, else 0; so 0 at both
 * kinks.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function hardSigmoidBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: HardSigmoidCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(hardSigmoidRecord, dout, cache, options);
}
