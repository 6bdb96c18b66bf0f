import { checkRange, type Reader } from "../../tensor/numbers.ts";
import { type Padding, placeWindow } from "../../tensor/window.ts";
import { layer } from "../engine/kinds.ts";
import { ZeroPad } from "../engine/zero_pad.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { paddingReader, slides, slidingOf } from "../graph/windows.ts";

/** What may lie around an image: not "same", which says nothing without a window. */
type Edges = Exclude<Padding, "same" | "valid">;

export interface ZeroPad2dSpec {
  readonly kind: "zeroPad2d";
  readonly padding: Edges;
}

/** Reads a padding of numbers. */
const edges: Reader = (operation, name, value) => {
  const expected = "whole numbers from 0 up";
  if (typeof value !== "object") {
    const holds = (n: number) => Number.isInteger(n) && n >= 0;
    checkRange(operation, name, { expected, holds }, value);
  }
  return paddingReader(2)(operation, name, value);
};

export const zeroPad2dRecord: ServingRecord<"zeroPad2d"> = {
  kind: "zeroPad2d",
  settings: { padding: [edges] },
  ...slides(2, (image, C, { padding }) => {
    // Every cell of the padded image is a window of one.
    const sliding = slidingOf({ kernel: 1, padding }, 2);
    const placement = placeWindow(image, sliding, 2);
    return typeof placement === "string" ? placement : { image, sliding, placement, C, F: C };
  }),
};

export const zeroPad2dTraining: TrainingRecord = { argument: "padding", apartGradient: true };

/**
 * Zeros around each image.
 *
 * Each example (H, W, C) → (top + H + bottom, left + W + right, C).
 *
 * @param padding a number, [height, width] or { top, left, bottom, right }
 */
export const zeroPad2d = /* @__PURE__ */ layer(
  zeroPad2dRecord,
  zeroPad2dTraining,
  ZeroPad,
  (padding: Edges): ZeroPad2dSpec => {
    edges("zeroPad2d", "padding", padding);
    return { kind: "zeroPad2d", padding };
  },
);
