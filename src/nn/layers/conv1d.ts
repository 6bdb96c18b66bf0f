import type { Padding1d } from "../../tensor/window.ts";
import { Conv } from "../engine/conv.ts";
import { layer } from "../engine/kinds.ts";
import { convolution, convTraining } from "../graph/convolution.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import type { Initializer } from "../initializers.ts";
import { checkSettings, checkSizes } from "../settings.ts";

/** The settings of conv1d() beside its filters. */
export interface Conv1dOptions {
  readonly stride?: number | undefined;
  readonly padding?: Padding1d | undefined;
  readonly dilation?: number | undefined;
  readonly groups?: number | undefined;
  readonly useBias?: boolean | undefined;
  readonly weight?: Initializer | undefined;
  readonly bias?: Initializer | undefined;
}

export interface Conv1dSpec extends Conv1dOptions {
  readonly kind: "conv1d";
  /** F, the channels out. */
  readonly filters: number;
  readonly kernel: number;
}

const OPTIONS = ["stride", "padding", "dilation", "groups", "useBias", "weight", "bias"];

export const conv1dRecord: ServingRecord<"conv1d"> = { kind: "conv1d", ...convolution(1) };

export const conv1dTraining: TrainingRecord = convTraining;

/**
 * Convolution of sequences: conv2d over an image of height 1.
 *
 * Each example (L, C) → (OL, F), OL = ⌊(L + left + right − d · (K − 1) − 1) / s⌋ + 1. `weight` (K,
 * C / groups, F), `bias` (F,).
 *
 * @param filters F, a whole number from 1 up
 * @param kernel K, a whole number from 1 up
 * @param options as those of conv2d; a padding is a number, { left, right }, "valid" or "same"
 */
export const conv1d = /* @__PURE__ */ layer(
  conv1dRecord,
  conv1dTraining,
  Conv,
  (filters: number, kernel: number, options: Conv1dOptions = {}): Conv1dSpec => {
    checkSizes("conv1d", { filters, kernel }, "16, 3");
    checkSettings("conv1d", "options", options, OPTIONS);
    return { ...options, kind: "conv1d", filters, kernel };
  },
);
