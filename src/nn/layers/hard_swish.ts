import { activate, differentiate } from "../../layers/activation.ts";
import type { Cache } from "../../tensor/cache.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const hardSwishRecord: ServingRecord<"hardSwish"> = {
  kind: "hardSwish",
};

export const hardSwishTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x · min(max(x + 3, 0), 6) / 6; any shape.
 */
export const hardSwish = /* @__PURE__ */ plainLayer(
  hardSwishRecord,
  hardSwishTraining,
  Elementwise,
);

/** What hardSwishForward leaves for hardSwishBackward: its operand, by reference. */
export interface HardSwishCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
}

/**
 * Hard swish: out = x · min(max(x + 3, 0), 6) / 6, element by element, for any shape. NaN stays
 * NaN, and −∞ becomes NaN, as it is −∞ · 0.
 *
 * Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244.
 *
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function hardSwishForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: HardSwishCache<D> } {
  return activate(hardSwishRecord, hardSwishTraining, x, options);
}

/**
 * Gradient of hardSwishForward: dx = 0 where x < −3, dout where x > 3, and dout · (x / 3 + ½)
 * between; at both ends too, as in PyTorch.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function hardSwishBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: HardSwishCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return differentiate(hardSwishRecord, dout, cache, options);
}
