import type { Padding, Size } from "../../tensor/window.ts";
import { layer } from "../engine/kinds.ts";
import { MaxPool } from "../engine/max_pool.ts";
import { pooling } from "../graph/pooling.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { sizeReader } from "../graph/windows.ts";
import { checkSettings, checkSizes } from "../settings.ts";

/** The settings of maxPool2d() beside its kernel. */
export interface MaxPool2dOptions {
  readonly stride?: Size | undefined;
  readonly padding?: Padding | undefined;
  readonly dilation?: Size | undefined;
  readonly ceil?: boolean | undefined;
}

export interface MaxPool2dSpec extends MaxPool2dOptions {
  readonly kind: "maxPool2d";
  readonly kernel: Size;
}

export const maxPool2dRecord: ServingRecord<"maxPool2d"> = {
  kind: "maxPool2d",
  operation: "maxPool",
  ...pooling(2, { dilation: [sizeReader(2), 1] }),
};

export const maxPool2dTraining: TrainingRecord = {
  argument: "kernel",
  apartGradient: true,
  hidden: "activation",
  example: "pool:2",
};

/**
 * The largest value in each window of an image; the padding is −∞, and NaN is above all. Of equal
 * values the first in row-major order takes the gradient.
 *
 * Each example (H, W, C) → (OH, OW, C).
 *
 * @param kernel the height and width of a window, as one number or [height, width]
 * @param options.stride default the kernel
 * @param options.padding as conv2d's; default 0
 * @param options.dilation default 1
 * @param options.ceil true lets a last window begin inside and end outside; default false
 */
export const maxPool2d = /* @__PURE__ */ layer(
  maxPool2dRecord,
  maxPool2dTraining,
  MaxPool,
  (kernel: Size, options: MaxPool2dOptions = {}): MaxPool2dSpec => {
    checkSizes("maxPool2d", { kernel }, "2");
    checkSettings("maxPool2d", "options", options, ["stride", "padding", "dilation", "ceil"]);
    return { ...options, kind: "maxPool2d", kernel };
  },
);
