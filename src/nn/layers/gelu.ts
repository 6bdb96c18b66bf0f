import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const geluRecord: ServingRecord<"gelu"> = {
  kind: "gelu",
};

export const geluTraining: TrainingRecord = {
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x · Φ(x), Φ being the distribution function of the normal distribution: the exact form,
 * which is PyTorch's default. Any shape.
 */
export const gelu = /* @__PURE__ */ plainLayer(geluRecord, geluTraining, Elementwise);
