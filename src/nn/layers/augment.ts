import { flag, probability, type Range } from "../../tensor/numbers.ts";
import { formatShape } from "../../tensor/shape.ts";
import { Augment } from "../engine/augment.ts";
import { layer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkSettings } from "../settings.ts";

/** What augment() may do to an image. */
export interface AugmentOptions {
  readonly shift?: number | undefined;
  readonly flip?: boolean | undefined;
  readonly crop?: number | undefined;
  readonly rotate?: number | undefined;
}

export interface AugmentSpec extends AugmentOptions {
  readonly kind: "augment";
}

const pixels: Range = {
  expected: "a whole number of pixels from 0 to 65536",
  holds: (value) => Number.isInteger(value) && value >= 0 && value <= 65536,
};
const degrees: Range = {
  expected: "degrees from 0 to 180",
  holds: (value) => value >= 0 && value <= 180,
};

export const augmentRecord: ServingRecord<"augment"> = {
  kind: "augment",
  settings: {
    shift: [pixels, 0],
    flip: [flag, false],
    crop: [probability, 0],
    rotate: [degrees, 0],
  },
  refusal: (inShape) =>
    inShape.length === 3
      ? undefined
      : `takes examples of shape (H, W, C), got ${formatShape(inShape)}`,
  isIdentity: true,
};

export const augmentTraining: TrainingRecord = { apartGradient: true };

/**
 * Random variants of images in training, from the model's own stream: each example of each pass is
 * drawn anew by bilinear interpolation, with 0 for what lies outside. In test mode, and where a
 * model is served, images stay as they are. It stands first in a model.
 *
 * Each example (H, W, C), whose shape stays.
 *
 * @param options.shift up to this many whole pixels up or down and to either side; default 0
 * @param options.flip true turns half of the images over, left to right; default false
 * @param options.crop cuts up to this share off height and width, in [0, 1), and scales the rest to
 *   the whole; default 0
 * @param options.rotate turns by up to this many degrees either way, in [0, 180]; default 0
 */
export const augment = /* @__PURE__ */ layer(
  augmentRecord,
  augmentTraining,
  Augment,
  (options: AugmentOptions = {}): AugmentSpec => {
    checkSettings("augment", "options", options, ["shift", "flip", "crop", "rotate"], true);
    return { ...options, kind: "augment" };
  },
);
