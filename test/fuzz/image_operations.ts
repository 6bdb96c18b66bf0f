// The rows of the table (operations.ts) for images, norms, and what moves and combines arrays.

import {
  addBackward,
  addForward,
  avgPool1dBackward,
  avgPool1dForward,
  avgPool2dBackward,
  avgPool2dForward,
  type Cache,
  concatBackward,
  concatForward,
  conv1dBackward,
  conv1dForward,
  conv2dBackward,
  conv2dForward,
  convTranspose2dBackward,
  convTranspose2dForward,
  globalAvgPoolBackward,
  globalAvgPoolForward,
  groupnormBackward,
  groupnormForward,
  layernormBackward,
  layernormForward,
  maxPool1dBackward,
  maxPool1dForward,
  maxPool2dBackward,
  maxPool2dForward,
  multiplyBackward,
  multiplyForward,
  permuteBackward,
  permuteForward,
  type Tensor,
  upsample2dBackward,
  upsample2dForward,
  zeroPad2dBackward,
  zeroPad2dForward,
} from "../../src/index.ts";
import { placeTransposed, placeWindow } from "../../src/tensor/window.ts";
import type { Image, Windows } from "../support/images.ts";
import * as twins from "../support/images.ts";
import * as reference from "../support/reference.ts";
import type { Draw, Shape } from "./draw.ts";
import type {
  ErrorName,
  Expected,
  FloatTensor,
  Operation,
  Precision,
  Results,
  Settings,
  Shapes,
  Twin,
  Values,
} from "./operations.ts";

// biome-ignore lint/suspicious/noExplicitAny: calls by their rows, whose types are their own
type Any = any;

const sizeOf = (shape: Shape) => shape.reduce((a, b) => a * b, 1);
const same = (a: Shape, b: Shape) => a.length === b.length && a.every((n, i) => n === b[i]);
const finite = (values: ArrayLike<number>) =>
  Array.from(values, (v) => (Number.isFinite(v) ? Math.abs(v) : 0));
const roundings = (values: ArrayLike<number>, count: number, { epsilon, tiny }: Precision) =>
  Array.from(values, (v) => count * (epsilon * Math.abs(v) + tiny) || 0);

/**
 * A forward of one operand and its backward, whose cache holds no tensor: `shape` is what comes
 * out, or the name of an error.
 */
function pair(
  name: string,
  call: (
    x: FloatTensor,
    settings: Settings,
    to: object | undefined,
  ) => { out: Tensor; cache: Cache },
  back: (dout: FloatTensor, cache: Any, to: object | undefined) => Tensor,
  operand: (draw: Draw) => Shape,
  settings: (draw: Draw, shapes: Shapes) => Settings,
  wrong: Operation["wrong"],
  outShape: (x: Shape, settings: Settings) => Shape | ErrorName,
  twin: {
    forward(given: Twin): Expected;
    backward(given: Twin): Expected;
  },
): Operation[] {
  const outOf = ({ x }: Shapes, settings: Settings) => outShape(x!, settings);
  // A backward's dout is as large as its settings say, which are drawn after it: they are kept.
  const drawn = new WeakMap<Shapes, Settings>();
  return [
    {
      name: `${name}Forward`,
      operands: (draw) => ({ x: operand(draw) }),
      fits(shapes, settings) {
        const out = outOf(shapes, settings);
        return typeof out === "string" ? out : true;
      },
      settings,
      ...(wrong && { wrong }),
      destinations: (shapes, settings) => ({ out: outOf(shapes, settings) as Shape }),
      run: ({ t, to, settings }) => ({ out: call(t.x!, settings, to).out }),
      twin: (given) => ({ out: twin.forward(given) }),
    },
    {
      name: `${name}Backward`,
      operands(draw) {
        const x = operand(draw);
        const made = settings(draw, { x });
        const out = outShape(x, made);
        const shapes = { x, dout: out as Shape };
        drawn.set(shapes, made);
        return shapes;
      },
      settings: (_, shapes) => drawn.get(shapes)!,
      saved: ["x"],
      fits: ({ x, dout }, settings) => same(outShape(x!, settings) as Shape, dout!) || "ShapeError",
      destinations: ({ x }) => ({ dx: x! }),
      mayShare: (_, operand) => operand === "x",
      prepare: (t, settings) => ({ cache: call(t.x!, settings, undefined).cache }),
      run: ({ t, to, cache }) => ({ dx: back(t.dout!, cache, to) }),
      twin: (given) => ({ dx: twin.backward(given) }),
    },
  ];
}

const image = (draw: Draw): Shape => [
  ...[draw.int(0, 2), draw.pick([1, 2, 3, 5])],
  ...[Math.min(draw.int(1, 6), draw.dim(1)), Math.min(draw.int(1, 6), draw.dim(1))],
];

/** As the twins have it; of a sequence with a height of 1. */
function imageOf(shape: Shape, isLast: boolean): Image {
  const [N = 0, ...rest] = shape;
  const spatial = isLast ? rest.slice(0, -1) : rest.slice(1);
  const C = (isLast ? rest.at(-1) : rest[0]) as number;
  const [H = 1, W = 1] = spatial.length === 1 ? [1, spatial[0]!] : spatial;
  return { N, C, H, W, isLast };
}

