import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import { finite, fromZero } from "../../tensor/numbers.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { layer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkFirst } from "../settings.ts";

export interface LeakyReluSpec {
  readonly kind: "leakyRelu";
  readonly negativeSlope?: number | undefined;
}

export const leakyReluRecord: ServingRecord<"leakyRelu"> = {
  kind: "leakyRelu",
  settings: { negativeSlope: [fromZero, 0.01] },
  values: ({ negativeSlope }) => [negativeSlope],
};

export const leakyReluTraining: TrainingRecord = {
  argument: "negativeSlope",
  inPlace: true,
  keeps: "sign",
  keepsSign: true,
  hidden: "activation",
};

/** out = x where x > 0, else negativeSlope · x; any shape. Default 0.01. */
export const leakyRelu = /* @__PURE__ */ layer(
  leakyReluRecord,
  leakyReluTraining,
  Elementwise,
  (negativeSlope = 0.01): LeakyReluSpec => {
    checkFirst("leakyRelu", "negativeSlope", negativeSlope, 0.01);
    return { kind: "leakyRelu", negativeSlope };
  },
);

/**
 * What leakyReluForward leaves for leakyReluBackward: its operand, by reference, and the slope.
 */
export interface LeakyReluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly negativeSlope: number;
}

const needsX = ({ negativeSlope }: { negativeSlope: number }) =>
  negativeSlope < 0 ? "with a negativeSlope below 0 leakyReluBackward needs x" : undefined;

/**
 * Leaky rectified linear unit: out = x where x > 0, else negativeSlope · x, element by element, for
 * any shape. NaN stays NaN.
 *
 * In place the backward still holds, as a slope of 0 or more leaves the signs; with one below 0 it
 * is refused.
 *
 * Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.
 *
 * @param options.negativeSlope a finite number; default 0.01
 * @param options.out a tensor to write into; x itself serves unless negativeSlope is below 0
 * @throws RangeError for a slope that is no finite number; ShapeError, DTypeError, AliasError,
 *   DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function leakyReluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { negativeSlope?: number | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: LeakyReluCache<D> } {
  // By hand the slope may be below 0, which a model refuses: there the layer may run in place.
  const settings = { negativeSlope: [finite, 0.01] } as const;
  return activate({ ...leakyReluRecord, settings }, leakyReluTraining, x, options, needsX);
}

/**
 * Gradient of leakyReluForward: dx = dout where x > 0, else negativeSlope · dout; so the slope at x
 * = 0.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function leakyReluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: LeakyReluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(leakyReluRecord, dout, cache, options);
}
