import { describe, expect, test } from "vitest";
import {
  avgPool1dBackward,
  avgPool1dForward,
  avgPool2dBackward,
  avgPool2dForward,
  type Cache,
  createRuntimeSync,
  type FloatDType,
  globalAvgPoolBackward,
  globalAvgPoolForward,
  maxPool1dBackward,
  maxPool1dForward,
  maxPool2dBackward,
  maxPool2dForward,
  numericalGradient,
  relativeError,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import { CoreConstants, WindowWords } from "../../src/runtime/abi.ts";
import { placed, placeWindow, readPadding, writeWindow } from "../../src/tensor/window.ts";
import { dtypes, type Exports, type Floats, seeded } from "../support/core.ts";
import type { Divisor, Image, Windows } from "../support/images.ts";
import * as twins from "../support/images.ts";
import { absolute, deviation, type Numbers, normals } from "../support/reference.ts";
import { configurations, GRADIENT_BOUND, numbers, reportErrors, track, values } from "./common.ts";

reportErrors();

type Pair = readonly [number, number];

/**
 * Sizes of images and windows, odd ones: single cells, rests, kernels larger than the image, gaps,
 * overlaps.
 */
const geometries: {
  size: Pair;
  kernel: Pair;
  stride: Pair;
  dilation?: Pair;
  padding?: number | Pair | { top: number; left: number; bottom: number; right: number } | "same";
  ceil?: boolean;
}[] = [
  { size: [1, 1], kernel: [1, 1], stride: [1, 1] },
  { size: [4, 6], kernel: [2, 2], stride: [2, 2] },
  { size: [5, 7], kernel: [2, 2], stride: [2, 2] },
  { size: [5, 7], kernel: [2, 2], stride: [2, 2], ceil: true },
  { size: [5, 4], kernel: [2, 2], stride: [1, 1], padding: 1 },
  { size: [6, 5], kernel: [3, 3], stride: [2, 2], padding: 1 },
  { size: [4, 5], kernel: [3, 2], stride: [1, 2], padding: "same" },
  { size: [2, 3], kernel: [5, 4], stride: [2, 3], padding: [2, 3] },
  {
    size: [3, 2],
    kernel: [3, 4],
    stride: [1, 1],
    padding: { top: 0, left: 2, bottom: 1, right: 3 },
  },
  { size: [7, 6], kernel: [2, 1], stride: [3, 4] },
  { size: [6, 7], kernel: [4, 5], stride: [2, 1], ceil: true },
  { size: [1, 9], kernel: [1, 3], stride: [1, 2], padding: [0, 1] },
];
/** Holes between a window's cells, which an average does not have. */
const dilated: typeof geometries = [
  { size: [6, 7], kernel: [2, 3], stride: [1, 2], dilation: [3, 2], padding: [1, 2] },
  { size: [3, 3], kernel: [2, 2], stride: [2, 2], dilation: [4, 3], padding: [1, 1] },
  { size: [5, 5], kernel: [2, 2], stride: [2, 2], dilation: [2, 2], padding: 1, ceil: true },
  // Windows side by side without a gap, with rows between their cells.
  { size: [6, 4], kernel: [2, 2], stride: [3, 2], dilation: [2, 1] },
];

function windowsOf(geometry: (typeof geometries)[number]): Windows {
  const { size, kernel, stride, dilation = [1, 1], ceil = false } = geometry;
  const padding = readPadding("test", geometry.padding, 2);
  const { out, top, left } = placed(
    "test",
    placeWindow(size, { kernel, stride, dilation, padding }, 2, { ceil }),
  );
  const behind = (axis: 0 | 1, before: number) =>
    Math.max((out[axis] - 1) * stride[axis] + kernel[axis] - size[axis] - before, 0);
  const [bottom, right] =
    padding === "same" ? [behind(0, top), behind(1, left)] : [padding[2], padding[3]];
  return { kernel, stride, dilation, edges: [top, left, bottom, right], out };
}

/** Equal values, numbers of both signs, and now and then what is no number. */
function draw(array: { from(values: ArrayLike<number>): Floats }, n: number, random: () => number) {
  const special = [NaN, -Infinity, Infinity, 0, -0];
  const value = () => {
    const r = random();
    if (r < 0.05) return special[Math.floor(random() * special.length)]!;
    return r < 0.4 ? Math.floor(3 * random()) : 8 * random() - 4;
  };
  return array.from(Array.from({ length: n }, value));
}

const channels = [1, 2, 3, 4, 5, 8, 9];
const divisors: [Divisor, number][] = [
  ["image", CoreConstants.divideByImage],
  ["padded", CoreConstants.divideByPadded],
  ["nothing", CoreConstants.divideByNothing],
];

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, epsilon } = type;
  const exports = core.exports as Exports & Record<string, (...args: number[]) => void>;
  const kernel = (name: string) => exports[`${name}_${suffix}`]!;

  function each(
    which: typeof geometries,
    fn: (image: Image, windows: Windows, window: number, random: () => number) => void,
  ): void {
    const random = seeded(71);
    for (const geometry of which) {
      const windows = windowsOf(geometry);
      for (const C of channels) {
        for (const N of [0, 1, 2]) {
          core.reset();
          const [H, W] = geometry.size;
          const words = new Uint32Array(WindowWords.length);
          const [top, left] = windows.edges;
          const { out, dilation = [1, 1] } = windows;
          writeWindow(
            words,
            [H, W],
            C,
            { ...windows, dilation, padding: windows.edges },
            {
              ...{ out, top, left },
            },
          );
          fn({ N, C, H, W, isLast: true }, windows, core.input(words).address, random);
        }
      }
    }
  }

  test("of max pooling are the plain twins to the bit, and write no other byte", () => {
    each([...geometries, ...dilated], (image, windows, window, random) => {
      const { N, C, H, W } = image;
      const n = N * C * windows.out[0] * windows.out[1];
      const [x, dout] = [draw(array, N * C * H * W, random), draw(array, n, random)];
      const xAt = core.input(x, { offset: 4 }).address;
      const [out, argmax] = [core.output(array, n), core.output(Int32Array, n)];
      const alone = core.output(array, n, { last: true });
      kernel("max_pool_forward")(out.address, argmax.address, xAt, window, N);
      kernel("max_pool_forward")(alone.address, 0, xAt, window, N);
      const dx = core.output(array, x.length, { offset: 8 });
      const doutAt = core.input(dout).address;
      kernel("max_pool_backward")(dx.address, doutAt, argmax.address, window, N);
      core.checkGuards();
      const expected = twins.maxPoolForward(x, image, windows);
      expect(numbers(out.values())).toEqual(expected.out);
      expect(numbers(alone.values())).toEqual(expected.out);
      expect(numbers(argmax.values())).toEqual(expected.argmax);
      const gradient = twins.maxPoolBackward(dout, expected.argmax, image, windows);
      const scale = twins.maxPoolBackward(absolute(dout), expected.argmax, image, windows);
      const bound = scale.map((s) => 16 * epsilon * s); // sums of up to 16 windows
      expect(deviation(dx.values(), gradient, bound)).toBeLessThanOrEqual(1);
    });
  });

  test.each(divisors)("of average pooling divide by %s as the plain twins do", (divisor, mode) => {
    each(geometries, (image, windows, window, random) => {
      const { N, C, H, W } = image;
      const n = N * C * windows.out[0] * windows.out[1];
      const [x, dout] = [draw(array, N * C * H * W, random), draw(array, n, random)];
      const xAt = core.input(x, { offset: 8 }).address;
      const out = core.output(array, n, { offset: 4 });
      kernel("average_pool_forward")(out.address, xAt, window, N, mode);
      const dx = core.output(array, x.length, { last: true });
      const doutAt = core.input(dout).address;
      kernel("average_pool_backward")(dx.address, doutAt, window, N, mode);
      core.checkGuards();
      const bounded = (scale: number[]) => scale.map((s) => 32 * epsilon * s); // up to 20 cells
      const expected = twins.averagePoolForward(x, image, windows, divisor);
      const scale = twins.averagePoolForward(absolute(x), image, windows, divisor);
      expect(deviation(out.values(), expected, bounded(scale))).toBeLessThanOrEqual(1);
      const gradient = twins.averagePoolBackward(dout, image, windows, divisor);
      const size = twins.averagePoolBackward(absolute(dout), image, windows, divisor);
      expect(deviation(dx.values(), gradient, bounded(size))).toBeLessThanOrEqual(1);
    });
  });

  test("an average of many cells is float64 until it is rounded", () => {
    const S = 5000;
    for (const C of [1, 4, 6]) {
      core.reset();
      const words = new Uint32Array(WindowWords.length);
      const one = [1, 1] as const;
      const sliding = { kernel: [1, S] as const, stride: one, dilation: one };
      writeWindow(words, [1, S], C, sliding, { out: one, top: 0, left: 0 });
      const x = array.from({ length: S * C }, (_, i) => 1000 + Math.floor(i / C) / S);
      const out = core.output(array, C);
      const xAt = core.input(x).address;
      const window = core.input(words).address;
      kernel("average_pool_forward")(
        out.address,
        xAt,
        window,
        1,
        CoreConstants.divideByImage,
        0,
        0,
      );
      const mean = numbers(x).reduce((sum, value, i) => (i % C === 0 ? sum + value : sum), 0) / S;
      expect(deviation(out.values(), Array(C).fill(mean), mean)).toBeLessThanOrEqual(epsilon);
    }
  });

  test("of global average pooling are the means of rows, and their gradients", () => {
    const random = seeded(72);
    for (const S of [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 65, 1000]) {
      for (const R of [0, 1, 3]) {
        core.reset();
        const [x, dout] = [draw(array, R * S, random), draw(array, R, random)];
        const out = core.output(array, R, { offset: 4 });
        const dx = core.output(array, R * S, { last: true });
        kernel("global_average_pool_forward")(
          out.address,
          core.input(x, { offset: 8 }).address,
          R,
          S,
        );
        kernel("global_average_pool_backward")(dx.address, core.input(dout).address, R, S);
        core.checkGuards();
        const row = (values: Numbers, r: number) => numbers(values).slice(r * S, (r + 1) * S);
        const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / S;
        const means = Array.from({ length: R }, (_, r) => mean(row(x, r)));
        const scale = Array.from({ length: R }, (_, r) => 16 * epsilon * mean(absolute(row(x, r))));
        expect(deviation(out.values(), means, scale)).toBeLessThanOrEqual(1);
        const shares = Array.from({ length: R * S }, (_, i) => dout[Math.floor(i / S)]! / S);
        expect(deviation(dx.values(), shares, absolute(shares))).toBeLessThanOrEqual(epsilon);
      }
    }
  });
});

