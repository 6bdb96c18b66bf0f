import { describe, expect, test } from "vitest";
import {
  type Cache,
  conv1dBackward,
  conv1dForward,
  conv2dBackward,
  conv2dForward,
  convTranspose2dBackward,
  convTranspose2dForward,
  createRuntimeSync,
  type FloatDType,
  numericalGradient,
  relativeError,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import { dtypes, type Floats, seeded } from "../support/core.ts";
import { permutedPlaces } from "../support/images.ts";
import * as reference from "../support/reference.ts";
import { absolute, deviation, type Numbers, normals } from "../support/reference.ts";
import { GRADIENT_BOUND, reportErrors, track, values } from "./common.ts";

reportErrors();

type Pair = readonly [number, number];
type Any = Tensor<FloatDType>;
type Forward = (
  x: Any,
  w: Any,
  b: Any | null,
  param?: object,
  options?: object,
) => { out: Any; cache: Cache & { x: Any; w: Any; b: Any | null } };
type Gradients = { dx: Any; dw: Any; db: Any };
type Backward = (dout: Any, cache: Cache, options?: object) => Gradients;

const calls = {
  conv2d: [conv2dForward, conv2dBackward],
  conv1d: [conv1dForward, conv1dBackward],
  convTranspose2d: [convTranspose2dForward, convTranspose2dBackward],
} as unknown as Record<"conv2d" | "conv1d" | "convTranspose2d", [Forward, Backward]>;
const images = ["conv2d", "convTranspose2d"] as const;
type Kind = (typeof images)[number];

/** Of a transposed convolution `size` and C are what comes in too, and F what comes out. */
interface Geometry {
  name: string;
  size: Pair;
  C: number;
  F: number;
  kernel: Pair;
  stride?: Pair;
  dilation?: Pair;
  /** top, left, bottom, right */
  edges?: readonly [number, number, number, number];
  same?: boolean;
  more?: Pair;
  groups?: number;
}

const geometries: Geometry[] = [
  { name: "one pixel", size: [1, 1], C: 1, F: 1, kernel: [1, 1] },
  { name: "1 × 1, a product", size: [3, 5], C: 4, F: 3, kernel: [1, 1] },
  { name: "1 × 1 from one channel", size: [3, 5], C: 1, F: 4, kernel: [1, 1] },
  { name: "one filter", size: [4, 3], C: 5, F: 1, kernel: [2, 3] },
  { name: "one channel", size: [5, 4], C: 1, F: 7, kernel: [3, 2] },
  { name: "lines", size: [1, 9], C: 3, F: 4, kernel: [1, 3], edges: [0, 1, 0, 1] },
  { name: "padded", size: [5, 6], C: 3, F: 9, kernel: [3, 3], edges: [1, 1, 1, 1] },
  {
    name: "more at two sides",
    ...{ size: [4, 5], C: 2, F: 5, kernel: [3, 4], edges: [1, 0, 0, 2] },
  },
  { name: "a stride", size: [7, 6], C: 3, F: 8, kernel: [2, 3], stride: [2, 3], more: [1, 2] },
  { name: "a stride beyond the kernel", size: [5, 7], C: 2, F: 4, kernel: [2, 1], stride: [3, 4] },
  {
    name: "a dilation",
    ...{ size: [7, 8], C: 4, F: 3, kernel: [2, 3], dilation: [3, 2], more: [2, 1] },
    edges: [1, 2, 1, 2],
  },
  {
    name: "a dilation and a stride",
    ...{ size: [7, 8], C: 2, F: 6, kernel: [3, 2], dilation: [2, 3], stride: [2, 2] },
    edges: [2, 1, 1, 0],
  },
  { name: "same", size: [5, 7], C: 3, F: 4, kernel: [4, 3], same: true },
  {
    name: "same of a stride",
    size: [5, 7],
    C: 3,
    F: 4,
    kernel: [4, 3],
    stride: [2, 3],
    same: true,
  },
  { name: "groups", size: [4, 5], C: 6, F: 9, kernel: [3, 2], groups: 3, edges: [1, 1, 1, 0] },
  { name: "depthwise", size: [5, 4], C: 5, F: 5, kernel: [3, 3], groups: 5, edges: [1, 1, 1, 1] },
  { name: "groups of one filter", size: [3, 4], C: 8, F: 2, kernel: [2, 2], groups: 2 },
  { name: "many channels", size: [3, 3], C: 35, F: 33, kernel: [2, 2], edges: [1, 0, 0, 1] },
];

const axesOf = [0, 1] as const;

/** The window of a geometry, whose image is what a convolution takes or its transpose gives. */
function windowOf(kind: Kind, geometry: Geometry): reference.WindowSizes {
  const { size, C, F, kernel, groups = 1, same = false } = geometry;
  const { stride = [1, 1], dilation = [1, 1], edges = [0, 0, 0, 0], more = [0, 0] } = geometry;
  const covered = axesOf.map((k) => dilation[k] * (kernel[k] - 1) + 1);
  const out: number[] = [];
  const before: number[] = [];
  for (const k of axesOf) {
    if (kind === "conv2d") {
      const fits = size[k] + edges[k] + edges[k + 2]! - covered[k]!;
      out.push(same ? Math.ceil(size[k] / stride[k]) : Math.floor(fits / stride[k]) + 1);
      const lacks = Math.max((out[k]! - 1) * stride[k] + covered[k]! - size[k], 0);
      before.push(same ? Math.floor(lacks / 2) : edges[k]);
    } else {
      const whole = (size[k] - 1) * stride[k] + covered[k]!;
      out.push(same ? size[k] * stride[k] : whole - edges[k] - edges[k + 2]! + more[k]);
      before.push(same ? Math.floor(Math.max(covered[k]! - stride[k], 0) / 2) : edges[k]);
    }
  }
  const [large, small] = kind === "conv2d" ? [size, out] : [out, size];
  return {
    ...{ H: large[0]!, W: large[1]!, OH: small[0]!, OW: small[1]! },
    ...(kind === "conv2d" ? { C, F } : { C: F, F: C }),
    ...{ KH: kernel[0], KW: kernel[1], SH: stride[0], SW: stride[1] },
    ...{ DH: dilation[0], DW: dilation[1], top: before[0]!, left: before[1]!, groups },
  };
}

function paramOf(kind: Kind, { stride, dilation, edges, same, more, groups }: Geometry): object {
  const [top, left, bottom, right] = edges ?? [0, 0, 0, 0];
  return {
    ...{ stride, dilation, groups },
    padding: same ? "same" : { top, left, bottom, right },
    ...(kind === "convTranspose2d" && { outputPadding: more }),
  };
}

/** The shapes of a call with the channels last, and the orders that make them second. */
function shapesOf(kind: Kind, s: reference.WindowSizes, N: number) {
  const [image, made] = [
    [N, s.H, s.W, s.C],
    [N, s.OH, s.OW, s.F],
  ];
  const w = [s.KH, s.KW, s.C / s.groups, s.F];
  return kind === "conv2d"
    ? { x: image, w, b: [s.F], out: made }
    : { x: made, w, b: [s.C], out: image };
}
const SECOND = { image: [0, 3, 1, 2], filter: [3, 2, 0, 1] };

const orderOf = (layout: string, kind: "image" | "filter") =>
  layout === "NHWC" ? [0, 1, 2, 3] : SECOND[kind];
/** An array with channels last in a layout's own order. */
function placed(data: Numbers, shape: number[], layout: string, kind: "image" | "filter") {
  const order = orderOf(layout, kind);
  return {
    data: permutedPlaces(shape, order).map((place) => data[place]!),
    shape: order.map((axis) => shape[axis]!),
  };
}

const layouts = ["NCHW", "NHWC"];
const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

describe.each(dtypes)("in $dtype", ({ dtype, array, epsilon }) => {
  const runtime = createRuntimeSync();
  const draw = (n: number, random: () => number): Floats =>
    array.from({ length: n }, () => 2 * random() - 1);

  describe.each(images)("%s", (kind) => {
    const [forward, backward] = calls[kind];
    const twin =
      kind === "conv2d"
        ? { forward: reference.conv2dForward, backward: reference.conv2dBackward }
        : {
            forward: reference.convTranspose2dForward,
            backward: reference.convTranspose2dBackward,
          };

    test.each(geometries)("is the plain twin in both layouts: $name", (geometry) => {
      const random = seeded(81);
      const s = windowOf(kind, geometry);
      for (const N of [1, 2]) {
        for (const layout of layouts) {
          runtime.scope(() => {
            const shapes = shapesOf(kind, s, N);
            const [x, w, b, dout] = (["x", "w", "b", "out"] as const).map((name) =>
              draw(size(shapes[name]), random),
            ) as [Floats, Floats, Floats, Floats];
            const tensor = (data: Floats, shape: number[], of: "image" | "filter") => {
              const there = placed(data, shape, layout, of);
              return runtime.tensor(there.data, there.shape, dtype) as Any;
            };
            const near = (
              what: string,
              actual: Any,
              expected: number[],
              scale: number[],
              shape: number[],
              of: "image" | "filter",
            ) => {
              const there = placed(expected, shape, layout, of);
              expect(actual.shape, what).toEqual(there.shape);
              const terms = Math.max(s.C, s.F) * s.KH * s.KW + N * s.H * s.W;
              const bound = placed(scale, shape, layout, of).data.map(
                (each) => (terms + 4) * epsilon * each,
              );
              expect(deviation(actual.data, there.data, bound), what).toBeLessThanOrEqual(1);
            };
            const operands = [tensor(x, shapes.x, "image"), tensor(w, shapes.w, "filter")] as const;
            const bias = runtime.tensor(b, shapes.b, dtype) as Any;
            const param = { ...paramOf(kind, geometry), layout };
            const { out, cache } = forward(...operands, bias, param);
            const { dx, dw, db } = backward(tensor(dout, shapes.out, "image"), cache);
            const [ax, aw, ab, ad] = [x, w, b, dout].map(absolute) as [
              ...[number[], number[], number[], number[]],
            ];
            const scale = twin.forward(ax, aw, ab, s, N);
            near("out", out, twin.forward(x, w, b, s, N), scale, shapes.out, "image");
            const all = twin.backward(dout, x, w, s, N);
            const sizes = twin.backward(ad, ax, aw, s, N);
            near("dx", dx, all.dx, sizes.dx, shapes.x, "image");
            near("dw", dw, all.dw, sizes.dw, shapes.w, "filter");
            expect(db.shape).toEqual(shapes.b);
            const terms = dout.length + 4;
            const bound = sizes.db.map((each) => terms * epsilon * each);
            expect(deviation(db.data, all.db, bound)).toBeLessThanOrEqual(1);
            // What a call reads is as it was.
            expect([values(cache.x), values(cache.w)]).toEqual(operands.map(values));
          });
        }
      }
    });

    test("without a bias is as with one of zeros, and has no gradient of it", () => {
      const random = seeded(82);
      const geometry = geometries.find(({ name }) => name === "groups")!;
      const shapes = shapesOf(kind, windowOf(kind, geometry), 2);
      const [x, w] = (["x", "w"] as const).map((name) =>
        runtime.tensor(draw(size(shapes[name]), random), shapes[name], dtype),
      ) as [Any, Any];
      const param = { ...paramOf(kind, geometry), layout: "NHWC" };
      const plain = forward(x, w, null, param);
      const zero = forward(x, w, runtime.zeros(shapes.b, dtype) as Any, param);
      expect(values(plain.out)).toEqual(values(zero.out));
      expect([plain.cache.b, zero.cache.b?.shape]).toEqual([null, shapes.b]);
      const [none, some] = [backward(plain.out, plain.cache), backward(plain.out, zero.cache)];
      expect(none.db).toBe(undefined);
      expect(values(none.dx)).toEqual(values(some.dx));
      expect(values(none.dw)).toEqual(values(some.dw));
      expect(backward(plain.out, plain.cache, { db: false }).db).toBe(undefined);
      expect(() =>
        backward(plain.out, plain.cache, { db: runtime.zeros(shapes.b, dtype) }),
      ).toThrow(
        new TypeError(
          `${kind}Backward: db must be left out where the forward's b was null, got a destination`,
        ),
      );
    });

    test.each(layouts)(
      "writes into destinations, and leaves out what is false, in %s",
      (layout) => {
        const random = seeded(83);
        const geometry = geometries.find(({ name }) => name === "a stride")!;
        const shapes = shapesOf(kind, windowOf(kind, geometry), 2);
        const made = (name: "x" | "w" | "out") => {
          const of = name === "w" ? "filter" : "image";
          const there = placed(draw(size(shapes[name]), random), shapes[name], layout, of);
          return runtime.tensor(there.data, there.shape, dtype) as Any;
        };
        const [x, w, dout] = [made("x"), made("w"), made("out")];
        const b = runtime.ones(shapes.b, dtype) as Any;
        const param = { ...paramOf(kind, geometry), layout };
        const fresh = forward(x, w, b, param);
        const out = runtime.full(fresh.out.shape, NaN, dtype) as Any;
        expect(forward(x, w, b, param, { out }).out).toBe(out);
        expect(values(out)).toEqual(values(fresh.out));
        const all = backward(dout, fresh.cache);
        for (const name of ["dx", "dw", "db"] as const) {
          const to = runtime.full(all[name].shape, NaN, dtype) as Any;
          const others = { dx: false, dw: false, db: false };
          const some = backward(dout, fresh.cache, { ...others, [name]: to });
          expect(some).toEqual({ dx: undefined, dw: undefined, db: undefined, [name]: to });
          expect(some[name]).toBe(to);
          expect(values(to), name).toEqual(values(all[name]));
        }
        const none = backward(dout, fresh.cache, { dx: false, dw: false, db: false });
        expect(none).toEqual({ dx: undefined, dw: undefined, db: undefined });
      },
    );

    test.each(layouts)("an empty batch gives an empty out and zeros, in %s", (layout) => {
      const [x, w] =
        layout === "NHWC"
          ? [
              [0, 4, 5, 3],
              [2, 2, 3, 3],
            ]
          : [
              [0, 3, 4, 5],
              [3, 3, 2, 2],
            ];
      const [xs, ws] = [runtime.zeros(x!, dtype), runtime.ones(w!, dtype)] as [Any, Any];
      const { out, cache } = forward(xs, ws, runtime.ones([3], dtype) as Any, { layout });
      const [OH, OW] = kind === "conv2d" ? [3, 4] : [5, 6];
      expect(out.shape).toEqual(layout === "NHWC" ? [0, OH, OW, 3] : [0, 3, OH, OW]);
      const { dx, dw, db } = backward(out, cache);
      expect(dx.shape).toEqual(x);
      expect(values(dw)).toEqual(new Array(36).fill(0));
      expect(values(db)).toEqual([0, 0, 0]);
    });

    test("from no channels comes the bias, and to no channels nothing, however large", () => {
      for (const layout of layouts) {
        const shape = (C: number, H: number, W: number) =>
          layout === "NHWC" ? [1, H, W, C] : [1, C, H, W];
        const filter = (rows: number, columns: number) =>
          layout === "NHWC" ? [2, 2, columns, rows] : [rows, columns, 2, 2];
        const [none, three] =
          kind === "conv2d" ? [filter(3, 0), filter(0, 3)] : [filter(0, 3), filter(3, 0)];
        const b = runtime.tensor([1, 2, 3], [3], dtype) as Any;
        const from = forward(
          runtime.zeros(shape(0, 3, 2), dtype) as Any,
          runtime.zeros(none, dtype) as Any,
          b,
          { layout },
        );
        const [OH, OW] = kind === "conv2d" ? [2, 1] : [4, 3];
        const places = Array.from({ length: 3 * OH * OW }, (_, i) =>
          layout === "NHWC" ? 1 + (i % 3) : 1 + Math.floor(i / (OH * OW)),
        );
        expect(values(from.out)).toEqual(places);
        const back = backward(from.out, from.cache);
        expect([back.dx.size, back.dw.size]).toEqual([0, 0]);
        expect(values(back.db)).toEqual([1, 2, 3].map((v) => v * OH * OW));

        const x = runtime.ones(shape(3, 3, 2), dtype) as Any;
        const nothing = runtime.zeros([0], dtype) as Any;
        const param = { layout, stride: 2 ** 28, ...(kind === "conv2d" && { padding: 2 ** 28 }) };
        const to = forward(x, runtime.zeros(three, dtype) as Any, nothing, param);
        expect(to.out.size).toBe(0);
        expect(values(backward(to.out, to.cache).dx)).toEqual(new Array(18).fill(0));
      }
    });
  });

  test("a sequence is an image of height 1", () => {
    const random = seeded(84);
    const [N, L, C, F, K] = [2, 9, 4, 6, 3];
    for (const layout of ["NCL", "NLC"]) {
      const isLast = layout === "NLC";
      const [line, filter] = isLast
        ? [
            [N, L, C],
            [K, C / 2, F],
          ]
        : [
            [N, C, L],
            [F, C / 2, K],
          ];
      const x = runtime.tensor(draw(N * L * C, random), line, dtype) as Any;
      const w = runtime.tensor(draw((F * C * K) / 2, random), filter, dtype) as Any;
      const b = runtime.tensor(draw(F, random), [F], dtype) as Any;
      const tall = (shape: readonly number[], at: number) => [
        ...shape.slice(0, at),
        1,
        ...shape.slice(at),
      ];
      const [inX, inW] = isLast ? [1, 0] : [2, 2];
      const both = { groups: 2 };
      const one = conv1dForward(x, w, b, {
        ...both,
        ...{ stride: 2, dilation: 2, padding: { left: 3, right: 0 } },
        layout: layout as "NCL",
      });
      const two = conv2dForward(x.reshape(tall(line!, inX)), w.reshape(tall(filter!, inW)), b, {
        ...both,
        ...{ stride: [1, 2], dilation: [1, 2] },
        padding: { left: 3, right: 0, top: 0, bottom: 0 },
        layout: isLast ? "NHWC" : "NCHW",
      });
      expect(two.out.shape).toEqual(tall(one.out.shape, inX));
      expect(values(one.out)).toEqual(values(two.out));
      const [back1, back2] = [
        conv1dBackward(one.out, one.cache),
        conv2dBackward(two.out, two.cache),
      ];
      expect([back1.dx.shape, back1.dw.shape, back1.db.shape]).toEqual([line, filter, [F]]);
      for (const name of ["dx", "dw", "db"] as const)
        expect(values(back1[name])).toEqual(values(back2[name]));
    }
  });

  test("a transposed convolution is the gradient of the convolution for its input, to the bit", () => {
    const random = seeded(85);
    for (const layout of layouts as ("NCHW" | "NHWC")[]) {
      const isLast = layout === "NHWC";
      const x = runtime.ones(isLast ? [2, 8, 7, 6] : [2, 6, 8, 7], dtype) as Any;
      const shape = isLast ? [3, 2, 3, 4] : [4, 3, 3, 2];
      const w = runtime.tensor(draw(72, random), shape, dtype) as Any;
      const param = { stride: [3, 2], groups: 2, layout } as const;
      const { out, cache } = conv2dForward(x, w, null, { ...param, padding: [1, 0] });
      const dout = runtime.tensor(draw(out.size, random), out.shape, dtype) as Any;
      const { dx } = conv2dBackward(dout, cache);
      // (3 − 1) · 3 − 2 + 3 = 7 lines, and (3 − 1) · 2 + 2 = 6 columns: one of each is left over.
      const padding = [1, 0] as const;
      const there = convTranspose2dForward(dout, w, null, { ...param, padding, outputPadding: 1 });
      expect(there.out.shape).toEqual(x.shape);
      expect(values(there.out)).toEqual(values(dx));
    }
  });

  test("padding adds nothing: an infinite weight gives no NaN there", () => {
    const x = runtime.ones([1, 1, 1, 1], dtype);
    const w = runtime.tensor([Infinity, 2, Infinity], [1, 1, 1, 3], dtype);
    const { out } = conv2dForward(x, w, null, { padding: [0, 1] });
    expect(values(out)).toEqual([2]);
    const one = conv2dForward(x, w, null, { padding: [0, 2] });
    expect(values(one.out)).toEqual([Infinity, 2, Infinity]);
  });

  test("an image without pixels that has a padding gives the bias", () => {
    const x = runtime.zeros([1, 2, 0, 3], dtype);
    const b = runtime.tensor([5, 7], [2], dtype);
    const { out, cache } = conv2dForward(x, runtime.ones([2, 2, 2, 3], dtype), b, {
      padding: [1, 0],
    });
    expect([out.shape, values(out)]).toEqual([
      [1, 2, 1, 1],
      [5, 7],
    ]);
    const { dx, dw, db } = conv2dBackward(out, cache);
    expect([dx.size, values(db)]).toEqual([0, [5, 7]]);
    expect(values(dw)).toEqual(new Array(24).fill(0));
  });
});

describe("gradients in float64 are those of differences", () => {
  const runtime = createRuntimeSync();
  const random = seeded(86);

  function check(
    kind: keyof typeof calls,
    shapes: { x: number[]; w: number[]; b: number[] },
    param: object,
  ): void {
    const [forward, backward] = calls[kind];
    runtime.scope(() => {
      const operands = Object.fromEntries(
        Object.entries(shapes).map(([name, shape]) => [
          name,
          runtime.tensor(normals(size(shape), random), shape, "float64") as Any,
        ]),
      ) as { x: Any; w: Any; b: Any };
      const call = ({ x, w, b }: typeof operands) => forward(x, w, b, param);
      const { out, cache } = call(operands);
      const dout = runtime.tensor(normals(out.size, random), out.shape, "float64");
      const gradients = backward(dout as Any, cache);
      for (const name of ["x", "w", "b"] as const) {
        const expected = numericalGradient(
          (value) => call({ ...operands, [name]: value as Any }).out as Tensor<"float64">,
          operands[name] as Tensor<"float64">,
          dout,
        );
        const error = relativeError(gradients[`d${name}`], expected);
        expect(track(`${kind} d${name}`, error)).toBeLessThan(GRADIENT_BOUND);
      }
    });
  }

  test.each(
    geometries.filter(({ C }) => C < 10).flatMap((g) => images.map((kind) => ({ ...g, kind }))),
  )("$kind: $name", ({ kind, ...geometry }) => {
    const { x, w, b } = shapesOf(kind, windowOf(kind, geometry), 2);
    for (const layout of layouts) {
      const shape = (of: "image" | "filter", shape: number[]) =>
        orderOf(layout, of).map((axis) => shape[axis]!);
      const shapes = { x: shape("image", x!), w: shape("filter", w), b: b! };
      check(kind, shapes, { ...paramOf(kind, geometry), layout });
    }
  });

  test("conv1d", () => {
    check("conv1d", { x: [2, 3, 8], w: [4, 3, 3], b: [4] }, { padding: "same", stride: 3 });
    check(
      "conv1d",
      { x: [2, 8, 4], w: [2, 2, 6], b: [6] },
      { layout: "NLC", groups: 2, dilation: 2 },
    );
  });
});

describe("what does not fit", () => {
  const runtime = createRuntimeSync();
  const x = runtime.ones([2, 6, 4, 5]);
  const line = runtime.ones([2, 6, 5]);
  const w = (...shape: number[]) => runtime.ones(shape);

  test("is a ShapeError with the numbers, and leaves nothing allocated", () => {
    const b = w(3);
    const before = runtime.memory.bytesLive;
    for (const [call, message] of [
      [
        () => conv2dForward(line, w(3, 6, 2, 2), null),
        "conv2dForward: x must have shape (N, C, H, W), got (2, 6, 5)",
      ],
      [
        () => conv2dForward(x, w(3, 6, 2), null),
        "conv2dForward: w must have shape (F, C/groups, KH, KW), got (3, 6, 2)",
      ],
      [
        () => conv2dForward(x, w(2, 2, 3), null, { layout: "NHWC" }),
        "conv2dForward: w must have shape (KH, KW, C/groups, F), got (2, 2, 3)",
      ],
      [
        () => conv1dForward(line, w(3, 6, 1, 1), null),
        "conv1dForward: w must have shape (F, C/groups, K), got (3, 6, 1, 1)",
      ],
      [
        () => conv1dForward(line, w(6, 5), null, { layout: "NLC" }),
        "conv1dForward: w must have shape (K, C/groups, F), got (6, 5)",
      ],
      [
        () => convTranspose2dForward(x, w(6), null),
        "convTranspose2dForward: w must have shape (C, F/groups, KH, KW), got (6,)",
      ],
      [
        () => convTranspose2dForward(x, w(6, 3), null, { layout: "NHWC" }),
        "convTranspose2dForward: w must have shape (KH, KW, F/groups, C), got (6, 3)",
      ],
      [
        () => conv2dForward(x, w(3, 5, 2, 2), null),
        "conv2dForward: x has 6 channels but w takes 5",
      ],
      [
        () => conv2dForward(x, w(4, 6, 2, 2), null, { groups: 2 }),
        "conv2dForward: x has 6 channels but w takes 12: 6 in each of 2 groups",
      ],
      [
        () => conv2dForward(x, w(3, 3, 2, 2), null, { groups: 2 }),
        "conv2dForward: w has 3 filters, which 2 groups do not divide",
      ],
      [
        () => convTranspose2dForward(x, w(5, 3, 2, 2), null),
        "convTranspose2dForward: x has 6 channels but w takes 5",
      ],
      [
        () => convTranspose2dForward(x, w(6, 3, 2, 2), null, { groups: 4 }),
        "convTranspose2dForward: x has 6 channels, which 4 groups do not divide",
      ],
      [
        () => conv2dForward(x, w(4, 6, 2, 2), b),
        "conv2dForward: w makes 4 channels but b has 3 elements",
      ],
      [
        () => convTranspose2dForward(x, w(6, 2, 2, 2), b, { groups: 2 }),
        "convTranspose2dForward: w makes 4 channels but b has 3 elements",
      ],
      [
        () => conv2dForward(x, w(3, 6, 2, 2), w(1, 3)),
        "conv2dForward: b must have shape (F,), got (1, 3)",
      ],
      [
        () => conv2dForward(x, w(3, 6, 0, 2), null),
        "conv2dForward: w has shape (3, 6, 0, 2), in which a filter has no cell",
      ],
      [
        () => conv2dForward(x, w(3, 6, 5, 3), null),
        "conv2dForward: a window of 5 × 3 does not fit an image of 4 × 5 with its padding: no pixel comes out",
      ],
      [
        () => conv1dForward(line, w(3, 6, 3), null, { dilation: 3 }),
        "conv1dForward: a window of 7 does not fit an image of 5 with its padding: no pixel comes out",
      ],
      [
        () => conv2dForward(x, w(3, 6, 2, 2), null, { padding: 2 ** 31 }),
        "conv2dForward: a window of 2 × 2 on an image of 4294967300 × 4294967301 with its padding is too large: the most is 2147483647",
      ],
      [
        () => convTranspose2dForward(x, w(6, 3, 2, 2), null, { stride: 2 ** 31 }),
        "convTranspose2dForward: an image of 6442450946 × 8589934594 that comes out is too large: the most is 2147483647",
      ],
      [
        () => convTranspose2dForward(x, w(6, 3, 2, 2), null, { padding: 4 }),
        "convTranspose2dForward: an image of 4 × 5 leaves -3 × -2: no pixel comes out",
      ],
      [
        () => conv2dForward(x, w(3, 6, 2, 2), null, {}, { out: w(2, 3, 4, 5) }),
        "conv2dForward: out must have shape (2, 3, 3, 4), got (2, 3, 4, 5)",
      ],
    ] as const) {
      expect(() => runtime.scope<unknown>(call)).toThrow(new ShapeError(message));
    }
    expect(runtime.memory.bytesLive).toBe(before);
  });

  test("by itself is a RangeError, and an unknown setting a TypeError", () => {
    const filters = w(6, 6, 2, 2);
    for (const [param, type, message] of [
      [{ stride: 0 }, RangeError, /stride must be a whole number from 1 up, or \[height, width\]/],
      [{ stride: [1, 2.5] }, RangeError, /stride must be .*, got 2\.5$/],
      [{ stride: [1] }, RangeError, /stride must be .*, got an array of 1$/],
      [{ dilation: -1 }, RangeError, /dilation must be .*, got -1$/],
      [{ groups: 0 }, RangeError, /groups must be a whole number from 1 up, got 0$/],
      [{ groups: 1.5 }, RangeError, /groups must be a whole number from 1 up, got 1\.5$/],
      [{ groups: "2" }, RangeError, /groups must be a whole number from 1 up, got "2"$/],
      [{ padding: "SAME" }, RangeError, /padding must be "same", "valid" or whole numbers/],
      [{ padding: -1 }, RangeError, /padding must be a whole number from 0 up/],
      [{ layout: "nhwc" }, RangeError, /layout must be "NCHW" or "NHWC", got "nhwc"$/],
      [{ strides: 2 }, TypeError, /convParam has no "strides"/],
      [{ kernel: 2 }, TypeError, /convParam has no "kernel"/],
      [null, TypeError, /convParam must be an object, got null$/],
    ] as const) {
      for (const forward of [conv2dForward, convTranspose2dForward] as unknown as Forward[]) {
        let error: unknown;
        try {
          forward(x, filters, null, param as object);
        } catch (thrown) {
          error = thrown;
        }
        expect(error, JSON.stringify(param)).toBeInstanceOf(type);
        expect((error as Error).message).toMatch(message);
      }
    }
    expect(() => conv2dForward(x, filters, null, { outputPadding: 1 } as object)).toThrow(
      TypeError,
    );
    const transposed = (param: object) => () => convTranspose2dForward(x, filters, null, param);
    expect(transposed({ outputPadding: 1 })).toThrow(
      new RangeError(
        "convTranspose2dForward: outputPadding must be below the stride or the dilation, which is 1, got 1",
      ),
    );
    expect(transposed({ outputPadding: 1, stride: 2, padding: "same" })).toThrow(
      new RangeError(
        'convTranspose2dForward: outputPadding must be 0 where padding is "same", got 1',
      ),
    );
    expect(transposed({ outputPadding: -1 })).toThrow(RangeError);
  });

  test("a cache of one convolution is none of another", () => {
    const { out, cache } = conv2dForward(x, w(6, 6, 1, 1), null);
    expect(() => convTranspose2dBackward(out, cache)).toThrow(
      new TypeError(
        "convTranspose2dBackward: cache must be the one that convTranspose2dForward returned, got that of conv2dForward",
      ),
    );
    expect(() => conv1dBackward(out, cache)).toThrow(TypeError);
  });
});
