import { positive, weight } from "../../tensor/numbers.ts";
import { Batchnorm } from "../engine/batchnorm.ts";
import { layer } from "../engine/kinds.ts";
import { fold } from "../graph/fold.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkSettings } from "../settings.ts";

export interface BatchnormSpec {
  readonly kind: "batchnorm";
  readonly eps?: number | undefined;
  readonly momentum?: number | undefined;
}

export const batchnormRecord: ServingRecord<"batchnorm"> = {
  kind: "batchnorm",
  settings: { eps: [positive, 1e-5], momentum: [weight, 0.9] },
  tensors(inShape) {
    const C = inShape.slice(-1);
    return { weight: C, bias: C, running_mean: C, running_var: C };
  },
  operands(tensor, length, { eps }) {
    const factor = {
      length,
      values() {
        const variance = tensor("running_var").values();
        return new Float64Array(tensor("weight").values()).map(
          (gamma, j) => gamma / Math.sqrt((variance[j] as number) + eps),
        );
      },
    };
    return [tensor("running_mean"), factor, tensor("bias")];
  },
  join: fold,
};

export const batchnormTraining: TrainingRecord = {
  learned: ["weight", "bias"],
  dropped: ["num_batches_tracked"],
  keeps: "x",
  apartGradient: true,
  hidden: "other",
};

/**
 * Batch normalisation of each feature, or of each channel of images and sequences over all their
 * pixels: out = weight · (x − mean) / sqrt(var + eps) + bias, by the batch's statistics in training
 * and by running ones in test mode.
 *
 * Each example (D,), (H, W, C) or (L, C), whose shape stays. `weight` (gamma) begins as 1, `bias`
 * (beta) as 0, and so do `running_mean` (0) and `running_var` (1), each (D,) or (C,): PyTorch's
 * names and first values.
 *
 * @param options.eps above 0; default 1e-5
 * @param options.momentum the weight of the OLD running value, in [0, 1]; default 0.9. PyTorch's is
 *   1 − this
 */
export const batchnorm = /* @__PURE__ */ layer(
  batchnormRecord,
  batchnormTraining,
  Batchnorm,
  (options: Omit<BatchnormSpec, "kind"> = {}): BatchnormSpec => {
    checkSettings("batchnorm", "options", options, ["eps", "momentum"], true);
    return { ...options, kind: "batchnorm" };
  },
);
