// What moves and combines whole arrays: permutations, concatenation, zero padding, upsampling, sums
// and products.

import { describe, expect, test } from "vitest";
import {
  AliasError,
  addBackward,
  addForward,
  concatBackward,
  concatForward,
  createRuntimeSync,
  multiplyBackward,
  multiplyForward,
  numericalGradient,
  permuteBackward,
  permuteForward,
  relativeError,
  ShapeError,
  type Tensor,
  upsample2dBackward,
  upsample2dForward,
  zeroPad2dBackward,
  zeroPad2dForward,
} from "../../src/index.ts";
import { WindowWords } from "../../src/runtime/abi.ts";
import { type Axis, copyAxes, mergeAxes, stridesOf } from "../../src/tensor/strides.ts";
import { writeWindow } from "../../src/tensor/window.ts";
import { dtypes, type Exports, seeded } from "../support/core.ts";
import * as twins from "../support/images.ts";
import { absolute, deviation, normals } from "../support/reference.ts";
import { configurations, GRADIENT_BOUND, numbers, values } from "./common.ts";

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** All orders of so many axes. */
function permutations(rank: number): number[][] {
  if (rank === 0) return [[]];
  return permutations(rank - 1).flatMap((rest) =>
    Array.from({ length: rank }, (_, k) => [...rest.slice(0, k), rank - 1, ...rest.slice(k)]),
  );
}

/** Pairs of shapes that are broadcast together. */
const pairs: [a: number[], b: number[]][] = [
  [[], []],
  [[5], []],
  [
    [7, 5],
    [7, 5],
  ],
  [[7, 5], [5]],
  [
    [7, 5],
    [7, 1],
  ],
  [
    [7, 1],
    [1, 9],
  ],
  [
    [3, 4, 5],
    [4, 1],
  ],
  [
    [2, 1, 3, 1],
    [5, 1, 4],
  ],
  [
    [3, 2, 2, 6],
    [3, 1, 1, 6],
  ],
  [
    [1, 4, 1],
    [3, 4, 33],
  ],
  [[0, 3], [3]],
  [
    [1, 3],
    [0, 1],
  ],
];

