// Where windows lie: held to windows that are counted one by one, as SPEC.md defines them.

import { describe, expect, test } from "vitest";
import { ShapeError } from "../../src/index.ts";
import {
  checkOutputPadding,
  type Edges,
  placed,
  placeTransposed,
  placeWindow,
  readOutputPadding,
  readPadding,
  readSize,
  type Sliding,
} from "../../src/tensor/window.ts";

/** Both axes alike, so that each is tried on its own. */
const sliding = (
  kernel: number,
  stride: number,
  dilation: number,
  padding: "same" | Edges,
): Sliding => ({
  kernel: [kernel, kernel],
  stride: [stride, stride],
  dilation: [dilation, dilation],
  padding,
});

/**
 * The first cells of all windows, counted from the image's first cell, by trying one after the
 * other.
 */
function countWindows(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  [before, after]: readonly [number, number],
  ceil: boolean,
): number[] {
  const starts: number[] = [];
  for (let start = -before; start < size + after; start += stride) {
    const last = start + (kernel - 1) * dilation;
    // Rounded up, less than a stride of a window may lie outside, if the window begins inside.
    const outside = ceil ? stride - 1 : 0;
    if (last < size + after + outside && (!ceil || start < size)) starts.push(start);
  }
  return starts;
}

const whole = (least: number, most: number) =>
  Array.from({ length: most - least + 1 }, (_, i) => least + i);
const cases = whole(0, 7).flatMap((size) =>
  whole(1, 4).flatMap((kernel) =>
    whole(1, 3).flatMap((stride) =>
      whole(1, 3).flatMap((dilation) => ({ size, kernel, stride, dilation })),
    ),
  ),
);
const paddings = [0, 1, 3].flatMap((before) => [0, 2, 4].map((after) => [before, after] as const));

describe("a window slides over an image", () => {
  test.each([false, true])("as often as windows are counted, ceil = %s", (ceil) => {
    for (const { size, kernel, stride, dilation } of cases) {
      for (const [before, after] of paddings) {
        const settings = sliding(kernel, stride, dilation, [before, before, after, after]);
        const found = placeWindow([size, size], settings, 2, { ceil });
        const starts = countWindows(size, kernel, stride, dilation, [before, after], ceil);
        const name = JSON.stringify({ size, kernel, stride, dilation, before, after });
        if (starts.length === 0) expect(found, name).toMatch(/no pixel comes out$/);
        else {
          const out = [starts.length, starts.length];
          expect(found, name).toEqual({ out, top: before, left: before });
        }
      }
    }
  });

  test('"same" gives ⌈in / stride⌉, with the least padding that does and the larger half behind', () => {
    for (const { size, kernel, stride, dilation } of cases) {
      if (size === 0) continue;
      const found = placeWindow([size, size], sliding(kernel, stride, dilation, "same"), 2);
      const { out, top, left } = placed("call", found);
      expect([out[0], left]).toEqual([Math.ceil(size / stride), top]);
      const covered = (out[0] - 1) * stride + (kernel - 1) * dilation + 1;
      const total = Math.max(covered - size, 0);
      const behind = total - top;
      expect(behind - top === 0 || behind - top === 1).toBe(true);
    }
  });

  test("an average is refused where a window has no cell of the image, and only there", () => {
    for (const { size, kernel, stride } of cases) {
      for (const [before, after] of paddings) {
        const settings = sliding(kernel, stride, 1, [before, before, after, after]);
        const starts = countWindows(size, kernel, stride, 1, [before, after], false);
        if (starts.length === 0) continue;
        const found = placeWindow([size, size], settings, 2, { everywhere: true });
        const isBeside = starts.some((start) => start + kernel <= 0 || start >= size);
        if (isBeside) expect(found).toMatch(/lies in the padding alone/);
        else expect(found).toEqual(placeWindow([size, size], settings, 2));
      }
    }
  });

  test("each axis has its own numbers, and a refusal shows them", () => {
    const settings: Sliding = {
      kernel: [2, 3],
      stride: [1, 2],
      dilation: [3, 1],
      padding: [0, 1, 2, 3],
    };
    expect(placeWindow([5, 6], settings, 2)).toEqual({ out: [4, 4], top: 0, left: 1 });
    const refusal =
      "a window of 4 × 3 does not fit an image of 3 × 6 with its padding: no pixel comes out";
    expect(placeWindow([1, 2], settings, 2)).toBe(refusal);
    expect(() => placed("maxPool2dForward", refusal)).toThrow(
      new ShapeError(`maxPool2dForward: ${refusal}`),
    );
    const line: Sliding = {
      kernel: [1, 5],
      stride: [1, 1],
      dilation: [1, 1],
      padding: [0, 1, 0, 0],
    };
    expect(placeWindow([1, 3], line, 1)).toBe(
      "a window of 5 does not fit an image of 4 with its padding: no pixel comes out",
    );
  });

  test("numbers whose places are no words of 32 bits are refused", () => {
    for (const settings of [
      sliding(2 ** 30, 1, 3, [0, 0, 0, 0]),
      sliding(3, 1, 1, [2 ** 31, 2 ** 31, 0, 0]),
      sliding(3, 1, 2 ** 40, "same"),
    ]) {
      expect(placeWindow([4, 4], settings, 2)).toMatch(/too large: the most is 2147483647$/);
    }
    // What is beyond the image altogether is one window.
    const far = sliding(1, 2 ** 40, 1, [0, 0, 0, 0]);
    expect(placeWindow([4, 4], far, 2)).toEqual({ out: [1, 1], top: 0, left: 0 });
  });
});

