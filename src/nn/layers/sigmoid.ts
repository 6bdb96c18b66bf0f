import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const sigmoidRecord: ServingRecord<"sigmoid"> = {
  kind: "sigmoid",
};

export const sigmoidTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  hidden: "activation",
  givesProbabilities: true,
};

/** out = 1 / (1 + exp(−x)), any shape. */
export const sigmoid = /* @__PURE__ */ plainLayer(sigmoidRecord, sigmoidTraining, Elementwise);
