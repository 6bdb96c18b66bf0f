// Pixels of a canvas as numbers for a network.

import { describe, ShapeError, show } from "../runtime/errors.ts";
import { checkKeys } from "./options.ts";

/** An ImageData of a canvas, or whatever has its fields. */
export interface Pixels {
  /** Red, green, blue and alpha of each pixel, from 0 to 255, row after row. */
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

export interface ImageDataOptions {
  /** 3 takes red, green and blue; 4 alpha too; 1 their brightness. Default 3. */
  channels?: 1 | 3 | 4 | undefined;
  /** What is subtracted from values in [0, 1], for all channels or for each; default 0. */
  mean?: number | readonly number[] | undefined;
  /** Likewise, what they are divided by then; above 0. Default 1. */
  std?: number | readonly number[] | undefined;
}

const KEYS = ["channels", "mean", "std"];

/** What the eye makes of red, green and blue: ITU-R BT.601. */
const BRIGHTNESS = [0.299, 0.587, 0.114];

/** The numbers of a setting, one for each channel. */
function each(name: "mean" | "std", given: unknown, channels: number): number[] {
  const list: unknown[] = Array.isArray(given) ? given : new Array(channels).fill(given);
  const isRight = (value: unknown) =>
    typeof value === "number" && Math.abs(value) < Infinity && (name === "mean" || value > 0);
  if (list.length !== channels || !list.every(isRight)) {
    throw new RangeError(
      `imageData: ${name} must be a number${name === "std" ? " above 0" : ""}, or ${channels} of them, one for each channel, got ${show(given)}`,
    );
  }
  return list as number[];
}

/**
 * The pixels of a canvas as an example of shape (H, W, C): out = (byte / 255 − mean) / std for each
 * channel, in the order in which models take images. The numbers are those of torchvision's
 * ToTensor and Normalize, with the channels last.
 *
 * @param source an ImageData ({ data, width, height }), or the RGBA bytes alone
 * @returns H · W · C numbers, for predict, classify or runtime.tensor(…, [1, H, W, C])
 * @throws TypeError for what is no image; ShapeError where the bytes are not 4 · W · H; RangeError
 *   for an option out of range
 */
export function imageData(
  source: Pixels | Uint8ClampedArray | Uint8Array,
  options: ImageDataOptions = {},
): Float32Array<ArrayBuffer> {
  const operation = "imageData";
  checkKeys(operation, "options", options, KEYS);
  const { channels = 3, mean = 0, std = 1 } = options;
  if (![1, 3, 4].includes(channels)) {
    throw new RangeError(`${operation}: channels must be 1, 3 or 4, got ${show(channels)}`);
  }
  const isBytes = source instanceof Uint8Array || source instanceof Uint8ClampedArray;
  const { data, width, height } = Object(source) as Pixels;
  const bytes = isBytes ? source : data;
  if (!(bytes instanceof Uint8Array || bytes instanceof Uint8ClampedArray)) {
    throw new TypeError(
      `${operation}: source must be an ImageData or the RGBA bytes of one, got ${describe(source)}`,
    );
  }
  const { length } = bytes;
  const due = isBytes ? Math.ceil(length / 4) * 4 : 4 * width * height;
  if (length !== due) {
    const expected = isBytes ? "a multiple of 4" : `4 · ${width} · ${height} = ${due}`;
    throw new ShapeError(
      `${operation}: source must hold ${expected} bytes, red, green, blue and alpha of each pixel, got ${length}`,
    );
  }
  const [means, stds] = [each("mean", mean, channels), each("std", std, channels)];
  const out = new Float32Array((length / 4) * channels);
  let next = 0;
  for (let at = 0; at < length; at += 4) {
    for (let c = 0; c < channels; c++) {
      let value = bytes[at + c] as number;
      if (channels === 1) {
        value = 0;
        for (let k = 0; k < 3; k++) value += (BRIGHTNESS[k] as number) * (bytes[at + k] as number);
      }
      out[next++] = (value / 255 - (means[c] as number)) / (stds[c] as number);
    }
  }
  return out;
}
