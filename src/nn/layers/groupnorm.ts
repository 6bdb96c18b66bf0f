import { count, positive } from "../../tensor/numbers.ts";
import { Groupnorm } from "../engine/groupnorm.ts";
import { layer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkSettings } from "../settings.ts";

export interface GroupnormSpec {
  readonly kind: "groupnorm";
  readonly groups: number;
  readonly eps?: number | undefined;
}

export const groupnormRecord: ServingRecord<"groupnorm"> = {
  kind: "groupnorm",
  settings: { groups: [count], eps: [positive, 1e-5] },
  refusal(inShape, { groups }) {
    const C = inShape.at(-1) as number;
    return C % groups === 0 ? undefined : `groups must divide the ${C} channels, got ${groups}`;
  },
  tensors(inShape) {
    const C = inShape.slice(-1);
    return { weight: C, bias: C };
  },
  values: ({ groups, eps }) => [groups, eps],
  operands: (tensor) => [tensor("weight"), tensor("bias")],
};

export const groupnormTraining: TrainingRecord = {
  learned: ["weight", "bias"],
  keeps: "x",
  apartGradient: true,
};

/**
 * Group normalisation: each group of C / groups neighbouring channels of an example is normalised
 * by its own mean and biased variance, over its channels and all pixels, in training and in test
 * mode alike; then out = weight · xNorm + bias. As many groups as channels are instance
 * normalisation.
 *
 * Each example (C,), (L, C) or (H, W, C), whose shape stays. `weight` (gamma) begins as 1 and
 * `bias` (beta) as 0, both (C,).
 *
 * Wu and He, "Group Normalization", 2018, arXiv:1803.08494.
 *
 * @param options.groups divides C; it has to be given
 * @param options.eps above 0; default 1e-5
 */
export const groupnorm = /* @__PURE__ */ layer(
  groupnormRecord,
  groupnormTraining,
  Groupnorm,
  (options: Omit<GroupnormSpec, "kind">): GroupnormSpec => {
    checkSettings("groupnorm", "options", options, ["groups", "eps"], true);
    return { ...options, kind: "groupnorm" };
  },
);
