import { plainLayer } from "../engine/kinds.ts";
import { LastAxis } from "../engine/last_axis.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const softmaxRecord: ServingRecord<"softmax"> = {
  kind: "softmax",
};

export const softmaxTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  givesProbabilities: true,
};

/**
 * out = exp(x) / Σ exp(x) over the last axis: probabilities. The loss "softmax" takes the scores
 * before this layer, so a model is trained without it.
 */
export const softmax = /* @__PURE__ */ plainLayer(softmaxRecord, softmaxTraining, LastAxis);
