// What the records of poolings have in common.

import { CoreConstants } from "../../runtime/abi.ts";
import { flag, type Setting } from "../../tensor/numbers.ts";
import { formatShape, sizeOf } from "../../tensor/shape.ts";
import { type Axes, placeWindow } from "../../tensor/window.ts";
import type { ServingRecord, Settings } from "./record.ts";
import { slides, slidingOf, slidingSettings, wordsOf } from "./windows.ts";

/**
 * The record of a pooling over images or sequences.
 * @param more the settings that maximum or average have alone
 */
export const pooling = (
  axes: Axes,
  more: Record<string, Setting>,
): Omit<ServingRecord, "kind"> => ({
  settings: { ...slidingSettings(axes, undefined), ...more, ceil: [flag, false] },
  ...slides(axes, (image, C, settings) => {
    const sliding = slidingOf(settings, axes);
    const everywhere = "countPadding" in settings;
    const placement = placeWindow(image, sliding, axes, { ceil: settings.ceil, everywhere });
    return typeof placement === "string" ? placement : { image, sliding, placement, C, F: C };
  }),
});

/** The operation that takes an average. */
export const averaging = {
  operation: "averagePool",
  values: (settings: Settings) => [divisorOf(settings)],
};

/** What a sum is divided by. */
export const divisorOf = ({ countPadding }: Settings): number =>
  countPadding ? CoreConstants.divideByPadded : CoreConstants.divideByImage;

/** The record of an average over all pixels: one window as large as the image. */
export const globalPooling: Omit<ServingRecord, "kind"> = {
  refusal: (inShape) =>
    inShape.length > 1
      ? undefined
      : `takes examples of shape (H, W, C) or (L, C), got ${formatShape(inShape)}`,
  outShape: (inShape) => inShape.slice(-1),
  window(inShape) {
    const C = inShape.at(-1) as number;
    const image = [1, sizeOf(inShape) / C] as const;
    const one = [1, 1] as const;
    const sliding = {
      kernel: image,
      stride: one,
      dilation: one,
      padding: [0, 0, 0, 0],
    } as const;
    const placement = { out: one, top: 0, left: 0 };
    return wordsOf({ image, sliding, placement, C, F: C });
  },
};
