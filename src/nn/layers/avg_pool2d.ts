import { flag } from "../../tensor/numbers.ts";
import type { Padding, Size } from "../../tensor/window.ts";
import { AveragePool } from "../engine/average_pool.ts";
import { layer } from "../engine/kinds.ts";
import { averaging, pooling } from "../graph/pooling.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkSettings, checkSizes } from "../settings.ts";

/** The settings of avgPool2d() beside its kernel. */
export interface AvgPool2dOptions {
  readonly stride?: Size | undefined;
  readonly padding?: Padding | undefined;
  readonly countPadding?: boolean | undefined;
  readonly ceil?: boolean | undefined;
}

export interface AvgPool2dSpec extends AvgPool2dOptions {
  readonly kind: "avgPool2d";
  readonly kernel: Size;
}

export const avgPool2dRecord: ServingRecord<"avgPool2d"> = {
  kind: "avgPool2d",
  ...averaging,
  ...pooling(2, { countPadding: [flag, false] }),
};

export const avgPool2dTraining: TrainingRecord = {
  argument: "kernel",
  apartGradient: true,
  hidden: "other",
  example: "avgpool:2",
};

/**
 * The mean of each window of an image.
 *
 * Each example (H, W, C) → (OH, OW, C).
 *
 * @param kernel the height and width of a window, as one number or [height, width]
 * @param options.stride default the kernel
 * @param options.padding as conv2d's; default 0
 * @param options.countPadding true divides by the window's cells inside the padded image, as
 *   PyTorch does unless told otherwise; false, the default, by those inside the image itself
 * @param options.ceil true lets a last window begin inside and end outside; default false
 */
export const avgPool2d = /* @__PURE__ */ layer(
  avgPool2dRecord,
  avgPool2dTraining,
  AveragePool,
  (kernel: Size, options: AvgPool2dOptions = {}): AvgPool2dSpec => {
    checkSizes("avgPool2d", { kernel }, "2");
    checkSettings("avgPool2d", "options", options, ["stride", "padding", "countPadding", "ceil"]);
    return { ...options, kind: "avgPool2d", kernel };
  },
);
