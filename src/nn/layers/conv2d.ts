import type { Padding, Size } from "../../tensor/window.ts";
import { Conv } from "../engine/conv.ts";
import { layer } from "../engine/kinds.ts";
import { convolution, convTraining } from "../graph/convolution.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import type { Initializer } from "../initializers.ts";
import { checkSettings, checkSizes } from "../settings.ts";

/** The settings of conv2d() beside its filters. */
export interface Conv2dOptions {
  readonly stride?: Size | undefined;
  readonly padding?: Padding | undefined;
  readonly dilation?: Size | undefined;
  readonly groups?: number | undefined;
  readonly useBias?: boolean | undefined;
  readonly weight?: Initializer | undefined;
  readonly bias?: Initializer | undefined;
}

export interface Conv2dSpec extends Conv2dOptions {
  readonly kind: "conv2d";
  /** F, the channels out. */
  readonly filters: number;
  readonly kernel: Size;
}

const OPTIONS = ["stride", "padding", "dilation", "groups", "useBias", "weight", "bias"];

export const conv2dRecord: ServingRecord<"conv2d"> = { kind: "conv2d", ...convolution(2) };

export const conv2dTraining: TrainingRecord = {
  ...convTraining,
  hidden: "other",
  example: "conv:16x5",
};

/**
 * Convolution of images: out[i, j, f] = bias[f] + Σ x[i · sh + u · dh − top, j · sw + v · dw −
 * left, c] · weight[u, v, c, f] over u, v and the channels c of f's group.
 *
 * Each example (H, W, C) → (OH, OW, F), OH = ⌊(H + top + bottom − dh · (KH − 1) − 1) / sh⌋ + 1.
 * `weight` (KH, KW, C / groups, F), `bias` (F,). Batch normalisation, ReLU and relu6 after it are
 * served along with it.
 *
 * @param filters F, a whole number from 1 up
 * @param kernel KH and KW, as one number or [height, width]
 * @param options.stride default 1
 * @param options.padding a number, [height, width], { top, left, bottom, right }, "valid" (none) or
 *   "same" (⌈H / stride⌉ comes out, the larger half is at bottom and right); default 0
 * @param options.dilation default 1
 * @param options.groups divides the channels and the filters; as many as channels is a depthwise
 *   convolution; default 1
 * @param options.useBias false leaves the bias out; default true
 * @param options.weight default the model's, which is heNormal()
 * @param options.bias default zeros()
 */
export const conv2d = /* @__PURE__ */ layer(
  conv2dRecord,
  conv2dTraining,
  Conv,
  (filters: number, kernel: Size, options: Conv2dOptions = {}): Conv2dSpec => {
    checkSizes("conv2d", { filters, kernel }, "16, 3");
    checkSettings("conv2d", "options", options, OPTIONS);
    return { ...options, kind: "conv2d", filters, kernel };
  },
);
