import { expect, test } from "vitest";
import { imageData, ShapeError } from "../../src/index.ts";

// Two pixels beside each other: red, green, blue, alpha.
const data = Uint8ClampedArray.of(0, 51, 255, 7, 10, 20, 30, 255);
const image = { data, width: 2, height: 1 };

test("gives red, green and blue of each pixel in [0, 1], without alpha", () => {
  const expected = Float32Array.of(0, 51 / 255, 1, 10 / 255, 20 / 255, 30 / 255);
  expect(imageData(image)).toEqual(expected);
  expect(imageData(data)).toEqual(expected);
  expect(imageData(new Uint8Array(data.buffer))).toEqual(expected);
});

test("subtracts the mean of a channel and divides by its deviation, as torchvision does", () => {
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const out = imageData(image, { mean, std });
  [0, 51, 255, 10, 20, 30].forEach((byte, i) => {
    expect(out[i]).toBe(Math.fround((byte / 255 - mean![i % 3]!) / std![i % 3]!));
  });
  expect(imageData(image, { mean: 0.5, std: 0.5 })[2]).toBe(1);
});

test("gives brightness as one channel, and alpha as the fourth", () => {
  const [first, second] = imageData(image, { channels: 1 });
  expect(first).toBeCloseTo((0.587 * 51 + 0.114 * 255) / 255, 6);
  expect(second).toBeCloseTo((0.299 * 10 + 0.587 * 20 + 0.114 * 30) / 255, 6);
  expect(imageData(image, { channels: 4 })[3]).toBe(Math.fround(7 / 255));
  expect(imageData(Uint8Array.of(9, 9, 9, 0), { channels: 1 })[0]).toBeCloseTo(9 / 255, 6);
});

test("an image of no pixels has no numbers", () => {
  expect(imageData(new Uint8Array(0))).toEqual(new Float32Array(0));
});

test.each<[string, () => unknown, new (...given: never[]) => Error, string]>([
  [
    "no image",
    () => imageData("x" as never),
    TypeError,
    "source must be an ImageData or the RGBA bytes of one",
  ],
  ["null", () => imageData(null as never), TypeError, "source must be an ImageData"],
  [
    "floats",
    () => imageData(new Float32Array(4) as never),
    TypeError,
    "source must be an ImageData",
  ],
  [
    "too few bytes",
    () => imageData({ data, width: 3, height: 1 }),
    ShapeError,
    "source must hold 4 · 3 · 1 = 12 bytes, red, green, blue and alpha of each pixel, got 8",
  ],
  [
    "half a pixel",
    () => imageData(new Uint8Array(6)),
    ShapeError,
    "source must hold a multiple of 4 bytes",
  ],
  [
    "two channels",
    () => imageData(image, { channels: 2 as never }),
    RangeError,
    "channels must be 1, 3 or 4, got 2",
  ],
  [
    "a deviation of 0",
    () => imageData(image, { std: [1, 0, 1] }),
    RangeError,
    "std must be a number above 0, or 3 of them, one for each channel",
  ],
  [
    "a mean of two",
    () => imageData(image, { mean: [1, 2] }),
    RangeError,
    "mean must be a number, or 3 of them",
  ],
  [
    "a misspelt option",
    () => imageData(image, { means: 1 } as never),
    TypeError,
    'options has no "means"',
  ],
])("%s is refused", (_, call, error, message) => {
  expect(call).toThrow(error);
  expect(call).toThrow(`imageData: ${message.split(": ").at(-1)}`);
});
