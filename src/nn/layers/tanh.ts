import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const tanhRecord: ServingRecord<"tanh"> = {
  kind: "tanh",
};

export const tanhTraining: TrainingRecord = {
  inPlace: true,
  keeps: "out",
  keepsSign: true,
  hidden: "activation",
};

/** out = tanh(x), any shape. */
export const tanh = /* @__PURE__ */ plainLayer(tanhRecord, tanhTraining, Elementwise);