/** The windows that settings say, or the name of an error. */
function windowsOf(x: Shape, settings: Settings, rank: number): Windows | ErrorName {
  if (x.length !== rank) return "ShapeError";
  const { kernel, stride = kernel, dilation = [1, 1], padding, ceil, isAverage } = settings;
  const { H, W } = imageOf(x, settings.layout === "NHWC");
  const edges = padding === "same" ? padding : ([padding, padding, padding, padding] as const);
  const sliding = { kernel, stride, dilation, padding: edges };
  const found = placeWindow([H, W], sliding, 2, { ceil, everywhere: isAverage });
  if (typeof found === "string") return "ShapeError";
  const far = (axis: 0 | 1, size: number, before: number) =>
    edges === "same"
      ? Math.max((found.out[axis] - 1) * stride[axis] + kernel[axis] - size - before, 0)
      : edges[axis + 2]!;
  const { top, left, out } = found;
  return { kernel, stride, dilation, out, edges: [top, left, far(0, H, top), far(1, W, left)] };
}

function outOf(x: Shape, settings: Settings): Shape | ErrorName {
  const windows = windowsOf(x, settings, 4);
  if (typeof windows === "string") return windows;
  const [N = 0] = x;
  const isLast = settings.layout === "NHWC";
  const { C } = imageOf(x, isLast);
  return isLast ? [N, ...windows.out, C] : [N, C, ...windows.out];
}

const pooling =
  (isAverage: boolean) =>
  (draw: Draw, { x }: Shapes) => {
    for (;;) {
      const two = () => [draw.int(1, 3), draw.int(1, 3)];
      const settings = {
        ...{ kernel: two(), stride: two(), padding: draw.pick([0, 0, 1, "same"]), isAverage },
        layout: draw.pick(["NCHW", "NHWC"]),
        ceil: draw.chance(0.3),
        ...(isAverage
          ? { countPadding: draw.chance(0.3) }
          : { dilation: draw.chance(0.3) ? two() : [1, 1] }),
      };
      // A shape may be spoilt later; to begin with there is something that comes out.
      if (typeof outOf(x!, settings) !== "string") return settings;
    }
  };

const poolParam = ({ isAverage: _, ...settings }: Settings) => settings;

const wrongPool = [
  ...[0, -1, 1.5, NaN, "2", null, [1], [1, 0]].map((kernel) => [{ kernel }, "RangeError"] as const),
  ...[0, null, [1, 2, 3]].map((stride) => [{ stride }, "RangeError"] as const),
  ...[-1, 0.5, "SAME", null, [1]].map((padding) => [{ padding }, "RangeError"] as const),
  ...["nchw", "", null, 3].map((layout) => [{ layout }, "RangeError"] as const),
  [{ ceil: 1 }, "RangeError"] as const,
  [{ strides: 1 }, "TypeError"] as const,
];

const divisorOf = ({ countPadding }: Settings): twins.Divisor =>
  countPadding ? "padded" : "image";

/** Sums of windows: rounded once for each cell, and a number on the way before they are divided. */
function averaged(
  { v, shapes, settings, precision }: Twin,
  operand: "x" | "dout",
  fn: typeof twins.averagePoolForward,
  divisor: twins.Divisor = divisorOf(settings),
  image = imageOf(shapes.x!, settings.layout === "NHWC"),
  windows = windowsOf(shapes.x!, settings, 4) as Windows,
): Expected {
  const values = fn(v[operand]!, image, windows, divisor);
  const size = fn(finite(v[operand]!), image, windows, divisor);
  const scale = fn(finite(v[operand]!), image, windows, "nothing");
  return { values, scale, loose: true, bound: roundings(size, 40, precision) };
}

/** Nearest upsampling is what a sum over blocks spreads, and the other way round. */
const blocksOf = ({ x }: Shapes, { scale, layout }: Settings) => {
  const image = imageOf(x!, layout === "NHWC");
  const large = { ...image, H: image.H * scale[0], W: image.W * scale[1] };
  return { large, blocks: twins.blocks(large, scale) };
};

const scaled = (x: Shape, { scale, layout }: Settings): Shape | ErrorName => {
  if (x.length !== 4) return "ShapeError";
  const { N, C, H, W } = imageOf(x, layout === "NHWC");
  if (H * W === 0) return "ShapeError";
  const size = [H * scale[0], W * scale[1]];
  return layout === "NHWC" ? [N, ...size, C] : [N, C, ...size];
};

const padded = (x: Shape, { padding, layout }: Settings): Shape | ErrorName => {
  if (x.length !== 4) return "ShapeError";
  const { N, C, H, W } = imageOf(x, layout === "NHWC");
  const size = [padding.top + H + padding.bottom, padding.left + W + padding.right];
  if (size[0]! * size[1]! === 0) return "ShapeError";
  return layout === "NHWC" ? [N, ...size, C] : [N, C, ...size];
};

const placesOf = ({ x }: Shapes, { padding, layout }: Settings) => {
  const { top, left, bottom, right } = padding;
  return twins.paddedPlaces(imageOf(x!, layout === "NHWC"), [top, left, bottom, right]);
};

const permuted = (x: Shape, { axes }: Settings): Shape | ErrorName =>
  axes.length === x.length ? axes.map((axis: number) => x[axis]!) : "ShapeError";

/** Whether all numbers of a normalisation are of ordinary size, and what it magnifies them by. */
function magnified(x: ArrayLike<number>, { places }: twins.Group, eps: number): number {
  const values = places.map((place) => x[place]!);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  const most = Math.max(1, ...values.map(Math.abs));
  const by = most / Math.sqrt(variance + eps);
  return most < 1e6 && by < 1e4 ? by : Infinity;
}