type Forward = (
  x: Tensor<FloatDType>,
  param: object,
  options?: object,
) => { out: Tensor<FloatDType>; cache: Cache };
type Backward = (dout: Tensor<FloatDType>, cache: Cache, options?: object) => Tensor<FloatDType>;

const calls = {
  max: { 2: [maxPool2dForward, maxPool2dBackward], 1: [maxPool1dForward, maxPool1dBackward] },
  average: { 2: [avgPool2dForward, avgPool2dBackward], 1: [avgPool1dForward, avgPool1dBackward] },
} as unknown as Record<"max" | "average", Record<1 | 2, [Forward, Backward]>>;

/** A geometry as a call is told it. */
function paramOf({ kernel, stride, dilation, padding, ceil }: (typeof geometries)[number]) {
  return { kernel, stride, ...(dilation && { dilation }), padding, ceil };
}

describe.each(dtypes)("the facade in $dtype", ({ dtype, array, epsilon }) => {
  const runtime = createRuntimeSync();

  test.each(["max", "average"] as const)("%s pooling is the plain twin in both layouts", (kind) => {
    const random = seeded(73);
    const [forward, backward] = calls[kind][2];
    for (const geometry of kind === "max" ? [...geometries, ...dilated] : geometries) {
      const windows = windowsOf(geometry);
      for (const isLast of [false, true]) {
        for (const C of [1, 3, 5]) {
          runtime.scope(() => {
            const [H, W] = geometry.size;
            const [OH, OW] = windows.out;
            const image: Image = { N: 2, C, H, W, isLast };
            const shape = isLast ? [2, H, W, C] : [2, C, H, W];
            const outShape = isLast ? [2, OH, OW, C] : [2, C, OH, OW];
            const tensor = (values: Floats, shape: number[]) =>
              runtime.tensor(values, shape, dtype) as Tensor<FloatDType>;
            const x = draw(array, 2 * C * H * W, random);
            const dout = draw(array, 2 * C * OH * OW, random);
            const layout = isLast ? "NHWC" : undefined;
            const param = { ...paramOf(geometry), layout };
            const { out, cache } = forward(tensor(x, shape), param);
            const dx = backward(tensor(dout, outShape), cache);
            expect([out.shape, dx.shape]).toEqual([outShape, shape]);
            if (kind === "max") {
              const expected = twins.maxPoolForward(x, image, windows);
              expect(values(out)).toEqual(expected.out);
              const gradient = twins.maxPoolBackward(dout, expected.argmax, image, windows);
              const scale = twins.maxPoolBackward(absolute(dout), expected.argmax, image, windows);
              const bound = scale.map((s) => 16 * epsilon * s);
              expect(deviation(dx.data, gradient, bound)).toBeLessThanOrEqual(1);
              return;
            }
            const expected = twins.averagePoolForward(x, image, windows, "image");
            const scale = twins.averagePoolForward(absolute(x), image, windows, "image");
            const bound = scale.map((s) => 32 * epsilon * s);
            expect(deviation(out.data, expected, bound)).toBeLessThanOrEqual(1);
          });
        }
      }
    }
  });

  test("a sequence is an image of height 1", () => {
    const random = seeded(74);
    for (const kind of ["max", "average"] as const) {
      for (const isLast of [false, true]) {
        const [forward1, backward1] = calls[kind][1];
        const [forward2, backward2] = calls[kind][2];
        const numbers = draw(array, 2 * 3 * 9, random);
        const [line, image] = isLast
          ? [
              [2, 9, 3],
              [2, 1, 9, 3],
            ]
          : [
              [2, 3, 9],
              [2, 3, 1, 9],
            ];
        const x = runtime.tensor(numbers, line, dtype) as Tensor<FloatDType>;
        const padding = { left: 1, right: 0 };
        const both = { ceil: true };
        const one = forward1(x, {
          ...{ ...both, kernel: 3, stride: 2, padding },
          layout: isLast ? "NLC" : "NCL",
        });
        const two = forward2(x.reshape(image), {
          ...{ ...both, kernel: [1, 3], stride: [1, 2] },
          padding: { ...padding, top: 0, bottom: 0 },
          layout: isLast ? "NHWC" : "NCHW",
        });
        expect(one.out.shape).toEqual(two.out.shape.filter((_, k) => k !== (isLast ? 1 : 2)));
        expect(values(one.out)).toEqual(values(two.out));
        const dx = backward1(one.out, one.cache);
        expect(dx.shape).toEqual(line);
        expect(values(dx)).toEqual(values(backward2(two.out, two.cache)));
      }
    }
  });

  test("the stride is the kernel's where it is not given", () => {
    const x = runtime.tensor(
      Array.from({ length: 30 }, (_, i) => i),
      [1, 1, 5, 6],
      dtype,
    );
    for (const forward of [maxPool2dForward, avgPool2dForward]) {
      const given = forward(x, { kernel: [2, 3], stride: [2, 3] });
      expect(values(forward(x, { kernel: [2, 3] }).out)).toEqual(values(given.out));
    }
    expect(values(maxPool2dForward(x, { kernel: [2, 3] }).out)).toEqual([8, 11, 20, 23]);
  });

  test("of equal values the first in row-major order takes the gradient; −∞ is a value too", () => {
    for (const value of [0, 7, -Infinity]) {
      const x = runtime.full([1, 1, 2, 2], value, dtype);
      const { cache } = maxPool2dForward(x, { kernel: 2 });
      const dx = maxPool2dBackward(runtime.full([1, 1, 1, 1], 5, dtype), cache);
      expect(values(dx)).toEqual([5, 0, 0, 0]);
    }
  });

  test("a NaN is the largest value, and takes the gradient", () => {
    const x = runtime.tensor([1, Infinity, NaN, 3], [1, 1, 2, 2], dtype);
    const { out, cache } = maxPool2dForward(x, { kernel: 2 });
    expect(values(out)).toEqual([NaN]);
    const dx = maxPool2dBackward(runtime.ones([1, 1, 1, 1], dtype), cache);
    expect(values(dx)).toEqual([0, 0, 1, 0]);
  });

  test("a window in the padding alone is −∞, and has no gradient to give", () => {
    const x = runtime.tensor([1, 2], [1, 1, 1, 2], dtype);
    const { out, cache } = maxPool2dForward(x, { kernel: 1, padding: [0, 1] });
    expect(values(out)).toEqual([-Infinity, 1, 2, -Infinity]);
    const dx = maxPool2dBackward(runtime.tensor([9, 3, 4, 9], [1, 1, 1, 4], dtype), cache);
    expect(values(dx)).toEqual([3, 4]);
  });

  test("an average counts the padding where it is told to, though not beyond it", () => {
    const x = runtime.ones([1, 1, 3, 3], dtype);
    // The last window begins in the image and ends beyond its padding.
    const param = { kernel: 3, padding: 1, stride: 3, ceil: true };
    const plain = avgPool2dForward(x, { ...param });
    expect(values(plain.out)).toEqual([1, 1, 1, 1]);
    const { out, cache } = avgPool2dForward(x, { ...param, countPadding: true });
    expect(deviation(out.data, [4 / 9, 2 / 6, 2 / 6, 1 / 4])).toBeLessThanOrEqual(2 * epsilon);
    const dx = avgPool2dBackward(runtime.ones(out.shape, dtype), cache);
    const [whole, side, corner] = [1 / 9, 1 / 6, 1 / 4];
    const expected = [whole, whole, side, whole, whole, side, side, side, corner];
    expect(deviation(dx.data, expected)).toBeLessThanOrEqual(epsilon);
  });

  test("a global average is over all spatial axes, of which there may be none", () => {
    const random = seeded(75);
    for (const spatial of [[], [7], [3, 5], [2, 3, 4]]) {
      const S = spatial.reduce((a, b) => a * b, 1);
      const data = normals(2 * 3 * S, random);
      const x = runtime.tensor(data, [2, 3, ...spatial], dtype);
      const { out, cache } = globalAvgPoolForward(x);
      expect(out.shape).toEqual([2, 3]);
      const means = Array.from({ length: 6 }, (_, r) => {
        return (
          numbers(x.data)
            .slice(r * S, (r + 1) * S)
            .reduce((a, b) => a + b, 0) / S
        );
      });
      expect(deviation(out.data, means)).toBeLessThan(4 * epsilon);
      const dx = globalAvgPoolBackward(out, cache);
      expect(dx.shape).toEqual(x.shape);
      const shares = numbers(dx.data).map((_, i) => out.data[Math.floor(i / S)]! / S);
      expect(deviation(dx.data, shares)).toBeLessThan(epsilon);

      const places = twins.permutedPlaces([2, 3, S], [0, 2, 1]);
      const moved = places.map((place) => x.data[place]!);
      const last = runtime.tensor(moved, [2, ...spatial, 3], dtype);
      const other = globalAvgPoolForward(last, { layout: "NHWC" });
      expect(deviation(other.out.data, means)).toBeLessThan(4 * epsilon);
      const back = globalAvgPoolBackward(other.out, other.cache);
      expect(back.shape).toEqual(last.shape);
      expect(
        deviation(
          back.data,
          places.map((place) => shares[place]!),
        ),
      ).toBeLessThan(8 * epsilon);
    }
  });

  test("an empty batch works, forward and backward", () => {
    const x = runtime.zeros([0, 3, 4, 4], dtype);
    for (const [forward, backward] of [calls.max[2], calls.average[2]]) {
      const { out, cache } = forward(x as Tensor<FloatDType>, { kernel: 2 });
      expect(out.shape).toEqual([0, 3, 2, 2]);
      expect(backward(out, cache).shape).toEqual([0, 3, 4, 4]);
    }
    const { out, cache } = globalAvgPoolForward(x);
    expect(globalAvgPoolBackward(out, cache).shape).toEqual([0, 3, 4, 4]);
  });
});

