import type { Padding, Size } from "../../tensor/window.ts";
import { ConvTranspose } from "../engine/conv_transpose.ts";
import { layer } from "../engine/kinds.ts";
import { convTraining, transposedConvolution } from "../graph/convolution.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import type { Initializer } from "../initializers.ts";
import { checkSettings, checkSizes } from "../settings.ts";

/** The settings of convTranspose2d() beside its filters. */
export interface ConvTranspose2dOptions {
  readonly stride?: Size | undefined;
  readonly padding?: Padding | undefined;
  readonly outputPadding?: Size | undefined;
  readonly dilation?: Size | undefined;
  readonly groups?: number | undefined;
  readonly useBias?: boolean | undefined;
  readonly weight?: Initializer | undefined;
  readonly bias?: Initializer | undefined;
}

export interface ConvTranspose2dSpec extends ConvTranspose2dOptions {
  readonly kind: "convTranspose2d";
  /** F, the channels out. */
  readonly filters: number;
  readonly kernel: Size;
}

const OPTIONS = [
  ...["stride", "padding", "outputPadding", "dilation", "groups"],
  ...["useBias", "weight", "bias"],
];

export const convTranspose2dRecord: ServingRecord<"convTranspose2d"> = {
  kind: "convTranspose2d",
  ...transposedConvolution,
};

export const convTranspose2dTraining: TrainingRecord = convTraining;

/**
 * Transposed convolution: the gradient of a convolution with respect to its input, which makes
 * images larger. PyTorch's definition.
 *
 * Each example (H, W, C) → (OH, OW, F), OH = (H − 1) · sh − top − bottom + dh · (KH − 1) +
 * outputPadding + 1. `weight` (KH, KW, F / groups, C), `bias` (F,).
 *
 * @param filters F, a whole number from 1 up
 * @param kernel KH and KW, as one number or [height, width]
 * @param options.stride default 1
 * @param options.padding as conv2d's, and is cut off; "same" gives H · stride; default 0
 * @param options.outputPadding rows below and columns on the right that no window covers, fewer
 *   than the stride or the dilation; default 0
 * @param options.dilation default 1
 * @param options.groups default 1
 * @param options.useBias false leaves the bias out; default true
 * @param options.weight default the model's, which is heNormal()
 * @param options.bias default zeros()
 */
export const convTranspose2d = /* @__PURE__ */ layer(
  convTranspose2dRecord,
  convTranspose2dTraining,
  ConvTranspose,
  (filters: number, kernel: Size, options: ConvTranspose2dOptions = {}): ConvTranspose2dSpec => {
    checkSizes("convTranspose2d", { filters, kernel }, "16, 3");
    checkSettings("convTranspose2d", "options", options, OPTIONS);
    return { ...options, kind: "convTranspose2d", filters, kernel };
  },
);