/** A normalisation with a gain and a bias: forward and backward. */
function norm(
  name: "layernorm" | "groupnorm",
  operands: (draw: Draw) => { x: Shape; gamma: Shape; beta: Shape },
  fits: (shapes: Shapes, settings: Settings) => true | ErrorName,
  settings: (draw: Draw, shapes: Shapes) => Settings,
  wrong: Operation["wrong"],
  groupsOf: (shapes: Shapes, settings: Settings) => twins.Group[],
): Operation[] {
  const forward = (name === "layernorm" ? layernormForward : groupnormForward) as Any;
  const backward = (name === "layernorm" ? layernormBackward : groupnormBackward) as Any;
  /** NaN and no scale where a result is not held to anything. */
  const bounded = (values: number[], size: number, wild: boolean[], precision: Precision) => ({
    values,
    loose: true,
    bound: values.map((_, i) =>
      wild[i] ? NaN : 400 * (precision.epsilon * size + precision.tiny),
    ),
    scale: values.map((_, i) => (wild[i] ? Infinity : 0)),
  });
  const isTame = (values: ArrayLike<number>) => Array.from(values).every((v) => Math.abs(v) < 1e6);
  function measure({ v, shapes, settings }: Twin) {
    const groups = groupsOf(shapes, settings);
    const eps = settings.eps ?? 1e-5;
    const by: number[] = [];
    for (const group of groups) {
      const most = magnified(v.x!, group, eps);
      for (const place of group.places) by[place] = most;
    }
    return { groups, eps, by };
  }
  const most = (values: ArrayLike<number>) => Math.max(1, ...finite(values));
  return [
    {
      name: `${name}Forward`,
      operands,
      fits,
      settings,
      ...(wrong && { wrong }),
      destinations: ({ x }) => ({ out: x! }),
      run: ({ t, to, settings }) => ({ out: forward(t.x, t.gamma, t.beta, settings, to).out }),
      twin(given) {
        const { v, precision } = given;
        const { groups, eps, by } = measure(given);
        const values = twins.groupsForward(v.x!, v.gamma!, v.beta!, groups, eps);
        const isWild = !(isTame(v.gamma!) && isTame(v.beta!));
        const wild = values.map((_, i) => isWild || !(by[i]! < Infinity));
        const largest = Math.max(1, ...by.filter((each) => each < Infinity));
        const size = largest * most(v.gamma!) + most(v.beta!);
        return { out: bounded(values, size, wild, precision) };
      },
    },
    {
      name: `${name}Backward`,
      operands(draw) {
        const shapes = operands(draw);
        return { ...shapes, dout: shapes.x };
      },
      saved: ["x", "gamma", "beta"],
      fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
      settings,
      destinations: ({ x, gamma }) => ({ dx: x!, dgamma: gamma!, dbeta: gamma! }),
      optional: ["dx", "dgamma", "dbeta"],
      mayShare: (_, operand) => operand === "beta",
      prepare: (t, settings) => forward(t.x, t.gamma, t.beta, settings),
      run: ({ t, to, cache }) => backward(t.dout, cache, to) as Results,
      twin(given) {
        const { v, precision } = given;
        const { groups, eps, by } = measure(given);
        const values = twins.groupsBackward(v.dout!, v.x!, v.gamma!, groups, eps);
        const isWild = !(isTame(v.gamma!) && isTame(v.dout!));
        const anyWild = isWild || by.some((each) => !(each < Infinity));
        const largest = Math.max(1, ...by.filter((each) => each < Infinity));
        const size = largest ** 2 * most(v.gamma!) * most(v.dout!) * (1 + v.x!.length);
        const all = (of: number[], wild: (i: number) => boolean) =>
          bounded(
            of,
            size,
            of.map((_, i) => wild(i)),
            precision,
          );
        return {
          dx: all(values.dx, (i) => isWild || !(by[i]! < Infinity)),
          dgamma: all(values.dgamma, () => anyWild),
          dbeta: all(values.dbeta, () => anyWild),
        };
      },
    },
  ];
}

/** Two shapes that are broadcast together. */
function broadcastOperands(draw: Draw): { a: Shape; b: Shape } {
  const out = draw.shape(0, 3);
  const lose = (shape: Shape) =>
    shape.slice(draw.int(0, shape.length)).map((length) => (draw.chance(0.3) ? 1 : length));
  return draw.chance(0.3) ? { a: out, b: out } : { a: lose(out), b: lose(out) };
}

function joined({ a, b }: Shapes): Shape | ErrorName {
  const rank = Math.max(a!.length, b!.length);
  const lengths = [a!, b!].map((shape) => [...Array(rank - shape.length).fill(1), ...shape]);
  const fits = lengths[0]!.every((n, k) => n === lengths[1]![k] || n === 1 || lengths[1]![k] === 1);
  return fits ? lengths[0]!.map((n, k) => (n === 1 ? lengths[1]![k] : n)) : "ShapeError";
}

