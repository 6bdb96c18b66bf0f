import { Elementwise } from "../engine/elementwise.ts";
import { type PlainSpec, plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const reluRecord: ServingRecord<"relu"> = {
  kind: "relu",
  join(product) {
    product.values[0] = 0;
  },
  endsProduct: true,
};

export type ReluSpec = PlainSpec<"relu">;

export const reluTraining: TrainingRecord = {
  inPlace: true,
  keeps: "sign",
  keepsSign: true,
  hidden: "activation",
};

/** out = max(0, x), any shape. After an affine layer it costs no pass of its own. */
export const relu = /* @__PURE__ */ plainLayer(reluRecord, reluTraining, Elementwise);
