import { positive } from "../../tensor/numbers.ts";
import { optionLayer } from "../engine/kinds.ts";
import { Layernorm } from "../engine/layernorm.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export interface LayernormSpec {
  readonly kind: "layernorm";
  readonly eps?: number | undefined;
}

export const layernormRecord: ServingRecord<"layernorm"> = {
  kind: "layernorm",
  settings: { eps: [positive, 1e-5] },
  tensors(inShape) {
    const C = inShape.slice(-1);
    return { weight: C, bias: C };
  },
  values: ({ eps }) => [eps],
  operands: (tensor) => [tensor("weight"), tensor("bias")],
};

export const layernormTraining: TrainingRecord = {
  learned: ["weight", "bias"],
  keeps: "x",
  apartGradient: true,
};

/**
 * Layer normalisation over the last axis: out = weight · (x − mean) / sqrt(var + eps) + bias, with
 * the mean and the biased variance of each row, in training and in test mode alike.
 *
 * Each example (…, D), whose shape stays. `weight` (gamma) begins as 1 and `bias` (beta) as 0, both
 * (D,).
 *
 * Ba, Kiros and Hinton, "Layer Normalization", 2016, arXiv:1607.06450.
 *
 * @param options.eps above 0; default 1e-5
 */
export const layernorm = /* @__PURE__ */ optionLayer<LayernormSpec>(
  layernormRecord,
  layernormTraining,
  Layernorm,
);