function broadcast(name: "add" | "multiply"): Operation[] {
  const isProduct = name === "multiply";
  const forward = (isProduct ? multiplyForward : addForward) as Any;
  const backward = (isProduct ? multiplyBackward : addBackward) as Any;
  return [
    {
      name: `${name}Forward`,
      operands: broadcastOperands,
      fits(shapes) {
        const out = joined(shapes);
        return typeof out === "string" ? out : true;
      },
      destinations: (shapes) => ({ out: joined(shapes) as Shape }),
      mayShare: () => !isProduct,
      run: ({ t, to }) => ({ out: forward(t.a, t.b, to).out }),
      twin({ v, shapes, precision: { round } }) {
        const out = joined(shapes) as Shape;
        const [a, b] = (["a", "b"] as const).map((key) => {
          const places = twins.broadcastPlaces(shapes[key]!, out);
          return sizeOf(out) === 0 ? [] : places.map((place) => v[key]![place]!);
        });
        const values = a!.map((value, i) => round(isProduct ? value * b![i]! : value + b![i]!));
        return { out: { values } };
      },
    },
    {
      name: `${name}Backward`,
      operands(draw) {
        const shapes = broadcastOperands(draw);
        return { ...shapes, dout: joined(shapes) as Shape };
      },
      saved: ["a", "b"],
      fits: (shapes) => same(joined(shapes) as Shape, shapes.dout!) || "ShapeError",
      destinations: ({ a, b }) => ({ da: a!, db: b! }),
      optional: ["da", "db"],
      mayShare: (_, operand) => !isProduct && operand !== "dout",
      prepare: (t) => forward(t.a, t.b),
      run: ({ t, to, cache }) => backward(t.dout, cache, to) as Results,
      twin({ v, shapes, precision }) {
        const gradient = (own: "a" | "b", other: "a" | "b"): Expected => {
          const n = sizeOf(shapes[own]!);
          const [values, scale] = [0, 0].map(() => new Array<number>(n).fill(0));
          if (sizeOf(shapes.dout!) > 0) {
            const places = twins.broadcastPlaces(shapes[own]!, shapes.dout!);
            const others = twins.broadcastPlaces(shapes[other]!, shapes.dout!);
            for (const [i, place] of places.entries()) {
              const term = v.dout![i]! * (isProduct ? v[other]![others[i]!]! : 1);
              values![place]! += term;
              if (Number.isFinite(term)) scale![place]! += Math.abs(term);
            }
          }
          return {
            values: values!,
            scale: scale!,
            loose: true,
            bound: roundings(scale!, 8 + n, precision),
          };
        };
        return { da: gradient("a", "b"), db: gradient("b", "a") };
      },
    },
  ];
}

/** A concatenation of two. */
const concatenated: Operation[] = (() => {
  const placeOf = ({ a }: Shapes, { axis = -1 }: Settings) => (axis < 0 ? axis + a!.length : axis);
  const outOf = (shapes: Shapes, settings: Settings): Shape | ErrorName => {
    const { a, b } = shapes;
    const place = placeOf(shapes, settings);
    if (place < 0 || place >= a!.length || a!.length !== b!.length) return "ShapeError";
    if (!a!.every((n, k) => k === place || n === b![k])) return "ShapeError";
    return a!.map((n, k) => (k === place ? n + b![k]! : n));
  };
  const operands = (draw: Draw) => {
    const a = draw.shape(1, 3);
    return { a, b: [...a.slice(0, -1), draw.dim()] };
  };
  /** The parts one behind the other, by the places of both in what comes out. */
  const placesOf = (shapes: Shapes, settings: Settings) => {
    const place = placeOf(shapes, settings);
    const rows = sizeOf(shapes.a!.slice(0, place));
    const [first, second] = [shapes.a!, shapes.b!].map((shape) => sizeOf(shape.slice(place)));
    const line = first! + second!;
    const places = (n: number, from: number) =>
      Array.from({ length: rows * n }, (_, i) => Math.floor(i / n) * line + from + (i % n));
    return { a: places(first!, 0), b: places(second!, first!) };
  };
  const settings = (draw: Draw, { a, b }: Shapes) => {
    const axes = a!.flatMap((_, k) =>
      typeof outOf({ a: a!, b: b! }, { axis: k }) === "string" ? [] : [k, k - a!.length],
    );
    return { axis: draw.pick([undefined, ...axes]) };
  };
  return [
    {
      name: "concatForward",
      operands,
      fits(shapes, settings) {
        const out = outOf(shapes, settings);
        return typeof out === "string" ? out : true;
      },
      settings,
      wrong: [0.5, NaN, "0", null].map((axis) => [{ axis }, "RangeError"] as const),
      destinations: (shapes, settings) => ({ out: outOf(shapes, settings) as Shape }),
      run: ({ t, to, settings }) => ({
        out: concatForward([t.a!, t.b!] as FloatTensor[], { ...settings, ...to } as Any).out,
      }),
      twin({ v, shapes, settings }) {
        const places = placesOf(shapes, settings);
        const values = new Array<number>(sizeOf(outOf(shapes, settings) as Shape));
        for (const key of ["a", "b"] as const) {
          for (const [i, place] of places[key].entries()) values[place] = v[key]![i]!;
        }
        return { out: { values } };
      },
    },
    {
      name: "concatBackward",
      operands(draw) {
        const shapes = operands(draw);
        return { ...shapes, dout: outOf(shapes, {}) as Shape };
      },
      saved: ["a", "b"],
      fits: (shapes) => same(outOf(shapes, {}) as Shape, shapes.dout!) || "ShapeError",
      destinations: ({ a, b }) => ({ da: a!, db: b! }),
      optional: ["da", "db"],
      mayShare: (_, operand) => operand !== "dout",
      prepare: (t) => concatForward([t.a!, t.b!] as FloatTensor[]),
      run({ t, to, cache }) {
        const dx = to && ("da" in to || "db" in to) ? { dx: [to.da, to.db] } : {};
        const [da, db] = concatBackward(t.dout!, cache as Any, dx as Any);
        return { da, db } as Results;
      },
      twin({ v, shapes }) {
        const places = placesOf(shapes, {});
        const part = (key: "a" | "b") => ({ values: places[key].map((place) => v.dout![place]!) });
        return { da: part("a"), db: part("b") };
      },
    },
  ];
})();

/**
 * A convolution of images or sequences, or a transposed one: forward and backward. A sequence is an
 * image of height 1.
 */