describe("gradients in float64 are those of differences", () => {
  const runtime = createRuntimeSync();
  const random = seeded(76);

  test.each(["max", "average"] as const)("%s pooling", (kind) => {
    const [forward, backward] = calls[kind][2];
    for (const geometry of kind === "max" ? [...geometries, ...dilated] : geometries) {
      for (const layout of ["NCHW", "NHWC"]) {
        runtime.scope(() => {
          const [H, W] = geometry.size;
          const shape = layout === "NCHW" ? [2, 3, H, W] : [2, H, W, 3];
          const x = runtime.tensor(normals(6 * H * W, random), shape, "float64");
          const param = { ...paramOf(geometry), layout };
          const { out, cache } = forward(x as Tensor<FloatDType>, param);
          // A window in the padding alone gives −∞, of which there are no differences.
          if (numbers(out.data).includes(-Infinity)) return;
          const dout = runtime.tensor(normals(out.size, random), out.shape, "float64");
          const dx = backward(dout as Tensor<FloatDType>, cache);
          const f = (x: Tensor<FloatDType>) => forward(x, param).out;
          const expected = numericalGradient(f as () => Tensor<"float64">, x, dout);
          const error = relativeError(dx, expected);
          expect(track(`${kind} pooling dx`, error)).toBeLessThan(GRADIENT_BOUND);
        });
      }
    }
  });

  test("global average pooling", () => {
    for (const layout of ["NCHW", "NHWC"] as const) {
      const x = runtime.tensor(normals(2 * 3 * 5 * 3, random), [2, 3, 5, 3], "float64");
      const { out, cache } = globalAvgPoolForward(x, { layout });
      const dout = runtime.tensor(normals(out.size, random), out.shape, "float64");
      const dx = globalAvgPoolBackward(dout, cache);
      const expected = numericalGradient(
        (x) => globalAvgPoolForward(x as Tensor<"float64">, { layout }).out,
        x,
        dout,
      );
      const error = relativeError(dx, expected);
      expect(track("global average pooling dx", error)).toBeLessThan(GRADIENT_BOUND);
    }
  });
});