/** The shape that two are broadcast to. */
function joined(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, k) => {
    const one = a[a.length - rank + k] ?? 1;
    return one === 1 ? (b[b.length - rank + k] ?? 1) : one;
  });
}

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, bytes, epsilon } = type;
  const exports = core.exports as Exports & Record<string, (...args: number[]) => void>;
  const kernel = (name: string) => exports[`${name}_${suffix}`]!;
  const axesAt = (axes: readonly Axis[]) => core.input(Uint32Array.from(axes.flat())).address;
  const counted = (n: number, from = 1) =>
    array.from(Array.from({ length: n }, (_, i) => from + i));

  test("a copy permutes any axes, in blocks, rests and runs of every length", () => {
    const shapes = [[1], [5], [3, 70], [66, 9], [4, 8], [2, 5, 7], [3, 1, 65], [2, 3, 4, 5]];
    for (const shape of shapes) {
      for (const axes of permutations(shape.length)) {
        core.reset();
        const x = counted(sizeOf(shape));
        const out = core.output(array, x.length, { last: true });
        const strides = stridesOf(shape);
        const outStrides = stridesOf(axes.map((axis) => shape[axis]!));
        const rows = copyAxes(
          axes.map((axis, k) => [shape[axis]!, outStrides[k]!, strides[axis]!]),
        );
        const xAt = core.input(x, { offset: 4 }).address;
        kernel("strided_copy")(out.address, xAt, axesAt(rows), rows.length);
        core.checkGuards();
        const places = twins.permutedPlaces(shape, axes);
        expect(numbers(out.values())).toEqual(places.map((place) => x[place]!));
      }
    }
  });

  test("a copy of parts leaves what is between them as it was", () => {
    for (const [rows, run, line] of [
      [3, 5, 9],
      [4, 1, 2],
      [2, 200, 201],
    ] as const) {
      core.reset();
      const x = counted(rows * run);
      const out = core.output(array, rows * line);
      const axes: Axis[] = [
        [rows, line, run],
        [run, 1, 1],
      ];
      kernel("strided_copy")(out.address, core.input(x).address, axesAt(axes), 2);
      core.checkGuards();
      const expected = Array.from({ length: rows * line }, (_, i) =>
        i % line < run ? x[Math.floor(i / line) * run + (i % line)]! : NaN,
      );
      expect(numbers(out.values())).toEqual(expected);
    }
  });

  test("zeros are put around images, and taken away again", () => {
    for (const [H, W, C, edges] of [
      [1, 1, 1, [0, 0, 0, 0]],
      [2, 3, 3, [1, 2, 3, 4]],
      [3, 2, 5, [0, 1, 0, 0]],
      [4, 4, 2, [2, 0, 1, 0]],
    ] as const) {
      core.reset();
      const image: twins.Image = { N: 2, C, H, W, isLast: true };
      const { size, places } = twins.paddedPlaces(image, edges);
      const x = counted(2 * H * W * C);
      const words = new Uint32Array(WindowWords.length);
      const one = [1, 1] as const;
      const out = [edges[0] + H + edges[2], edges[1] + W + edges[3]] as const;
      const placement = { out, top: edges[0], left: edges[1] };
      writeWindow(words, [H, W], C, { kernel: one, stride: one, dilation: one }, placement);
      const window = core.input(words).address;
      const padded = core.output(array, size);
      exports.zero_pad_forward!(padded.address, core.input(x).address, window, 2, C * bytes);
      const dx = core.output(array, x.length, { last: true });
      exports.zero_pad_backward!(dx.address, padded.address, window, 2, C * bytes);
      core.checkGuards();
      const expected = new Array<number>(size).fill(0);
      for (const [i, place] of places.entries()) expected[place] = x[i]!;
      expect(numbers(padded.values())).toEqual(expected);
      expect(dx.values()).toEqual(x);
    }
  });

  test("sums and products of broadcast operands are the plain twins, and so are their gradients", () => {
    const random = seeded(91);
    for (const [aShape, bShape] of pairs) {
      core.reset();
      const shape = joined(aShape, bShape);
      const [aPlaces, bPlaces] = [aShape, bShape].map((of) => twins.broadcastPlaces(of, shape));
      const [a, b, dout] = [aShape, bShape, shape].map((of) =>
        array.from(normals(sizeOf(of), random)),
      );
      const strides = (of: readonly number[]) => {
        const own = stridesOf(of);
        const behind = shape.length - of.length;
        return shape.map((_, k) => (of[k - behind] === 1 ? 0 : (own[k - behind] ?? 0)));
      };
      const rows = (first: number[], second: number[]): Axis[] =>
        mergeAxes(shape.map((length, k) => [length, first[k]!, second[k]!]));
      const [aAt, bAt] = [core.input(a!, { offset: 4 }).address, core.input(b!).address];
      const axes = rows(strides(aShape), strides(bShape));
      for (const [name, combine] of [
        ["add_broadcast", (x: number, y: number) => x + y],
        ["multiply_broadcast", (x: number, y: number) => x * y],
      ] as const) {
        const out = core.output(array, sizeOf(shape), { offset: 8 });
        kernel(name)(out.address, aAt, bAt, axesAt(axes), axes.length);
        core.checkGuards();
        const expected = aPlaces!.map((p, i) => combine(a![p]!, b![bPlaces![i]!]!));
        expect(numbers(out.values())).toEqual(numbers(array.from(expected)));
      }
      const doutAt = core.input(dout!, { offset: 8 }).address;
      for (const factorAt of [0, bAt]) {
        const da = core.output(array, a!.length);
        const sums = core.work(8 * a!.length).address;
        kernel("sum_broadcast")(
          ...[da.address, doutAt, factorAt, sums, axesAt(axes), axes.length, a!.length],
        );
        core.checkGuards();
        const total = (size: (value: number) => number) => {
          const sums = new Array<number>(a!.length).fill(0);
          for (const [i, p] of aPlaces!.entries()) {
            sums[p]! += size(dout![i]! * (factorAt ? b![bPlaces![i]!]! : 1));
          }
          return sums;
        };
        // Sums in float64 that are rounded once.
        const bound = total(Math.abs).map((s) => (epsilon / 2 + 2 ** -46) * s);
        expect(
          deviation(
            da.values(),
            total((v) => v),
            bound,
          ),
        ).toBeLessThanOrEqual(1);
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, epsilon }) => {
  const runtime = createRuntimeSync();
  const random = seeded(92);
  const counted = (shape: readonly number[], from = 1) =>
    runtime.tensor(
      Array.from({ length: sizeOf(shape) }, (_, i) => from + i),
      shape,
      dtype,
    );
  const tensor = (shape: readonly number[]) =>
    runtime.tensor(normals(sizeOf(shape), random), shape, dtype);

  test("a permutation and its gradient are each other's inverse", () => {
    for (const shape of [[], [4], [2, 3], [2, 3, 4], [0, 3, 2], [2, 1, 3, 2]]) {
      for (const axes of permutations(shape.length)) {
        const x = counted(shape);
        const { out, cache } = permuteForward(x, axes);
        expect(out.shape).toEqual(axes.map((axis) => shape[axis]));
        const places = twins.permutedPlaces(shape, axes);
        if (x.size > 0) expect(values(out)).toEqual(places.map((place) => x.data[place]));
        const dx = permuteBackward(out, cache);
        expect([dx.shape, values(dx)]).toEqual([shape, values(x)]);
        expect(cache.axes).toEqual(axes);
      }
    }
  });

  test("tensors are put one behind the other along any axis, and their gradients taken apart", () => {
    for (const axis of [0, 1, 2, -1, -3]) {
      const shapes = [2, 1, 0, 3].map((length) => {
        const shape = [2, 3, 4];
        shape[axis < 0 ? axis + 3 : axis] = length;
        return shape;
      });
      const xs = shapes.map((shape, i) => counted(shape, 100 * i));
      const { out, cache } = concatForward(xs, { axis });
      const place = axis < 0 ? axis + 3 : axis;
      expect(out.shape).toEqual([2, 3, 4].map((length, k) => (k === place ? 6 : length)));
      // Moved to the front, the parts lie one behind the other.
      const order = [place, ...[0, 1, 2].filter((k) => k !== place)];
      const front = (x: Tensor) => values(permuteForward(x as Tensor<"float32">, order).out);
      expect(front(out)).toEqual(xs.flatMap(front));
      const back = concatBackward(out, cache);
      expect(back.map((dx) => dx!.shape)).toEqual(shapes);
      expect(back.map((dx) => values(dx!))).toEqual(xs.map(values));
    }
  });

  test("gradients of a concatenation are written where they are wanted, and left out where not", () => {
    const { out, cache } = concatForward([counted([2, 2]), counted([2, 1], 7), counted([2, 1], 9)]);
    const to = runtime.zeros([2, 1], dtype);
    const [first, second, third] = concatBackward(out, cache, { dx: [undefined, to, false] });
    expect([second, third]).toEqual([to, undefined]);
    expect([values(first!), values(to)]).toEqual([
      [1, 2, 3, 4],
      [7, 8],
    ]);
    expect(() => concatBackward(out, cache, { dx: [to, to, to] as never })).toThrow(ShapeError);
    const both = runtime.zeros([2, 1], dtype);
    expect(() => concatBackward(out, cache, { dx: [false, both, both] })).toThrow(AliasError);
    expect(() => concatBackward(out, cache, { dx: [to] })).toThrow(
      "concatBackward: dx has 1 destinations but concatForward had 3 tensors",
    );
  });

  test("padding and upsampling are the plain twins in both layouts", () => {
    for (const isLast of [false, true]) {
      const layout = isLast ? "NHWC" : "NCHW";
      const image: twins.Image = { N: 2, C: 3, H: 2, W: 4, isLast };
      const shape = isLast ? [2, 2, 4, 3] : [2, 3, 2, 4];
      const x = counted(shape);
      const { size, places } = twins.paddedPlaces(image, [1, 0, 2, 3]);
      const padding = { top: 1, left: 0, bottom: 2, right: 3 };
      const padded = zeroPad2dForward(x, padding, { layout });
      expect(padded.out.shape).toEqual(isLast ? [2, 5, 7, 3] : [2, 3, 5, 7]);
      const expected = new Array<number>(size).fill(0);
      for (const [i, place] of places.entries()) expected[place] = x.data[i]!;
      expect(values(padded.out)).toEqual(expected);
      expect(values(zeroPad2dBackward(padded.out, padded.cache))).toEqual(values(x));

      const large = upsample2dForward(x, { scale: [3, 2], layout });
      expect(large.out.shape).toEqual(isLast ? [2, 6, 8, 3] : [2, 3, 6, 8]);
      const larger: twins.Image = { ...image, H: 6, W: 8 };
      const blocks = twins.blocks(larger, [3, 2]);
      const spread = twins.averagePoolBackward(x.data, larger, blocks, "nothing");
      expect(values(large.out)).toEqual(spread);
      const dout = tensor(large.out.shape);
      const dx = upsample2dBackward(dout, large.cache);
      const sums = twins.averagePoolForward(dout.data, larger, blocks, "nothing");
      const scale = twins.averagePoolForward(absolute(dout.data), larger, blocks, "nothing");
      expect(deviation(dx.data, sums, scale)).toBeLessThanOrEqual(8 * epsilon);
    }
  });

  test("upsampling copies: −0 and NaN stay what they are", () => {
    const x = runtime.tensor([-0, NaN], [1, 1, 1, 2], dtype);
    expect(values(upsample2dForward(x, { scale: [1, 2] }).out)).toEqual([-0, -0, NaN, NaN]);
  });

  test("sums and products follow NumPy's broadcasting, forward and backward", () => {
    for (const [aShape, bShape] of pairs.flatMap(
      ([a, b]) =>
        [
          [a, b],
          [b, a],
        ] as const,
    )) {
      const [a, b] = [tensor(aShape), tensor(bShape)];
      const shape = joined(aShape, bShape);
      const [aPlaces, bPlaces] = [aShape, bShape].map((of) => twins.broadcastPlaces(of, shape));
      const dout = tensor(shape);
      const sums = (places: number[], n: number, factor: (i: number) => number) => {
        const total = new Array<number>(n).fill(0);
        if (dout.size > 0)
          for (const [i, p] of places.entries()) total[p]! += dout.data[i]! * factor(i);
        return total;
      };
      const added = addForward(a, b);
      expect(added.out.shape).toEqual(shape);
      const { da, db } = addBackward(dout, added.cache);
      expect([da.shape, db.shape]).toEqual([aShape, bShape]);
      expect(
        deviation(
          da.data,
          sums(aPlaces!, a.size, () => 1),
          16,
        ),
      ).toBeLessThanOrEqual(4 * epsilon);
      expect(
        deviation(
          db.data,
          sums(bPlaces!, b.size, () => 1),
          16,
        ),
      ).toBeLessThanOrEqual(4 * epsilon);
      const product = multiplyForward(a, b);
      const gradients = multiplyBackward(dout, product.cache);
      const ofA = sums(aPlaces!, a.size, (i) => b.data[bPlaces![i]!]!);
      const ofB = sums(bPlaces!, b.size, (i) => a.data[aPlaces![i]!]!);
      expect(deviation(gradients.da.data, ofA, 16)).toBeLessThanOrEqual(4 * epsilon);
      expect(deviation(gradients.db.data, ofB, 16)).toBeLessThanOrEqual(4 * epsilon);
    }
  });

  test("a sum may take the place of an operand that has its shape, a product may not", () => {
    const [a, b] = [tensor([3, 4]), tensor([4])];
    const expected = values(addForward(a, b).out);
    expect(() => addForward(a, b.reshape([1, 4]), { out: b.reshape([1, 4]) as never })).toThrow(
      ShapeError,
    );
    expect(() => multiplyForward(a, b, { out: a })).toThrow(/Backward needs a and b$/);
    expect(addForward(a, b, { out: a }).out).toBe(a);
    expect(values(a)).toEqual(expected);
  });

  test("a tensor may be added to itself, and be multiplied by itself", () => {
    const a = tensor([5]);
    const ones = runtime.ones([5], dtype);
    const { da, db } = multiplyBackward(ones, multiplyForward(a, a).cache);
    expect([values(da), values(db)]).toEqual([values(a), values(a)]);
    expect(values(addForward(a, a).out)).toEqual(values(a).map((v) => 2 * v));
  });
});

test("gradients in float64 are those of differences", () => {
  const runtime = createRuntimeSync();
  const random = seeded(93);
  const tensor = (shape: readonly number[]) =>
    runtime.tensor(normals(sizeOf(shape), random), shape, "float64");
  type F64 = Tensor<"float64">;
  const [a, b, dout] = [tensor([3, 1, 5]), tensor([4, 1]), tensor([3, 4, 5])];
  const product = multiplyBackward(dout, multiplyForward(a, b).cache);
  const byA = numericalGradient((a) => multiplyForward(a as F64, b).out, a, dout);
  const byB = numericalGradient((b) => multiplyForward(a, b as F64).out, b, dout);
  expect(relativeError(product.da, byA)).toBeLessThan(GRADIENT_BOUND);
  expect(relativeError(product.db, byB)).toBeLessThan(GRADIENT_BOUND);
  const x = tensor([1, 3, 3, 5]);
  const up = upsample2dForward(x, { scale: 3 });
  const gradient = tensor(up.out.shape);
  const dx = upsample2dBackward(gradient, up.cache);
  const expected = numericalGradient(
    (x) => upsample2dForward(x as F64, { scale: 3 }).out,
    x,
    gradient,
  );
  expect(relativeError(dx, expected)).toBeLessThan(GRADIENT_BOUND);
});

test("what does not fit is refused with the numbers", () => {
  const runtime = createRuntimeSync();
  const x = runtime.ones([2, 3, 4, 5]);
  const y = runtime.ones([2, 4]);
  for (const [call, type, message] of [
    [
      () => permuteForward(x, [0, 1, 2]),
      ShapeError,
      "permuteForward: axes are [0,1,2] but x has shape (2, 3, 4, 5)",
    ],
    [
      () => permuteForward(x, [0, 1, 2, 4]),
      ShapeError,
      "permuteForward: axes are [0,1,2,4] but x has shape (2, 3, 4, 5)",
    ],
    [
      () => permuteForward(x, [0, 1, 1, 2]),
      RangeError,
      "permuteForward: axes must hold whole numbers from 0 up, each of them once, got [0,1,1,2]",
    ],
    [
      () => permuteForward(x, 3 as never),
      RangeError,
      "permuteForward: axes must be an array of whole numbers, got 3",
    ],
    [() => concatForward([]), RangeError, "concatForward: xs has no tensor"],
    [
      () => concatForward([x, y]),
      ShapeError,
      "concatForward: xs[1] has shape (2, 4), which differs from xs[0]'s (2, 3, 4, 5) not along axis 3 alone",
    ],
    [
      () => concatForward([y, y], { axis: 2 }),
      ShapeError,
      "concatForward: axis is 2 but xs[0] has shape (2, 4)",
    ],
    [
      () => concatForward([y, y], { axis: 0.5 }),
      RangeError,
      "concatForward: axis must be a whole number, got 0.5",
    ],
    [
      () => concatForward(x as never),
      TypeError,
      "concatForward: xs must be an array of tensors, got a tensor",
    ],
    [
      () => concatForward([runtime.ones([])]),
      ShapeError,
      "concatForward: axis is -1 but xs[0] has shape ()",
    ],
    [
      () => zeroPad2dForward(x, "same" as never),
      RangeError,
      'zeroPad2dForward: padding must be whole numbers from 0 up, got "same"',
    ],
    [
      () => zeroPad2dForward(y, 1),
      ShapeError,
      "zeroPad2dForward: x must have shape (N, C, H, W), got (2, 4)",
    ],
    [
      () => upsample2dForward(x, { scale: 1.5 }),
      RangeError,
      "upsample2dForward: scale must be a whole number from 1 up, or [height, width] of such, got 1.5",
    ],
    [
      () => upsample2dForward(x, { scale: 2 ** 30 }),
      ShapeError,
      "upsample2dForward: an image of 4294967296 × 5368709120 that comes out is too large: the most is 2147483647",
    ],
    [
      () => addForward(x, y),
      ShapeError,
      "addForward: a has shape (2, 3, 4, 5) and b (2, 4), which are not broadcast together",
    ],
  ] as const) {
    expect(call).toThrow(new type(message));
  }
});