function convolved(kind: "conv1d" | "conv2d" | "convTranspose2d"): Operation[] {
  const isTransposed = kind === "convTranspose2d";
  const isLine = kind === "conv1d";
  const [forward, backward] = {
    conv1d: [conv1dForward, conv1dBackward],
    conv2d: [conv2dForward, conv2dBackward],
    convTranspose2d: [convTranspose2dForward, convTranspose2dBackward],
  }[kind] as [Any, Any];
  const twin = isTransposed
    ? { forward: reference.convTranspose2dForward, backward: reference.convTranspose2dBackward }
    : { forward: reference.conv2dForward, backward: reference.conv2dBackward };

  const lastOf = ({ layout }: Settings) => layout.endsWith("C");
  /** The shape of the image that a sequence is, and of filters of height 1. */
  const lifted = (shape: Shape, at: number): Shape =>
    isLine && shape.length === 3 ? [...shape.slice(0, at), 1, ...shape.slice(at)] : shape;
  const liftedImage = (shape: Shape, isLast: boolean) => lifted(shape, isLast ? 1 : 2);
  const liftedFilter = (shape: Shape, isLast: boolean) => lifted(shape, isLast ? 0 : 2);
  const flat = (shape: Shape, at: number): Shape =>
    isLine ? [...shape.slice(0, at), ...shape.slice(at + 1)] : shape;

  /** The twin's window and the shape of what comes out, or the name of an error. */
  function placedOf(shapes: Shapes, settings: Settings) {
    const rank = isLine ? 3 : 4;
    const { b } = shapes;
    if (shapes.x!.length !== rank || shapes.w!.length !== rank || b!.length !== 1) {
      return "ShapeError";
    }
    const { padding, groups, outputPadding = 0 } = settings;
    const pair = (value: Any) => (isLine ? ([1, value] as const) : value);
    const [stride, dilation] = [pair(settings.stride), pair(settings.dilation)];
    const isLast = lastOf(settings);
    const [x, w] = [liftedImage(shapes.x!, isLast), liftedFilter(shapes.w!, isLast)];
    const { N, C, H, W } = imageOf(x!, isLast);
    const [KH, KW, depth, filters] = (isLast ? w! : [w![2], w![3], w![1], w![0]]) as [
      ...[number, number, number, number],
    ];
    const F = isTransposed ? depth * groups : filters;
    const taken = isTransposed ? filters : depth * groups;
    if (KH * KW === 0 || taken !== C || filters % groups !== 0 || b![0] !== F) return "ShapeError";
    const upright = isLine ? 0 : padding;
    const edges = padding === "same" ? padding : ([upright, padding, upright, padding] as const);
    const sliding = { kernel: [KH, KW] as const, stride, dilation, padding: edges };
    const more = [outputPadding, outputPadding] as const;
    const found = isTransposed
      ? placeTransposed([H, W], sliding, more, 2)
      : placeWindow([H, W], sliding, 2);
    if (typeof found === "string") return "ShapeError";
    const { out, top, left } = found;
    const [large, small] = isTransposed ? [out, [H, W] as const] : [[H, W] as const, out];
    const window: reference.WindowSizes = {
      ...{ H: large[0], W: large[1], OH: small[0], OW: small[1] },
      ...(isTransposed ? { C: F, F: C } : { C, F }),
      ...{ KH, KW, SH: stride[0], SW: stride[1], DH: dilation[0], DW: dilation[1] },
      ...{ top, left, groups },
    };
    return { window, N, isLast, x, w, out: isLast ? [N, ...out, F] : [N, F, ...out] };
  }
  type Placed = Exclude<ReturnType<typeof placedOf>, string>;
  const outOf = (shapes: Shapes, settings: Settings): Shape => {
    const { out, isLast } = placedOf(shapes, settings) as Placed;
    return flat(out, isLast ? 1 : 2);
  };

  // Shapes and settings fit each other as they are drawn: the settings are kept.
  const drawn = new WeakMap<Shapes, Settings>();
  function operands(draw: Draw): Shapes {
    for (;;) {
      const groups = draw.pick([1, 1, 1, 2, 3]);
      const depth = draw.pick([1, 2, 3]);
      const columns = draw.pick([1, 2, 4]);
      const [N = 0, , H = 1, W = 1] = image(draw);
      const [C, F] = [groups * depth, groups * columns];
      const two = () => [draw.int(1, 3), draw.int(1, 3)];
      const size = () => (isLine ? draw.int(1, 3) : two());
      const kernel = isLine ? [1, draw.int(1, 3)] : two();
      const layout = draw.pick(isLine ? ["NCL", "NLC"] : ["NCHW", "NHWC"]);
      const settings = {
        ...{ groups, layout, stride: size(), padding: draw.pick([0, 1, 2, "same"]) },
        dilation: draw.chance(0.3) ? size() : isLine ? 1 : [1, 1],
      };
      const [filters, each] = isTransposed ? [C, columns] : [F, depth];
      const isLast = lastOf(settings);
      const shapes = {
        x: flat(isLast ? [N, H, W, C] : [N, C, H, W], isLast ? 1 : 2),
        w: flat(isLast ? [...kernel, each, filters] : [filters, each, ...kernel], isLast ? 0 : 2),
        b: [F],
      };
      if (typeof placedOf(shapes, settings) === "string") continue;
      drawn.set(shapes, settings);
      return shapes;
    }
  }

  const toLast = (values: ArrayLike<number>, shape: Shape, isLast: boolean, order: number[]) =>
    isLast ? Array.from(values) : twins.permutedPlaces(shape, order).map((place) => values[place]!);
  /** A twin's array in the order of the call: `shape` is the call's own. */
  function fromLast(values: number[], shape: Shape, isLast: boolean, order: number[]): number[] {
    if (isLast) return values;
    const out = new Array<number>(values.length);
    for (const [i, place] of twins.permutedPlaces(shape, order).entries()) {
      if (i < values.length) out[place] = values[i]!;
    }
    return out;
  }
  const [IMAGE, FILTER] = [
    [0, 2, 3, 1],
    [2, 3, 1, 0],
  ];
  const summed = (
    values: number[],
    scale: number[],
    terms: number,
    precision: Precision,
  ): Expected => ({ values, scale, loose: true, bound: roundings(scale, terms + 4, precision) });
  const wrong = [
    ...[0, -1, 1.5, NaN, "2", null, [1], [1, 0]].map(
      (stride) => [{ stride }, "RangeError"] as const,
    ),
    ...[0, null, [1, 2, 3]].map((dilation) => [{ dilation }, "RangeError"] as const),
    ...[-1, 0.5, "SAME", null, [1]].map((padding) => [{ padding }, "RangeError"] as const),
    ...[0, -1, 1.5, NaN, "1", null].map((groups) => [{ groups }, "RangeError"] as const),
    ...["nchw", "", null, 3].map((layout) => [{ layout }, "RangeError"] as const),
    [{ strides: 1 }, "TypeError"] as const,
  ];
  return [
    {
      name: `${kind}Forward`,
      operands,
      nullable: ["b"],
      fits(shapes, settings) {
        const found = placedOf(shapes, settings);
        return typeof found === "string" ? (found as ErrorName) : true;
      },
      settings: (_, shapes) => drawn.get(shapes)!,
      wrong,
      destinations: (shapes, settings) => ({ out: outOf(shapes, settings) }),
      run: ({ t, to, settings }) => ({ out: forward(t.x, t.w, t.b, settings, to).out }),
      twin({ v, shapes, settings, precision }) {
        const { window: s, N, isLast, out, ...shape } = placedOf(shapes, settings) as Placed;
        const x = toLast(v.x!, shape.x, isLast, IMAGE!);
        const w = toLast(v.w!, shape.w, isLast, FILTER!);
        const terms = s.KH * s.KW * Math.max(s.C, s.F) + 1;
        const made = (values: number[]) => fromLast(values, out, isLast, IMAGE!);
        const values = made(twin.forward(x, w, v.b!, s, N));
        const scale = made(twin.forward(finite(x), finite(w), finite(v.b!), s, N));
        return { out: summed(values, scale, terms, precision) };
      },
    },
    {
      name: `${kind}Backward`,
      operands(draw) {
        const shapes = operands(draw);
        const settings = drawn.get(shapes)!;
        const all = { ...shapes, dout: outOf(shapes, settings) };
        drawn.set(all, settings);
        return all;
      },
      settings: (_, shapes) => drawn.get(shapes)!,
      saved: ["x", "w", "b"],
      fits: (shapes, settings) => same(outOf(shapes, settings), shapes.dout!) || "ShapeError",
      destinations: ({ x, w, b }) => ({ dx: x!, dw: w!, db: b! }),
      optional: ["dx", "dw", "db"],
      prepare: (t, settings) => forward(t.x, t.w, t.b, settings),
      run: ({ t, to, cache }) => backward(t.dout, cache, to) as Results,
      twin({ v, shapes, settings, precision }) {
        const { window: s, N, isLast, out, ...shape } = placedOf(shapes, settings) as Placed;
        const x = toLast(v.x!, shape.x, isLast, IMAGE!);
        const w = toLast(v.w!, shape.w, isLast, FILTER!);
        const dout = toLast(v.dout!, out, isLast, IMAGE!);
        const all = twin.backward(dout, x, w, s, N);
        const scale = twin.backward(finite(dout), finite(x), finite(w), s, N);
        const terms = s.KH * s.KW * Math.max(s.C, s.F);
        const places = N * Math.max(s.OH * s.OW, s.H * s.W);
        const dx = (values: number[]) => fromLast(values, shape.x, isLast, IMAGE!);
        const dw = (values: number[]) => fromLast(values, shape.w, isLast, FILTER!);
        return {
          dx: summed(dx(all.dx), dx(scale.dx), terms, precision),
          dw: summed(dw(all.dw), dw(scale.dw), places, precision),
          db: summed(all.db, scale.db, places, precision),
        };
      },
    },
  ];
}