describe("a transposed convolution's window", () => {
  test("gives the image of which the convolution has so many windows", () => {
    for (const { size, kernel, stride, dilation } of cases) {
      if (size === 0) continue;
      for (const [before, after] of paddings) {
        for (let more = 0; more < stride; more++) {
          const settings = sliding(kernel, stride, dilation, [before, before, after, after]);
          const found = placeTransposed([size, size], settings, [more, more], 2);
          const length = (size - 1) * stride - before - after + dilation * (kernel - 1) + more + 1;
          if (length < 1) {
            expect(found).toMatch(/: no pixel comes out$/);
            continue;
          }
          expect(found).toEqual({ out: [length, length], top: before, left: before });
          expect(placed("", placeWindow([length, length], settings, 2)).out).toEqual([size, size]);
        }
      }
    }
  });

  test('with "same" padding gives size · stride, placed as the convolution places it', () => {
    for (const { size, kernel, stride, dilation } of cases) {
      if (size === 0) continue;
      const settings = sliding(kernel, stride, dilation, "same");
      const { out, ...place } = placed("", placeTransposed([size, size], settings, [0, 0], 2));
      expect(out).toEqual([size * stride, size * stride]);
      const { out: back, ...same } = placed("", placeWindow(out, settings, 2));
      expect([back, same]).toEqual([[size, size], place]);
    }
  });

  test('has an outputPadding below the stride or the dilation, and none beside "same"', () => {
    const settings = sliding(3, 2, 3, [0, 0, 0, 0]);
    checkOutputPadding("call", [0, 2], settings, 2);
    expect(() => checkOutputPadding("call", [0, 3], settings, 2)).toThrow(
      new RangeError(
        "call: outputPadding must be below the stride or the dilation, which is 3, got 3",
      ),
    );
    expect(() => checkOutputPadding("call", [1, 0], { ...settings, padding: "same" }, 2)).toThrow(
      new RangeError('call: outputPadding must be 0 where padding is "same", got 1'),
    );
  });
});

describe("what a caller says", () => {
  test("of a size is one number for both axes, or one for each", () => {
    expect(readSize("call", "kernel", 3, 2)).toEqual([3, 3]);
    expect(readSize("call", "kernel", [3, 5], 2)).toEqual([3, 5]);
    expect(readSize("call", "stride", undefined, 2, [2, 1])).toEqual([2, 1]);
    expect(readSize("call", "kernel", 3, 1)).toEqual([1, 3]);
    expect(readOutputPadding("call", undefined, 2)).toEqual([0, 0]);
    expect(readOutputPadding("call", [0, 1], 2)).toEqual([0, 1]);
    expect(readOutputPadding("call", 1, 1)).toEqual([0, 1]);
  });

  test.each([
    [0],
    [-1],
    [1.5],
    [NaN],
    ["2"],
    [null],
    [undefined],
    [{}],
    [[1, 0]],
    [[1, 2, 3]],
    [[]],
  ])("a size %j is a RangeError that shows it", (value) => {
    expect(() => readSize("call", "kernel", value, 2)).toThrow(
      /^call: kernel must be a whole number from 1 up, or \[height, width\] of such, got ./,
    );
    expect(() => readSize("call", "kernel", value, 1)).toThrow(RangeError);
  });

  test("of padding is a word, one number, one for each axis, or one for each edge", () => {
    const edges = { top: 1, left: 2, bottom: 3, right: 4 };
    expect(readPadding("call", "same", 2)).toBe("same");
    for (const none of ["valid", undefined, 0])
      expect(readPadding("call", none, 2)).toEqual([0, 0, 0, 0]);
    expect(readPadding("call", 2, 2)).toEqual([2, 2, 2, 2]);
    expect(readPadding("call", [1, 2], 2)).toEqual([1, 2, 1, 2]);
    expect(readPadding("call", edges, 2)).toEqual([1, 2, 3, 4]);
    expect(readPadding("call", 2, 1)).toEqual([0, 2, 0, 2]);
    expect(readPadding("call", { left: 1, right: 3 }, 1)).toEqual([0, 1, 0, 3]);
  });

  test.each([
    [
      "SAME",
      RangeError,
      'call: padding must be "same", "valid" or whole numbers from 0 up, got "SAME"',
    ],
    [
      -1,
      RangeError,
      "call: padding must be a whole number from 0 up, or [height, width] of such, got -1",
    ],
    [
      [1],
      RangeError,
      "call: padding must be a whole number from 0 up, or [height, width] of such, got an array of 1",
    ],
    [
      { top: 1, left: 0, bottom: 0 },
      RangeError,
      "call: padding.right must be a whole number from 0 up, got undefined",
    ],
    [
      { top: 1, start: 0 },
      TypeError,
      'call: padding has no "start"; the known ones: top, left, bottom, right',
    ],
  ])("a padding %j is refused", (value, type, message) => {
    expect(() => readPadding("call", value, 2)).toThrow(new type(message));
  });

  test("a sequence has no top", () => {
    expect(() => readPadding("call", { top: 1, left: 1 }, 1)).toThrow(TypeError);
    expect(() => readPadding("call", [1, 2], 1)).toThrow(RangeError);
  });
});
