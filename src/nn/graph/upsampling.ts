// How pixels become blocks: forward as a copy, and backward as a sum over windows.

import { placeTransposed } from "../../tensor/window.ts";
import { copiedAxes } from "./axis.ts";
import type { Settings } from "./record.ts";
import { slides, slidingOf } from "./windows.ts";

/** The shapes, and the window over what comes out that a block is. */
export const blocks = slides(
  2,
  (image, C, { scale }) => {
    const sliding = slidingOf({ kernel: scale }, 2);
    const placement = placeTransposed(image, sliding, [0, 0], 2);
    return typeof placement === "string" ? placement : { image, sliding, placement, C, F: C };
  },
  true,
);

/** The axes of the copy, which goes over a pixel for each place of its block. */
export function blockAxes(inShape: readonly number[], { scale }: Settings): number[] {
  const [H, W, C] = inShape as [number, number, number];
  const [down, right] = scale as [number, number];
  return copiedAxes([H, down, W, right, C], [W * C, 0, C, 0, 1]);
}
