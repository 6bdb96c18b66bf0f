import { flag } from "../../tensor/numbers.ts";
import type { Padding1d } from "../../tensor/window.ts";
import { AveragePool } from "../engine/average_pool.ts";
import { layer } from "../engine/kinds.ts";
import { averaging, pooling } from "../graph/pooling.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkSettings, checkSizes } from "../settings.ts";

/** The settings of avgPool1d() beside its kernel. */
export interface AvgPool1dOptions {
  readonly stride?: number | undefined;
  readonly padding?: Padding1d | undefined;
  readonly countPadding?: boolean | undefined;
  readonly ceil?: boolean | undefined;
}

export interface AvgPool1dSpec extends AvgPool1dOptions {
  readonly kind: "avgPool1d";
  readonly kernel: number;
}

export const avgPool1dRecord: ServingRecord<"avgPool1d"> = {
  kind: "avgPool1d",
  ...averaging,
  ...pooling(1, { countPadding: [flag, false] }),
};

export const avgPool1dTraining: TrainingRecord = { argument: "kernel", apartGradient: true };

/**
 * The mean of each window of a sequence.
 *
 * Each example (L, C) → (OL, C).
 *
 * @param kernel the length of a window
 * @param options.stride default the kernel
 * @param options.padding as conv1d's; default 0
 * @param options.countPadding true divides by the window's cells inside the padded sequence, as
 *   PyTorch does unless told otherwise; false, the default, by those inside the sequence itself
 * @param options.ceil true lets a last window begin inside and end outside; default false
 */
export const avgPool1d = /* @__PURE__ */ layer(
  avgPool1dRecord,
  avgPool1dTraining,
  AveragePool,
  (kernel: number, options: AvgPool1dOptions = {}): AvgPool1dSpec => {
    checkSizes("avgPool1d", { kernel }, "2");
    checkSettings("avgPool1d", "options", options, ["stride", "padding", "countPadding", "ceil"]);
    return { ...options, kind: "avgPool1d", kernel };
  },
);
