import type { Size } from "../../tensor/window.ts";
import { layer } from "../engine/kinds.ts";
import { Upsample } from "../engine/upsample.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { blockAxes, blocks } from "../graph/upsampling.ts";
import { sizeReader } from "../graph/windows.ts";
import { checkSizes } from "../settings.ts";

export interface Upsample2dSpec {
  readonly kind: "upsample2d";
  readonly scale: Size;
}

export const upsample2dRecord: ServingRecord<"upsample2d"> = {
  kind: "upsample2d",
  settings: { scale: [sizeReader(2)] },
  operation: "copy",
  ...blocks,
  window: blockAxes,
  values: (settings, inShape) => [blockAxes(inShape, settings).length / 3],
};

export const upsample2dTraining: TrainingRecord = { argument: "scale", apartGradient: true };

/**
 * Makes images larger by whole numbers: every pixel becomes a block of pixels with its value
 * (nearest neighbour).
 *
 * Each example (H, W, C) → (H · scale[0], W · scale[1], C).
 *
 * @param scale a whole number from 1 up, or [height, width]
 */
export const upsample2d = /* @__PURE__ */ layer(
  upsample2dRecord,
  upsample2dTraining,
  Upsample,
  (scale: Size): Upsample2dSpec => {
    checkSizes("upsample2d", { scale }, "2");
    return { kind: "upsample2d", scale };
  },
);
