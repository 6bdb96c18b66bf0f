import { AveragePool } from "../engine/average_pool.ts";
import { type PlainSpec, plainLayer } from "../engine/kinds.ts";
import { averaging, globalPooling } from "../graph/pooling.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const globalAvgPoolRecord: ServingRecord<"globalAvgPool"> = {
  kind: "globalAvgPool",
  ...averaging,
  ...globalPooling,
};

export type GlobalAvgPoolSpec = PlainSpec<"globalAvgPool">;

export const globalAvgPoolTraining: TrainingRecord = {
  apartGradient: true,
  hidden: "other",
  example: "globalpool",
};

/** The mean of each channel over all pixels. Each example (H, W, C) or (L, C) → (C,). */
export const globalAvgPool = /* @__PURE__ */ plainLayer(
  globalAvgPoolRecord,
  globalAvgPoolTraining,
  AveragePool,
);
