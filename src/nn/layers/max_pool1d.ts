import type { Padding1d } from "../../tensor/window.ts";
import { layer } from "../engine/kinds.ts";
import { MaxPool } from "../engine/max_pool.ts";
import { pooling } from "../graph/pooling.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { sizeReader } from "../graph/windows.ts";
import { checkSettings, checkSizes } from "../settings.ts";

/** The settings of maxPool1d() beside its kernel. */
export interface MaxPool1dOptions {
  readonly stride?: number | undefined;
  readonly padding?: Padding1d | undefined;
  readonly dilation?: number | undefined;
  readonly ceil?: boolean | undefined;
}

export interface MaxPool1dSpec extends MaxPool1dOptions {
  readonly kind: "maxPool1d";
  readonly kernel: number;
}

export const maxPool1dRecord: ServingRecord<"maxPool1d"> = {
  kind: "maxPool1d",
  operation: "maxPool",
  ...pooling(1, { dilation: [sizeReader(1), 1] }),
};

export const maxPool1dTraining: TrainingRecord = { argument: "kernel", apartGradient: true };

/**
 * The largest value in each window of a sequence; the padding is −∞, and NaN is above all. Of equal
 * values the first in row-major order takes the gradient.
 *
 * Each example (L, C) → (OL, C).
 *
 * @param kernel the length of a window
 * @param options.stride default the kernel
 * @param options.padding as conv1d's; default 0
 * @param options.dilation default 1
 * @param options.ceil true lets a last window begin inside and end outside; default false
 */
export const maxPool1d = /* @__PURE__ */ layer(
  maxPool1dRecord,
  maxPool1dTraining,
  MaxPool,
  (kernel: number, options: MaxPool1dOptions = {}): MaxPool1dSpec => {
    checkSizes("maxPool1d", { kernel }, "2");
    checkSettings("maxPool1d", "options", options, ["stride", "padding", "dilation", "ceil"]);
    return { ...options, kind: "maxPool1d", kernel };
  },
);