describe("what does not fit", () => {
  const runtime = createRuntimeSync();
  const x = runtime.ones([2, 3, 4, 5]);

  test("is a ShapeError with the numbers, and leaves nothing allocated", () => {
    const before = runtime.memory;
    for (const [call, message] of [
      [
        () => maxPool2dForward(x, { kernel: 5 }),
        "maxPool2dForward: a window of 5 × 5 does not fit an image of 4 × 5 with its padding: no pixel comes out",
      ],
      [
        () => avgPool2dForward(x, { kernel: 2, padding: 2 }),
        "avgPool2dForward: a window of 2 × 2 on an image of 4 × 5 lies in the padding alone, where there is no average",
      ],
      [
        () => maxPool1dForward(x, { kernel: 2 }),
        "maxPool1dForward: x must have shape (N, C, L), got (2, 3, 4, 5)",
      ],
      [
        () => avgPool1dForward(x, { kernel: 2, layout: "NLC" }),
        "avgPool1dForward: x must have shape (N, L, C), got (2, 3, 4, 5)",
      ],
      [
        () => maxPool2dForward(x, { kernel: 2, padding: 2 ** 31 }),
        "maxPool2dForward: a window of 2 × 2 on an image of 4294967300 × 4294967301 with its padding is too large: the most is 2147483647",
      ],
      [
        () => globalAvgPoolForward(runtime.zeros([2, 3, 0])),
        "globalAvgPoolForward: x has shape (2, 3, 0), in which no channel has a value to take a mean over",
      ],
      [
        () => globalAvgPoolForward(runtime.zeros([2])),
        "globalAvgPoolForward: x must have shape (N, C, …), got (2,)",
      ],
    ] as const) {
      expect(() => runtime.scope(call)).toThrow(new ShapeError(message));
    }
    expect(runtime.memory.bytesLive).toBe(before.bytesLive);
  });

  test("by itself is a RangeError, and an unknown setting a TypeError", () => {
    for (const [param, type, message] of [
      [{ kernel: 0 }, RangeError, /kernel must be a whole number from 1 up, or \[height, width\]/],
      [{}, RangeError, /kernel must be .* got undefined$/],
      [{ kernel: 2, stride: 0 }, RangeError, /stride must be a whole number from 1 up/],
      [{ kernel: 2, dilation: [1, 0] }, RangeError, /dilation must be/],
      [{ kernel: 2, padding: -1 }, RangeError, /padding must be a whole number from 0 up/],
      [{ kernel: 2, ceil: 1 }, RangeError, /ceil must be true or false, got 1/],
      [{ kernel: 2, layout: "NCL" }, RangeError, /layout must be "NCHW" or "NHWC", got "NCL"/],
      [
        { kernel: 2, strides: 2 },
        TypeError,
        /poolParam has no "strides"; the known ones: kernel, stride/,
      ],
      [{ kernel: 2, countPadding: true }, TypeError, /poolParam has no "countPadding"/],
      [2, TypeError, /poolParam must be an object, got 2: write \{ kernel: 2 \}/],
    ] as const) {
      expect(() => maxPool2dForward(x, param as never)).toThrow(type);
      expect(() => maxPool2dForward(x, param as never)).toThrow(message);
    }
    expect(() => avgPool2dForward(x, { kernel: 2, dilation: 2 } as never)).toThrow(TypeError);
    expect(() => globalAvgPoolForward(x, { layout: "CHWN" as never })).toThrow(
      /layout must be "NCHW", "NHWC", "NCL" or "NLC", got "CHWN"/,
    );
  });
});