export const imageOperations: readonly Operation[] = [
  ...convolved("conv2d"),
  ...convolved("conv1d"),
  ...convolved("convTranspose2d"),
  ...pair(
    "maxPool2d",
    (x, settings, to) => maxPool2dForward(x, poolParam(settings), to),
    maxPool2dBackward as Any,
    image,
    pooling(false),
    wrongPool,
    outOf,
    {
      forward({ v, shapes, settings }) {
        const windows = windowsOf(shapes.x!, settings, 4) as Windows;
        const { out } = twins.maxPoolForward(
          v.x!,
          imageOf(shapes.x!, settings.layout === "NHWC"),
          windows,
        );
        return { values: out };
      },
      backward({ v, shapes, settings, precision }) {
        const windows = windowsOf(shapes.x!, settings, 4) as Windows;
        const of = imageOf(shapes.x!, settings.layout === "NHWC");
        const { argmax } = twins.maxPoolForward(v.x!, of, windows);
        const values = twins.maxPoolBackward(v.dout!, argmax, of, windows);
        const scale = twins.maxPoolBackward(finite(v.dout!), argmax, of, windows);
        return { values, scale, loose: true, bound: roundings(scale, 10, precision) };
      },
    },
  ),
  ...pair(
    "avgPool2d",
    (x, settings, to) => avgPool2dForward(x, poolParam(settings), to),
    avgPool2dBackward as Any,
    image,
    pooling(true),
    [...wrongPool, [{ dilation: 1 }, "TypeError"], [{ countPadding: 1 }, "RangeError"]],
    outOf,
    {
      forward: (given) => averaged(given, "x", twins.averagePoolForward),
      backward: (given) => averaged(given, "dout", twins.averagePoolBackward),
    },
  ),
  ...pair(
    "maxPool1d",
    (x, { kernel }, to) => maxPool1dForward(x, { kernel }, to),
    maxPool1dBackward as Any,
    (draw) => [draw.int(0, 2), draw.dim(1), draw.dim(1)],
    (draw, { x }) => ({ kernel: draw.int(1, x![2]!) }),
    [0, [1, 1], null].map((kernel) => [{ kernel }, "RangeError"] as const),
    (x, { kernel }) =>
      x.length !== 3 || x[2]! < kernel ? "ShapeError" : [x[0]!, x[1]!, Math.floor(x[2]! / kernel)],
    {
      forward: ({ v, shapes, settings }) => ({ values: linesOf(v, shapes, settings).out }),
      backward({ v, shapes, settings }) {
        const { argmax, of, windows } = linesOf(v, shapes, settings);
        // No two windows overlap.
        return { values: twins.maxPoolBackward(v.dout!, argmax, of, windows) };
      },
    },
  ),
  ...pair(
    "avgPool1d",
    (x, { kernel }, to) => avgPool1dForward(x, { kernel }, to),
    avgPool1dBackward as Any,
    (draw) => [draw.int(0, 2), draw.dim(1), draw.dim(1)],
    (draw, { x }) => ({ kernel: draw.int(1, x![2]!) }),
    [0, [1, 1], null].map((kernel) => [{ kernel }, "RangeError"] as const),
    (x, { kernel }) =>
      x.length !== 3 || x[2]! < kernel ? "ShapeError" : [x[0]!, x[1]!, Math.floor(x[2]! / kernel)],
    {
      forward: (given) => averagedLines(given, "x", twins.averagePoolForward),
      backward: (given) => averagedLines(given, "dout", twins.averagePoolBackward),
    },
  ),
  ...pair(
    "globalAvgPool",
    (x, { layout }, to) => globalAvgPoolForward(x, { layout, ...to } as Any),
    globalAvgPoolBackward as Any,
    (draw) => [draw.int(0, 2), draw.pick([1, 2, 3, 5]), ...draw.shape(0, 2).map((n) => n || 1)],
    (draw) => ({ layout: draw.pick([undefined, "NCHW", "NHWC", "NLC"]) }),
    ["nchw", null, 1].map((layout) => [{ layout }, "RangeError"] as const),
    (x, { layout }) => {
      const isLast = /C$/.test(layout ?? "");
      if (x.length < 2 || sizeOf(isLast ? x.slice(1, -1) : x.slice(2)) === 0) return "ShapeError";
      return [x[0]!, (isLast ? x.at(-1) : x[1])!];
    },
    {
      forward({ v, shapes, settings, precision }) {
        const { of, windows, S } = wholeOf(shapes, settings);
        const values = twins.averagePoolForward(v.x!, of, windows, "image");
        const size = twins.averagePoolForward(finite(v.x!), of, windows, "image");
        // Differences from a row's first value are sums on the way.
        const most = Math.max(0, ...finite(v.x!));
        return {
          ...{ values, loose: true, scale: size.map(() => 4 * S * most) },
          bound: size.map((s) => 40 * (precision.epsilon * (s + most) + precision.tiny)),
        };
      },
      backward({ v, shapes, settings, precision }) {
        const { of, windows } = wholeOf(shapes, settings);
        const values = twins.averagePoolBackward(v.dout!, of, windows, "image");
        return { values, bound: roundings(values, 2, precision) };
      },
    },
  ),
  ...pair(
    "zeroPad2d",
    (x, { padding, layout }, to) => zeroPad2dForward(x, padding, { layout, ...to } as Any),
    zeroPad2dBackward as Any,
    image,
    (draw) => ({
      padding: { top: draw.int(0, 2), left: draw.int(0, 2), bottom: draw.int(0, 2), right: 1 },
      layout: draw.pick(["NCHW", "NHWC"]),
    }),
    [
      ...["same", -1, 0.5, null, undefined, [1]].map(
        (padding) => [{ padding }, "RangeError"] as const,
      ),
      [{ padding: { up: 1 } }, "TypeError"],
      [{ layout: "" }, "RangeError"],
    ],
    padded,
    {
      forward({ v, shapes, settings }) {
        const { size, places } = placesOf(shapes, settings);
        const values = new Array<number>(size).fill(0);
        for (const [i, place] of places.entries()) values[place] = v.x![i]!;
        return { values };
      },
      backward: ({ v, shapes, settings }) => ({
        values: placesOf(shapes, settings).places.map((place) => v.dout![place]!),
      }),
    },
  ),
  ...pair(
    "upsample2d",
    (x, settings, to) => upsample2dForward(x, settings, to),
    upsample2dBackward as Any,
    image,
    (draw) => ({
      scale: [draw.int(1, 3), draw.int(1, 3)],
      layout: draw.pick(["NCHW", "NHWC"]),
    }),
    [
      ...[0, 1.5, null, [2]].map((scale) => [{ scale }, "RangeError"] as const),
      [{ scales: 2 }, "TypeError"],
    ],
    scaled,
    {
      forward({ v, shapes, settings }) {
        const { large, blocks } = blocksOf(shapes, settings);
        return { values: twins.averagePoolBackward(v.x!, large, blocks, "nothing") };
      },
      backward({ v, shapes, settings, precision }) {
        const { large, blocks } = blocksOf(shapes, settings);
        const values = twins.averagePoolForward(v.dout!, large, blocks, "nothing");
        const scale = twins.averagePoolForward(finite(v.dout!), large, blocks, "nothing");
        return { values, scale, loose: true, bound: roundings(scale, 10, precision) };
      },
    },
  ),
  ...pair(
    "permute",
    (x, { axes }, to) => permuteForward(x, axes, to),
    permuteBackward as Any,
    (draw) => draw.shape(0, 4),
    (draw, { x }) => {
      const axes = x!.map((_, k) => k);
      for (let k = axes.length - 1; k > 0; k--) {
        const other = draw.int(0, k);
        [axes[k], axes[other]] = [axes[other]!, axes[k]!];
      }
      return { axes };
    },
    [3, "01", null, [-1], [0.5], [0, 0]].map((axes) => [{ axes }, "RangeError"] as const),
    permuted,
    {
      forward: ({ v, shapes, settings }) => ({
        values: twins.permutedPlaces(shapes.x!, settings.axes).map((place) => v.x![place]!),
      }),
      backward({ v, shapes, settings }) {
        const values = new Array<number>(v.dout!.length);
        const places = twins.permutedPlaces(shapes.x!, settings.axes);
        for (const [i, place] of places.entries())
          if (i < values.length) values[place] = v.dout![i]!;
        return { values };
      },
    },
  ),
  ...norm(
    "layernorm",
    (draw) => {
      const gamma = draw.shape(1, 2).map((n) => n || 1);
      return { x: [...draw.shape(0, 1), ...gamma], gamma, beta: gamma };
    },
    ({ x, gamma, beta }) => {
      const own = x!.slice(x!.length - gamma!.length);
      if (gamma!.length === 0 || gamma!.length > x!.length) return "ShapeError";
      if (!same(own, gamma!) || !same(beta!, gamma!)) return "ShapeError";
      return sizeOf(gamma!) > 0 || "RangeError";
    },
    (draw) => ({ eps: draw.pick([undefined, 1e-5, 1e-3, 1, 1e-300]) }),
    [...[0, -1, NaN, "1", null].map((eps) => [{ eps }, "RangeError"] as const)],
    ({ x, gamma }) => twins.rowsOf(sizeOf(x!), sizeOf(gamma!)),
  ),
  ...norm(
    "groupnorm",
    (draw) => {
      const C = draw.pick([1, 2, 4, 6, 9]);
      return {
        x: [draw.int(0, 3), C, ...draw.shape(0, 2).map((n) => n || 1)],
        gamma: [C],
        beta: [C],
      };
    },
    ({ x, gamma, beta }, { groups }) => {
      if (x!.length < 2 || !same(gamma!, [x![1]!]) || !same(beta!, [x![1]!])) return "ShapeError";
      if (x![1]! % groups !== 0) return "ShapeError";
      return x![1]! * sizeOf(x!.slice(2)) > 0 || "RangeError";
    },
    (draw, { x }) => ({
      groups: draw.pick([1, 2, 3, 4, 6, 9].filter((groups) => x![1]! % groups === 0)),
      eps: draw.pick([undefined, 1e-5, 1]),
    }),
    [
      ...[0, -1, NaN, "1", null].map((eps) => [{ eps }, "RangeError"] as const),
      ...[0, -1, 1.5, "1", null, undefined].map((groups) => [{ groups }, "RangeError"] as const),
    ],
    ({ x }, { groups }) =>
      twins.groupsOf({ N: x![0]!, C: x![1]!, H: 1, W: sizeOf(x!.slice(2)) }, groups),
  ),
  ...concatenated,
  ...broadcast("add"),
  ...broadcast("multiply"),
];

