// What the records of layers with windows have in common: how their settings are read, where the
// windows lie, and the shapes that follow.

import { WindowWords } from "../../runtime/abi.ts";
import type { Reader, Setting } from "../../tensor/numbers.ts";
import { formatShape } from "../../tensor/shape.ts";
import {
  type Axes,
  type Pair,
  type Placement,
  readPadding,
  readSize,
  type Sliding,
  writeWindow,
} from "../../tensor/window.ts";
import type { ServingRecord, Settings } from "./record.ts";

/** Reads a size, which a file keeps as [height, width], or as the one number of a sequence. */
export const sizeReader =
  (axes: Axes): Reader =>
  (operation, name, value) => {
    const size = readSize(operation, name, value, axes);
    return axes === 1 ? size[1] : size;
  };

/** Reads a padding, which a file keeps as "same" or by its edges. */
export const paddingReader =
  (axes: Axes): Reader =>
  (operation, _, value) => {
    const padding = readPadding(operation, value, axes);
    if (padding === "same") return padding;
    const [top, left, bottom, right] = padding;
    return axes === 1 ? { left, right } : { top, left, bottom, right };
  };

/**
 * The settings of what slides over an image, or over a sequence.
 * @param stride where none is given; undefined stands for the kernel
 */
export function slidingSettings(axes: Axes, stride: 1 | undefined): Record<string, Setting> {
  const size = sizeReader(axes);
  return { kernel: [size], stride: [size, stride], padding: [paddingReader(axes), 0] };
}

/** The window that settings describe, as their record has read them. */
export function slidingOf({ kernel, stride, dilation, padding }: Settings, axes: Axes): Sliding {
  const size = (value: unknown) => readSize("", "", value, axes);
  return {
    kernel: size(kernel),
    stride: size(stride ?? kernel),
    dilation: size(dilation ?? 1),
    padding: readPadding("", padding, axes),
  };
}

/** An image and where the windows lie on it, with the channels on either side. */
export interface Slides {
  readonly image: Pair;
  readonly sliding: Sliding;
  readonly placement: Placement;
  readonly C: number;
  readonly F: number;
  readonly groups?: number;
}

/** The window as the core reads it: over an image (H, W, C), for an output (OH, OW, F). */
export function wordsOf({ image, sliding, placement, C, F, groups }: Slides): Uint32Array {
  const words = new Uint32Array(WindowWords.length);
  writeWindow(words, image, C, sliding, placement, F, groups);
  return words;
}

/** What a record of a layer with a window says of its shapes. */
type Shapes = Required<Pick<ServingRecord, "refusal" | "outShape" | "window">>;

/**
 * The shapes of a layer whose windows lie as `look` says, which returns why there are none
 * otherwise.
 * @param isTransposed the output is the image, and the input has a value for each window
 */
export function slides(
  axes: Axes,
  look: (image: Pair, C: number, settings: Settings) => Slides | string,
  isTransposed = false,
): Shapes {
  const placed = (inShape: readonly number[], settings: Settings): Slides | string => {
    if (inShape.length !== axes + 1) {
      const expected = axes === 1 ? "(L, C)" : "(H, W, C)";
      return `takes examples of shape ${expected}, got ${formatShape(inShape)}`;
    }
    const [H, W, C] = [1, ...inShape].slice(-3) as [number, number, number];
    return look([H, W], C, settings);
  };
  return {
    refusal(inShape, settings) {
      const given = placed(inShape, settings);
      return typeof given === "string" ? given : undefined;
    },
    outShape(inShape, settings) {
      const { placement, F } = placed(inShape, settings) as Slides;
      return [...placement.out.slice(2 - axes), F];
    },
    window(inShape, settings) {
      const given = placed(inShape, settings) as Slides;
      if (!isTransposed) return wordsOf(given);
      // It is the gradient of a convolution, whose image is what comes out here.
      const { image, placement, C: F, F: C } = given;
      const over = { ...placement, out: image };
      return wordsOf({ ...given, image: placement.out, placement: over, C, F });
    },
  };
}
