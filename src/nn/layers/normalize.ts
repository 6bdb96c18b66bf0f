import { sizeOf } from "../../tensor/shape.ts";
import { layer } from "../engine/kinds.ts";
import { Normalize } from "../engine/normalize.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkSettings } from "../settings.ts";

/** A number for all features, or one for each. */
type Constants = number | ArrayLike<number>;

export interface NormalizeSpec {
  readonly kind: "normalize";
  readonly mean: Constants;
  readonly std: Constants;
}

export const normalizeRecord: ServingRecord<"normalize"> = {
  kind: "normalize",
  // The engine checks the constants and makes tensors of them.
  stored: { mean: 0, std: 1 },
  tensors: (inShape) => {
    const each = [sizeOf(inShape)];
    return { mean: each, std: each };
  },
  operands: (tensor) => [tensor("mean"), tensor("std")],
};

export const normalizeTraining: TrainingRecord = { inPlace: true };

/**
 * out = (x − mean) / std, with constants that the model's file keeps: what is done to raw features
 * before they enter the network. Any shape.
 *
 * @param options.mean a number for all features of an example, or one for each; likewise std, which
 *   is above 0
 */
export const normalize = /* @__PURE__ */ layer(
  normalizeRecord,
  normalizeTraining,
  Normalize,
  (options: { mean: Constants; std: Constants }): NormalizeSpec => {
    checkSettings("normalize", "options", options, ["mean", "std"], true);
    return { ...options, kind: "normalize" };
  },
);