/** The windows of a sequence, which lie one beside the other. */
function linesOf(v: Values, shapes: Shapes, settings: Settings) {
  const { of, windows } = lineWindows(shapes, settings);
  return { ...twins.maxPoolForward(v.x!, of, windows), of, windows };
}

/** The windows of a sequence's pooling, none of which overlap. */
function lineWindows({ x }: Shapes, { kernel }: Settings) {
  const of = imageOf(x!, false);
  const one = [1, kernel] as const;
  const out = [1, Math.floor(of.W / kernel)] as const;
  const windows: Windows = { kernel: one, stride: one, edges: [0, 0, 0, 0], out };
  return { of, windows };
}

function averagedLines(given: Twin, operand: "x" | "dout", fn: typeof twins.averagePoolForward) {
  const { of, windows } = lineWindows(given.shapes, given.settings);
  return averaged(given, operand, fn, "image", of, windows);
}

/** One window over all places. */
function wholeOf({ x }: Shapes, { layout }: Settings) {
  const isLast = /C$/.test(layout ?? "");
  const S = sizeOf(isLast ? x!.slice(1, -1) : x!.slice(2));
  const of: Image = { N: x![0]!, C: (isLast ? x!.at(-1) : x![1])!, H: 1, W: S, isLast };
  const kernel = [1, S] as const;
  const windows: Windows = { kernel, stride: [1, 1], edges: [0, 0, 0, 0], out: [1, 1] };
  return { of, windows, S };
}
