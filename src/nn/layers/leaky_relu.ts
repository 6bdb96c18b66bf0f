import { fromZero } from "../../tensor/numbers.ts";
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
  values: ["negativeSlope"],
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
