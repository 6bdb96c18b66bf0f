import { sizeOf } from "../../tensor/shape.ts";
import { Identity } from "../engine/identity.ts";
import { type PlainSpec, plainLayer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export const flattenRecord: ServingRecord<"flatten"> = {
  kind: "flatten",
  outShape: (inShape) => [sizeOf(inShape)],
  isIdentity: true,
};

export type FlattenSpec = PlainSpec<"flatten">;

export const flattenTraining: TrainingRecord = {
  inPlace: true,
  keepsSign: true,
};

/** Each example as one row of features: (d₁, …, d_k) → (d₁ · … · d_k,). No data moves. */
export const flatten = /* @__PURE__ */ plainLayer(flattenRecord, flattenTraining, Identity);
