import { probability, seed } from "../../tensor/numbers.ts";
import { Dropout } from "../engine/dropout.ts";
import { layer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkFirst, checkSettings } from "../settings.ts";

export interface DropoutSpec {
  readonly kind: "dropout";
  /** The probability of dropping a value, in [0, 1). */
  readonly p: number;
  readonly seed?: number | undefined;
}

export const dropoutRecord: ServingRecord<"dropout"> = {
  kind: "dropout",
  settings: { p: [probability], seed: [seed, undefined] },
  isIdentity: true,
};

export const dropoutTraining: TrainingRecord = {
  argument: "p",
  inPlace: true,
  keepsSign: true, // where it drops a value, its gradient is 0
  hidden: "other",
};

/**
 * Inverted dropout: in training out = x · mask, mask = (r >= p) / (1 − p) with r uniform on [0, 1);
 * in test mode out holds x's values. Any shape.
 *
 * @param p the probability of DROPPING a value, in [0, 1)
 * @param options.seed with it every pass has the mask of `np.random.seed(seed)` and
 *   `np.random.rand(*x.shape) >= p`; without it each pass has a new one, from the model's own
 *   stream
 */
export const dropout = /* @__PURE__ */ layer(
  dropoutRecord,
  dropoutTraining,
  Dropout,
  (p: number, options: { seed?: number | undefined } = {}): DropoutSpec => {
    checkFirst("dropout", "p", p, 0.5);
    checkSettings("dropout", "options", options, ["seed"]);
    return { ...options, kind: "dropout", p };
  },
);
