import { plainLayer } from "../engine/kinds.ts";
import { LastAxis } from "../engine/last_axis.ts";
import type { ServingRecord } from "../graph/record.ts";

export const softmaxRecord: ServingRecord<"softmax"> = {
  kind: "softmax",
};

/**
 * out = exp(x) / Σ exp(x) over the last axis: probabilities. The loss "softmax" takes the scores
 * before this layer, so a model is trained without it.
 */
export const softmax = /* @__PURE__ */ plainLayer(softmaxRecord, {
  Engine: LastAxis,
  inPlace: true,
  keeps: "out",
  givesProbabilities: true,
});
