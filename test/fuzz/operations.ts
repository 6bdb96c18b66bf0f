// The facade's calls as a table, one row each: what it takes by SPEC's rules, and what should come
// out of it by the float64 twins. A new layer is a new row; facade.test.ts and test/memory/ do the
// rest.

import * as lamella from "../../src/index.ts";
import {
  affineBackward,
  affineForward,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  bceWithLogitsLoss,
  type Cache,
  dropoutBackward,
  dropoutForward,
  geluBackward,
  geluForward,
  leakyReluBackward,
  leakyReluForward,
  mseLoss,
  normalizeBackward,
  normalizeForward,
  numericalGradient,
  type Runtime,
  recalibrate,
  relativeError,
  reluBackward,
  reluForward,
  sigmoidBackward,
  sigmoidForward,
  softmaxBackward,
  softmaxForward,
  softmaxLoss,
  svmLoss,
  type Tensor,
  tanhBackward,
  tanhForward,
} from "../../src/index.ts";
import { named } from "../../src/nn/engine/kinds.ts";
import { activations, gradientOf } from "../support/activations.ts";
import { permutedPlaces } from "../support/images.ts";
import * as reference from "../support/reference.ts";
import { attentionOperations } from "./attention_operations.ts";
import type { Draw, Shape } from "./draw.ts";
import { imageOperations } from "./image_operations.ts";
import { recurrentOperations } from "./recurrent_operations.ts";

export type FloatTensor = Tensor<"float32" | "float64">;
export type Tensors = Record<string, FloatTensor>;
/** What a call is told beside its tensors; rows know what is in their own. */
// biome-ignore lint/suspicious/noExplicitAny: each row has its own
export type Settings = any;
export type Values = Record<string, ArrayLike<number>>;
export type Shapes = Record<string, Shape>;
export type Results = Record<string, Tensor | number>;
export type ErrorName =
  | "AliasError"
  | "DisposedError"
  | "DTypeError"
  | "RangeError"
  | "RuntimeMismatchError"
  | "ShapeError"
  | "TypeError";

/**
 * What should come out: within `bound` of the values, where no sum on the way can pass the dtype's
 * largest number.
 */
export interface Expected {
  readonly values: ArrayLike<number>;
  /**
   * How far each may be off, in the units of the value; NaN where there is nothing to compare.
   * Default 0.
   */
  readonly bound?: ArrayLike<number> | number;
  /**
   * The largest that something on the way to each may become: beyond the dtype's range the result
   * may be no number.
   */
  readonly scale?: ArrayLike<number>;
  /**
   * Where the twin has no number, an infinity and a NaN are the same: the formula is rearranged.
   */
  readonly loose?: boolean;
}

/** Of the dtype of a call. */
export interface Precision {
  /** The distance from 1 to the next number. */
  readonly epsilon: number;
  /** The smallest number above 0, and the largest. */
  readonly tiny: number;
  readonly largest: number;
  /** To the nearest number of the dtype. */
  round(value: number): number;
}

export interface Twin {
  /** Of all operands, before the call, and what the cache shows. */
  v: Values;
  shapes: Shapes;
  settings: Settings;
  precision: Precision;
  runtime: Runtime;
  /** What came out, for what is drawn. */
  results: Values;
}

export interface Operation {
  readonly name: string;
  /** The tensors of the call, in the order in which it looks at them. */
  operands(draw: Draw): Shapes;
  /**
   * Those of them that `prepare` takes, for a call that begins with a cache; the rest it takes
   * itself.
   */
  readonly saved?: readonly string[];
  /** What SPEC makes of these shapes: a result, or the name of an error. */
  fits(shapes: Shapes, settings: Settings): true | ErrorName;
  settings?(draw: Draw, shapes: Shapes): Settings;
  /** Settings that are refused, and with what. */
  readonly wrong?: readonly (readonly [Record<string, unknown>, ErrorName])[];
  /** By the options' names; absent for a call that takes none. */
  destinations?(shapes: Shapes, settings: Settings): Shapes;
  /** Whether a destination may share its data with an operand. Default not. */
  mayShare?(destination: string, operand: string, settings: Settings): boolean;
  /** The operands in whose place null is right: a bias that is not there. */
  readonly nullable?: readonly string[];
  /** The destinations that may be left out. */
  readonly optional?: readonly string[];
  /**
   * A refusal may come after something was computed, as of an iterable's second batch; the peak of
   * memory moves then.
   */
  readonly late?: boolean;
  /** Takes tensors of any dtype and runtime. */
  readonly free?: boolean;
  /** The operands that the call writes to. */
  changes?(settings: Settings): readonly string[];
  /** The forward call whose cache this one takes. */
  prepare?(t: Tensors, settings: Settings): { cache: Cache; shown?: Tensors };
  run(call: {
    runtime: Runtime;
    t: Tensors;
    settings: Settings;
    /** Destinations; absent in a call that takes no options. */
    to: Record<string, unknown> | undefined;
    cache: Cache | undefined;
  }): Results;
  twin(given: Twin): Record<string, Expected>;
}

const sizeOf = (shape: Shape) => shape.reduce((a, b) => a * b, 1);
const same = (a: Shape, b: Shape) => a.length === b.length && a.every((n, i) => n === b[i]);
const finite = (values: ArrayLike<number>) =>
  Array.from(values, (v) => (Number.isFinite(v) ? Math.abs(v) : 0));

/** |values| · factor + the dtype's smallest number: so many roundings of each. */
function roundings(values: ArrayLike<number>, count: number, { epsilon, tiny }: Precision) {
  return Array.from(values, (v) => count * (epsilon * Math.abs(v) + tiny) || 0);
}

/**
 * Each result of this sum of products: rounded once for each of its terms, whatever their order.
 */
function sum(
  values: ArrayLike<number>,
  scale: ArrayLike<number>,
  terms: number,
  precision: Precision,
): Expected {
  return { values, scale, bound: roundings(scale, terms + 2, precision) };
}

const affineDims = ({ x, w }: Shapes) => [x![0]!, w![0]!, w![1]!] as [number, number, number];

function affineFits({ x, w, b, dout }: Shapes): true | ErrorName {
  if (x!.length < 2 || w!.length !== 2 || b!.length !== 1) return "ShapeError";
  if (sizeOf(x!.slice(1)) !== w![0] || w![1] !== b![0]) return "ShapeError";
  return !dout || same(dout, [x![0]!, w![1]!]) || "ShapeError";
}

function affineOperands(draw: Draw): Shapes & { x: Shape; w: Shape; b: Shape } {
  const x = [draw.dim(), ...draw.shape(1, 3)];
  const M = draw.dim();
  return { x, w: [sizeOf(x.slice(1)), M], b: [M] };
}

/** A pair of calls of one operand, element by element. */
function elementwise(
  name: string,
  forward: (x: FloatTensor, options?: object) => { out: FloatTensor; cache: Cache },
  backward: (dout: FloatTensor, cache: never, options?: object) => FloatTensor,
  twins: {
    forward: (x: ArrayLike<number>, settings: Settings) => number[];
    backward: (dout: ArrayLike<number>, saved: ArrayLike<number>, settings: Settings) => number[];
  },
  bounds: {
    forward: (
      values: number[],
      precision: Precision,
      x: ArrayLike<number>,
      settings: Settings,
    ) => number[] | number;
    backward: (
      values: number[],
      precision: Precision,
      dout: ArrayLike<number>,
    ) => number[] | number;
  },
  more: Partial<Operation> & { readsOut?: boolean; isLoose?: boolean } = {},
): Operation[] {
  const { readsOut = false, isLoose: loose = false, wrong, mayShare = () => true, ...rest } = more;
  return [
    {
      name: `${name}Forward`,
      operands: (draw) => ({ x: draw.shape() }),
      fits: () => true,
      destinations: ({ x }) => ({ out: x! }),
      run: ({ t, to, settings }) => ({ out: forward(t.x!, { ...to, ...settings }).out }),
      twin({ v, settings, precision }) {
        const values = twins.forward(v.x!, settings);
        return {
          out: {
            values,
            bound: bounds.forward(values, precision, v.x!, settings),
            scale: finite(values),
          },
        };
      },
      ...rest,
      ...(wrong && { wrong }),
      mayShare,
    },
    {
      name: `${name}Backward`,
      operands(draw) {
        const x = draw.shape();
        return { x, dout: x };
      },
      saved: ["x"],
      fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
      destinations: ({ dout }) => ({ dx: dout! }),
      // What the backward reads of the forward may be written over as it is read, element by
      // element.
      mayShare: () => true,
      prepare(t, settings) {
        const { out, cache } = forward(t.x!, settings);
        return { cache, shown: { out } };
      },
      run: ({ t, to, cache }) => ({ dx: backward(t.dout!, cache as never, to) }),
      twin({ v, settings, precision }) {
        const values = twins.backward(v.dout!, readsOut ? v.out! : v.x!, settings);
        const bound = bounds.backward(values, precision, v.dout!);
        return { dx: { values, bound, loose, scale: finite(v.dout!).map((d) => 2 * d) } };
      },
      ...rest,
    },
  ];
}

const exact = { forward: () => 0, backward: () => 0 };

/** So many ε of each value, and of each gradient's dout. */
const within = (count: number) => ({
  forward: (values: number[], precision: Precision) => roundings(values, count, precision),
  backward: (_: number[], precision: Precision, dout: ArrayLike<number>) =>
    roundings(dout, count, precision),
});

/** The largest |x| of each column. */
function mostOf(x: ArrayLike<number>, D: number): number[] {
  const most = new Array<number>(D).fill(0);
  for (let i = 0; i < x.length; i++) most[i % D] = Math.max(most[i % D]!, Math.abs(x[i]!));
  return most;
}

/**
 * For each element the largest |x| in its column over the column's deviation: by how much
 * normalising magnifies errors.
 */
function magnification(
  x: ArrayLike<number>,
  { mean, variance }: reference.Statistics,
  eps: number,
): number[] {
  const D = mean.length;
  const most = mostOf(x, D);
  return Array.from(x, (_, i) => {
    const j = i % D;
    return Math.max(most[j]!, Math.abs(mean[j]!)) / Math.sqrt(variance[j]! + eps);
  });
}

/** The larger of 1 / sqrt(variance + eps) and gamma times that, which are numbers on the way. */
const factorsOf = (gamma: ArrayLike<number>, { variance }: reference.Statistics, eps: number) =>
  variance.map((each, j) => Math.max(1, Math.abs(gamma[j]!)) / Math.sqrt(Math.abs(each + eps)));

/**
 * A scale that is no number, as 0 times infinity is none, though nothing that came in was an
 * infinity.
 */
const passing = (scale: number, isWhole: boolean) =>
  Number.isNaN(scale) && isWhole ? Infinity : scale;

/**
 * Statistics are float64: a column of whose spread they have lost a hundredth has no result to
 * compare, nor one whose deviation is a denormal number of the dtype.
 */
const isLost = (magnified: number, N: number, deviation: number, { epsilon, tiny }: Precision) =>
  magnified * (N + 4) * 2 ** -52 > 1e-2 || deviation < (16 * tiny) / epsilon;

/** The order of x (N, C, …) in which the values of a channel are a column: (N · S, C). */
function columnPlaces(x: Shape): { rows: Shape; places: number[] } {
  const [N = 0, C = 0, ...spatial] = x;
  const S = sizeOf(spatial);
  return { rows: [N * S, C], places: permutedPlaces([N, C, S], [0, 2, 1]) };
}

/** The same call with its images as columns; each result of that shape goes back where it was. */
function inColumns<K extends string>(
  given: Twin,
  images: readonly string[],
  twin: (given: Twin) => Record<K, Expected>,
): Record<K, Expected> {
  const x = given.shapes.x!;
  if (x.length === 2) return twin(given);
  const { rows, places } = columnPlaces(x);
  const [v, shapes] = [{ ...given.v }, { ...given.shapes }];
  for (const name of images) {
    if (!shapes[name]) continue;
    v[name] = places.map((place) => given.v[name]![place]!);
    shapes[name] = rows;
  }
  const results = twin({ ...given, v, shapes });
  const back = <T extends ArrayLike<number> | number | undefined>(values: T): T => {
    if (typeof values !== "object") return values;
    const moved = new Array<number>(places.length);
    for (const [i, place] of places.entries()) moved[place] = values[i]!;
    return moved as ArrayLike<number> as T;
  };
  for (const name of ["out", "dx"]) {
    const result = results[name as K] as Expected | undefined;
    if (!result) continue;
    results[name as K] = {
      ...{ ...result, values: back(result.values), bound: back(result.bound ?? 0) },
      ...(result.scale && { scale: back(result.scale) }),
    };
  }
  return results;
}

function batchnormTwin(given: Twin, statistics: reference.Statistics): Expected {
  const { v, settings, shapes, precision } = given;
  const [N, D] = shapes.x as [number, number];
  const eps = settings.eps ?? 1e-5;
  const values = reference.batchnormForward(v.x!, v.gamma!, v.beta!, statistics, eps);
  const magnified = magnification(v.x!, statistics, eps);
  const factor = factorsOf(v.gamma!, statistics, eps);
  const most = mostOf(v.x!, D).map((m, j) => Math.max(m, Math.abs(statistics.mean[j]!)));
  const { epsilon, tiny } = precision;
  const size = magnified.map((m, i) => Math.abs(v.gamma![i % D]!) * m + Math.abs(v.beta![i % D]!));
  const bound = magnified.map((m, i) =>
    isLost(m, N, Math.sqrt(statistics.variance[i % D]! + eps), precision)
      ? NaN
      : (8 + 2 * N) * (epsilon * size[i]! + 4 * tiny * (1 + factor[i % D]! + most[i % D]!)) +
        // The twin's normalised value, times gamma, may lose what (x − mean) · (gamma / std) keeps.
        4 * tiny * Math.abs(v.gamma![i % D]!),
  );
  // x − mean is a number on the way too.
  const scale = size.map((s, i) => {
    const j = i % D;
    // In test mode a row's result is of that row alone.
    const input = settings.mode === "test" ? v.x![i]! : most[j]!;
    const isWhole = Number.isFinite(input + v.gamma![j]! * 0 + v.beta![j]! * 0);
    return passing(Math.max(s, factor[j]!, 2 * most[j]!), isWhole);
  });
  return { values, bound, scale, loose: true };
}

/**
 * The mean or the variance of each column. Up to eight rows are summed in the dtype, as differences
 * from a value among them; the rest is float64, as is the twin, which sums x itself.
 */
function runningTwin(
  values: number[],
  x: ArrayLike<number>,
  { mean }: reference.Statistics,
  isVariance: boolean,
  { epsilon, tiny }: Precision,
): Expected {
  const D = mean.length;
  const most = mostOf(x, D);
  const apart = mostOf(
    Array.from(x, (value, i) => value - mean[i % D]!),
    D,
  );
  const terms = D === 0 ? 0 : x.length / D;
  const bound = values.map((value, j) => {
    const ownError = (terms + 4) * 2 ** -52 * most[j]!;
    const rounding = 2 * epsilon * Math.abs(value) + 8 * tiny;
    if (!isVariance) return rounding + 8 * epsilon * apart[j]! + ownError;
    return rounding + (32 * epsilon + terms * 2 ** -51) * apart[j]! ** 2 + ownError ** 2;
  });
  const scale = values.map(
    (value, j) => Math.abs(value) + 16 * (isVariance ? most[j]! ** 2 : most[j]!),
  );
  return { values, bound, scale, loose: true };
}

const statisticsOf = ({ v, shapes, settings }: Twin): reference.Statistics =>
  settings.mode === "train"
    ? reference.columnStatistics(v.x!, shapes.x as [number, number])
    : {
        mean: Array.from(settings.absent ? new Array(shapes.x![1]).fill(0) : v.runningMean!),
        variance: Array.from(settings.absent ? new Array(shapes.x![1]).fill(0) : v.runningVar!),
      };

const batchnormSettings = (draw: Draw) => ({
  mode: draw.pick(["train", "train", "test"]),
  eps: draw.pick([undefined, 1e-5, 1e-3, 1, 1e-300]),
  momentum: draw.pick([undefined, 0, 0.1, 0.9, 1]),
  absent: draw.chance(0.3),
});

const batchnormParam = (t: Tensors, { mode, eps, momentum, absent }: Settings): BatchnormParam => ({
  ...{ mode, eps, momentum },
  ...(absent ? {} : { runningMean: t.runningMean, runningVar: t.runningVar }),
});

const wrongBatchnorm = [
  ...[0, -1, NaN, "1", null].map((eps) => [{ eps }, "RangeError"] as const),
  ...[-0.1, 1.1, NaN, Infinity, "0.9", null].map(
    (momentum) => [{ momentum }, "RangeError"] as const,
  ),
  ...["Train", "", undefined, null, 3].map((mode) => [{ mode }, "RangeError"] as const),
];

/** The losses of labels. */
function labelLoss(
  name: string,
  call: typeof softmaxLoss,
  twin: typeof reference.softmaxLoss,
  bounds: (
    x: ArrayLike<number>,
    shape: Shape,
    values: number[],
    precision: Precision,
  ) => number[] | number,
): Operation {
  return {
    name,
    late: true, // a tensor of labels
    operands: (draw) => ({ x: [draw.dim(), draw.dim()] }),
    fits({ x }, { y, classWeights }) {
      if (x!.length !== 2) return "ShapeError";
      if (x![0] === 0) return "RangeError";
      if (classWeights && classWeights.length !== x![1]) return "ShapeError";
      if (y.length !== x![0]) return "ShapeError";
      return (
        y.every((label: number) => Number.isInteger(label) && label >= 0 && label < x![1]!) ||
        "RangeError"
      );
    },
    settings: (draw, { x }) => {
      const [N = 0, C = 0] = x!;
      const y = Array.from({ length: N }, () => draw.int(0, Math.max(C - 1, 0)));
      const form = draw.pick(["array", "Int32Array", "tensor"]);
      // Exact in both dtypes, and 0 for some: of no class, or of all.
      const weight = () => draw.pick([0, 0.125, 1, 1, 2, 3]);
      const classWeights = draw.chance(0.5) ? Array.from({ length: C }, weight) : undefined;
      return { y, form, classWeights, dx: draw.chance(0.2) ? false : undefined };
    },
    wrong: [
      ...[-1, 1e9, 0.5, NaN].map(
        (label) => [{ spoil: label, form: "array" }, "RangeError"] as const,
      ),
      ...[null, undefined, 3, "labels", {}].map((y) => [{ y, form: "raw" }, "TypeError"] as const),
      [{ y: new Float32Array(3), form: "raw" }, "DTypeError"],
      ...[null, 3, "balanced", {}].map((classWeights) => [{ classWeights }, "TypeError"] as const),
      [{ classWeights: Array(99).fill(1) }, "ShapeError"],
      ...[-1, NaN, Infinity, "1", null].map(
        (wrongWeight) => [{ wrongWeight }, "RangeError"] as const,
      ),
    ],
    destinations: ({ x }) => ({ dx: x! }),
    optional: ["dx"],
    run({ runtime, t, to, settings: { y, form, spoil, wrongWeight, classWeights, dx } }) {
      let labels = y;
      let weights = classWeights;
      if (wrongWeight !== undefined) weights = Array(t.x!.shape[1]).fill(wrongWeight);
      if (spoil !== undefined) labels = [...y.slice(1), spoil];
      if (form === "Int32Array") labels = Int32Array.from(labels);
      if (form === "tensor") labels = runtime.tensor(labels, [labels.length], "int32");
      try {
        const options = { dx, ...to, ...(weights === undefined ? {} : { classWeights: weights }) };
        const result = call(t.x!, labels, options as never);
        return { loss: result.loss, ...(result.dx ? { dx: result.dx } : {}) } as Results;
      } finally {
        if (form === "tensor") labels.dispose();
      }
    },
    twin({ v, shapes, settings: { y, classWeights }, precision }) {
      const { loss, dx } = twin(v.x!, y, shapes.x as [number, number], classWeights);
      const C = shapes.x![1]!;
      const spread = reference.magnitude(v.x!);
      const of64 = { epsilon: 2 ** -52, tiny: 0 };
      const { epsilon } = name === "svmLoss" ? of64 : precision;
      const bound =
        (16 + 2 * C + v.x!.length) * epsilon * (1 + Math.abs(loss)) +
        (name === "svmLoss" ? (C + 4) * 2 ** -51 * spread * C : 0);
      return {
        loss: { values: [loss], bound, scale: [8 * spread * (C + 1)], loose: true },
        dx: {
          values: dx,
          // With weights a row may count for all of them.
          bound: bounds(v.x!, classWeights ? [1, C] : shapes.x!, dx, precision),
          scale: finite(v.x!).map((x) => 4 * x),
          loose: true,
        },
      };
    },
  };
}

/** The losses of targets. */
function targetLoss(
  name: string,
  call: typeof mseLoss,
  twin: typeof reference.mseLoss,
  bound: (given: Twin, loss: number) => { loss: number; dx: number[] },
): Operation {
  return {
    name,
    operands(draw) {
      const x = draw.shape();
      return { x, y: x };
    },
    fits({ x, y }) {
      if (!same(x!, y!)) return "ShapeError";
      return sizeOf(x!) > 0 || "RangeError";
    },
    settings: (draw) => ({ dx: draw.chance(0.2) ? false : undefined }),
    destinations: ({ x }) => ({ dx: x! }),
    optional: ["dx"],
    run({ t, to, settings: { dx } }) {
      const result = call(t.x!, t.y!, to && "dx" in to ? to : to && { ...to, dx });
      return { loss: result.loss, ...(result.dx ? { dx: result.dx } : {}) } as Results;
    },
    twin(given) {
      const { v } = given;
      const { loss, dx } = twin(v.x!, v.y!);
      const bounds = bound(given, loss);
      const [x, y] = [finite(v.x!), finite(v.y!)];
      const most = x.map((value, i) => 2 * (value + y[i]!) * (1 + y[i]!));
      const squares = name === "mseLoss" ? most.reduce((s, m) => s + m * m, 0) : Math.max(...most);
      return {
        // The loss is float64 whatever the dtype.
        loss: { values: [loss], bound: bounds.loss, scale: [squares / 2 ** 128], loose: true },
        dx: { values: dx, bound: bounds.dx, scale: most, loose: true },
      };
    },
  };
}

/** What takes no tensor and gives one: a row for each, its settings the whole call. */
function maker(
  name: string,
  settings: (draw: Draw) => Settings,
  wrong: Operation["wrong"],
  make: (runtime: Runtime, settings: Settings) => Tensor | number,
  values: (settings: Settings, given: Twin) => ArrayLike<number>,
): Operation {
  return {
    name,
    late: true, // a generator, which was right, or the result
    operands: () => ({}),
    fits: () => true,
    settings,
    ...(wrong && { wrong }),
    run: ({ runtime, settings }) => ({ out: make(runtime, settings) }),
    twin: (given) => ({ out: { values: values(given.settings, given) } }),
  };
}

const wrongShapes = [
  ...[[-1], [1.5], [NaN], [2, "3"], [Infinity], "2", 2, null, {}].map(
    (shape) => [{ shape }, "ShapeError"] as const,
  ),
];
const wrongDTypes = ["float16", "", 3, null, "toString", {}].map(
  (dtype) => [{ dtype }, "DTypeError"] as const,
);
const anyDType = (draw: Draw) =>
  draw.pick(["float32", "float64", "int32"]) as "float32" | "float64" | "int32";
const rounded = (values: ArrayLike<number>, dtype: string) =>
  dtype === "float32" ? Float32Array.from(values) : values;

/** A generator of the runtime: the draws do not depend on how many are asked for at a time. */
function drawn(
  name: string,
  settings: (draw: Draw) => Settings,
  wrong: Operation["wrong"],
  make: (random: ReturnType<Runtime["random"]>, settings: Settings) => Tensor,
  isRight: (value: number, settings: Settings, index: number, all: ArrayLike<number>) => boolean,
): Operation {
  return maker(
    name,
    (draw) => ({ seed: draw.pick([0, 1, 7, 2 ** 32 - 1]), shape: draw.shape(), ...settings(draw) }),
    [
      ...[-1, 2 ** 32, 0.5, NaN, "1", null, undefined].map(
        (seed) => [{ seed }, "RangeError"] as const,
      ),
      ...(wrong ?? []),
    ],
    (runtime, settings) => make(runtime.random(settings.seed), settings),
    (settings, { runtime, results }) => {
      const out = results.out!;
      Array.from(out).forEach((value, i) => {
        if (!isRight(value, settings, i, out)) throw new Error(`${name}: ${value} at ${i}`);
      });
      return runtime.scope(() => make(runtime.random(settings.seed), settings).toTypedArray());
    },
  );
}

export const operations: readonly Operation[] = [
  ...imageOperations,
  ...recurrentOperations,
  ...attentionOperations,
  {
    name: "affineForward",
    operands: affineOperands,
    fits: affineFits,
    settings: (draw) => ({ activation: draw.pick([undefined, undefined, "relu"]) }),
    wrong: ["tanh", "", null, 1].map((activation) => [{ activation }, "RangeError"] as const),
    destinations: ({ x, w }) => ({ out: [x![0]!, w![1]!] }),
    run: ({ t, to, settings }) => ({
      out: affineForward(t.x!, t.w!, t.b!, { ...to, ...settings }).out,
    }),
    twin({ v, shapes, settings, precision }) {
      const dims = affineDims(shapes);
      const out = reference.affineForward(v.x!, v.w!, v.b!, dims);
      const scale = reference.affineForward(finite(v.x!), finite(v.w!), finite(v.b!), dims);
      if (!settings.activation) return { out: sum(out, scale, dims[1], precision) };
      // A sum that passed the range may be −∞ before ReLU, and 0 after it.
      const bound = roundings(scale, dims[1] + 2, precision).map((b, i) =>
        scale[i]! <= precision.largest / 4 ? b : NaN,
      );
      return { out: { values: reference.reluForward(out), scale, bound } };
    },
  },
  {
    name: "affineBackward",
    operands(draw) {
      const shapes = affineOperands(draw);
      return { ...shapes, dout: [shapes.x[0]!, shapes.w[1]!] };
    },
    saved: ["x", "w", "b"],
    fits: affineFits,
    settings: (draw) => ({ activation: draw.pick([undefined, undefined, "relu"]) }),
    destinations: ({ x, w, b }) => ({ dx: x!, dw: w!, db: b! }),
    optional: ["dx", "dw", "db"],
    prepare(t, settings) {
      const { out, cache } = affineForward(t.x!, t.w!, t.b!, settings);
      return { cache, shown: { out } };
    },
    run: ({ t, to, cache }) => affineBackward(t.dout!, cache as never, to) as Results,
    twin({ v, shapes, settings, precision }) {
      const dims = affineDims(shapes);
      const [N, , M] = dims;
      const dout = settings.activation ? reference.reluBackward(v.dout!, v.out!) : v.dout!;
      const values = reference.affineBackward(dout, v.x!, v.w!, dims);
      const scale = reference.affineBackward(finite(dout), finite(v.x!), finite(v.w!), dims);
      return {
        dx: sum(values.dx, scale.dx, M, precision),
        dw: sum(values.dw, scale.dw, N, precision),
        db: sum(values.db, scale.db, N, precision),
      };
    },
  },
  ...elementwise(
    "relu",
    reluForward,
    reluBackward as never,
    {
      forward: reference.reluForward,
      backward: reference.reluBackward,
    },
    exact,
  ),
  ...elementwise(
    "leakyRelu",
    leakyReluForward,
    leakyReluBackward as never,
    {
      forward: (x, { negativeSlope = 0.01 }) => reference.leakyReluForward(x, negativeSlope),
      backward: (dout, x, { negativeSlope = 0.01 }) =>
        reference.leakyReluBackward(dout, x, negativeSlope),
    },
    // The slope is rounded to the dtype, and the product.
    {
      forward: (values, precision) => roundings(values, 2, precision),
      backward: (values, precision) => roundings(values, 2, precision),
    },
    {
      settings: (draw) => ({ negativeSlope: draw.pick([undefined, 0, 0.2, 1, 2, -0.5]) }),
      mayShare: (_, __, { negativeSlope = 0.01 }) => !(negativeSlope < 0),
      wrong: [NaN, Infinity, -Infinity, "0.1"].map(
        (negativeSlope) => [{ negativeSlope }, "RangeError"] as const,
      ),
    },
  ),
  // Twice what their own tests hold them to; gradients are bounded by 1.13 · dout.
  ...elementwise(
    "sigmoid",
    sigmoidForward,
    sigmoidBackward as never,
    {
      forward: reference.sigmoidForward,
      backward: reference.sigmoidBackward,
    },
    within(4),
    { readsOut: true },
  ),
  ...elementwise(
    "tanh",
    tanhForward,
    tanhBackward as never,
    {
      forward: reference.tanhForward,
      backward: reference.tanhBackward,
    },
    within(4),
    { readsOut: true },
  ),
  // The twin's exponential does not split x² / 2, of up to 745: as many roundings as that in
  // float64.
  ...elementwise(
    "gelu",
    geluForward,
    geluBackward as never,
    {
      forward: reference.geluForward,
      backward: reference.geluBackward,
    },
    within(800),
    { mayShare: () => false },
  ),
  ...Object.entries(activations).flatMap(([kind, row]) => {
    const { [`${kind}Forward`]: forward, [`${kind}Backward`]: backward } =
      lamella as never as Record<string, never>;
    const keepsOut = named[kind]?.keeps !== "x";
    const bounds = within(4 * row.ulp + 8);
    return elementwise(
      kind,
      forward as never,
      backward as never,
      {
        forward: (x, settings) => Array.from(x, (v) => row.forward(v, settings)),
        backward: (dout, kept, settings) =>
          Array.from(dout, (d, i) => gradientOf(row, d, kept[i]!, settings)),
      },
      {
        // What the result may have lost beside its own digits, for x of any size.
        forward: (values, precision, x, settings) =>
          roundings(
            values.map((v, i) => Math.abs(v) + (row.scale?.(x[i]!, settings) ?? 0)),
            4 * row.ulp + 8,
            precision,
          ).map((bound, i) => bound + 4 * precision.tiny * finite([x[i]!])[0]!),
        backward: bounds.backward,
      },
      {
        readsOut: keepsOut,
        isLoose: true,
        settings: (draw) => draw.pick(row.settings ?? [{}]),
        mayShare: () => keepsOut,
        ...(row.wrong && {
          wrong: row.wrong.map((settings) => [settings, "RangeError"] as const),
        }),
      },
    );
  }),
  {
    name: "softmaxForward",
    operands: (draw) => ({ x: draw.shape(1, 3) }),
    fits: ({ x }) => x!.length > 0 || "ShapeError",
    destinations: ({ x }) => ({ out: x! }),
    run: ({ t, to }) => ({ out: softmaxForward(t.x!, to).out }),
    twin({ v, shapes, precision }) {
      const C = shapes.x!.at(-1)!;
      const values = reference.softmaxForward(v.x!, [C && v.x!.length / C, C]);
      // x − max is rounded before exp, so its size counts; and a sum of C terms.
      const bound = values.map((p) =>
        Number.isFinite(p)
          ? (8 + C) * (precision.epsilon * p * (1 - Math.log(p + 1e-300)) + precision.tiny)
          : 0,
      );
      return { out: { values, bound, scale: finite(v.x!).map((x) => 2 * x) } };
    },
  },
  {
    name: "softmaxBackward",
    operands(draw) {
      const x = draw.shape(1, 3);
      return { x, dout: x };
    },
    saved: ["x"],
    fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
    destinations: ({ dout }) => ({ dx: dout! }),
    mayShare: (_, operand) => operand === "x",
    prepare(t) {
      const { out, cache } = softmaxForward(t.x!);
      return { cache, shown: { out } };
    },
    run: ({ t, to, cache }) => ({ dx: softmaxBackward(t.dout!, cache as never, to) }),
    twin({ v, shapes, precision }) {
      const C = shapes.x!.at(-1)!;
      const values = reference.softmaxBackward(v.dout!, v.out!, C);
      const [dout, out] = [finite(v.dout!), finite(v.out!)];
      const scale = dout.map((d, i) => {
        const row = i - (i % C);
        let sum = 0;
        for (let j = row; j < row + C; j++) sum += dout[j]! * out[j]!;
        return d + sum;
      });
      const bound = roundings(
        scale.map((s, i) => s * Math.min(1, out[i]!)),
        C + 4,
        precision,
      );
      return { dx: { values, scale, bound } };
    },
  },
  {
    name: "logSoftmaxForward",
    operands: (draw) => ({ x: draw.shape(1, 3) }),
    fits: ({ x }) => x!.length > 0 || "ShapeError",
    wrong: [0.5, Number.NaN, "0", null].map((axis) => [{ axis }, "RangeError"] as const),
    destinations: ({ x }) => ({ out: x! }),
    run: ({ t, to, settings }) => ({
      out: lamella.logSoftmaxForward(t.x!, { ...to, ...settings }).out,
    }),
    twin({ v, shapes, precision }) {
      const C = shapes.x!.at(-1)!;
      const values = reference.logSoftmaxForward(v.x!, [C && v.x!.length / C, C]);
      // x − max is rounded, and then the difference from the logarithm of a sum of C terms.
      const bound = values.map((value) =>
        Number.isFinite(value) ? (8 + C) * precision.epsilon * (1 + Math.abs(value)) : 0,
      );
      // A large value in the same row takes a small one beyond the dtype's range.
      const scale = finite(v.x!).map((x, i) => Math.max(2 * x, Math.abs(values[i]!) || 0));
      return { out: { values, bound, scale } };
    },
  },
  {
    name: "logSoftmaxBackward",
    operands(draw) {
      const x = draw.shape(1, 3);
      return { x, dout: x };
    },
    saved: ["x"],
    fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
    destinations: ({ dout }) => ({ dx: dout! }),
    mayShare: (_, operand) => operand === "x",
    prepare(t) {
      const { out, cache } = lamella.logSoftmaxForward(t.x!);
      return { cache, shown: { out } };
    },
    run: ({ t, to, cache }) => ({ dx: lamella.logSoftmaxBackward(t.dout!, cache as never, to) }),
    twin({ v, shapes, precision }) {
      const C = shapes.x!.at(-1)!;
      const values = reference.logSoftmaxBackward(v.dout!, v.out!, C);
      const dout = finite(v.dout!);
      const scale = dout.map((d, i) => {
        const row = i - (i % C);
        return d + dout.slice(row, row + C).reduce((a, b) => a + b, 0);
      });
      return { dx: { values, scale, bound: roundings(scale, C + 8, precision), loose: true } };
    },
  },
  {
    name: "preluForward",
    operands(draw) {
      const x = [draw.dim(), ...draw.shape(1, 2)];
      return { x, slope: [draw.pick([1, x[1]!])] };
    },
    fits({ x, slope }) {
      const C = x!.length < 2 ? 1 : x![1];
      return (slope!.length === 1 && (slope![0] === 1 || slope![0] === C)) || "ShapeError";
    },
    destinations: ({ x }) => ({ out: x! }),
    run: ({ t, to }) => ({ out: lamella.preluForward(t.x!, t.slope!, to).out }),
    twin({ v, shapes, precision: { round } }) {
      const L = shapes.slope![0] === 1 ? 1 : sizeOf(shapes.x!.slice(2));
      return { out: { values: reference.preluForward(v.x!, v.slope!, L).map(round) } };
    },
  },
  {
    name: "preluBackward",
    operands(draw) {
      const x = [draw.dim(), ...draw.shape(1, 2)];
      return { x, slope: [draw.pick([1, x[1]!])], dout: x };
    },
    saved: ["x", "slope"],
    fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
    destinations: ({ x, slope }) => ({ dx: x!, dslope: slope! }),
    mayShare: (destination, operand) => destination === "dx" && operand === "dout",
    optional: ["dx", "dslope"],
    prepare: (t) => lamella.preluForward(t.x!, t.slope!),
    run: ({ t, to, cache }) => lamella.preluBackward(t.dout!, cache as never, to) as Results,
    twin({ v, shapes, precision }) {
      const L = shapes.slope![0] === 1 ? 1 : sizeOf(shapes.x!.slice(2));
      const twin = reference.preluBackward(v.dout!, v.x!, v.slope!, L);
      const products = finite(v.dout!).map((d, i) => d * finite([v.x![i]!])[0]!);
      const scale = reference.preluBackward(
        products.map((p) => -p),
        products.map(() => -1),
        v.slope!,
        L,
      ).dslope;
      return {
        dx: { values: twin.dx.map(precision.round) },
        dslope: {
          values: twin.dslope,
          scale,
          bound: roundings(scale, 2, precision).map((b, i) => b + 1e-12 * scale[i]!),
          loose: true,
        },
      };
    },
  },
  {
    name: "normalizeForward",
    operands(draw) {
      const each = draw.shape(1, 2);
      return { x: [draw.dim(), ...each], mean: each, std: each };
    },
    fits({ x, mean, std }) {
      if (x!.length < 2) return "ShapeError";
      const each = x!.slice(1);
      return (same(mean!, each) && same(std!, each)) || "ShapeError";
    },
    destinations: ({ x }) => ({ out: x! }),
    mayShare: (_, operand) => operand === "x",
    run: ({ t, to }) => ({ out: normalizeForward(t.x!, t.mean!, t.std!, to).out }),
    twin({ v, precision: { round } }) {
      const n = v.mean!.length;
      const values = Array.from(v.x!, (x, i) => round(round(x - v.mean![i % n]!) / v.std![i % n]!));
      return { out: { values } };
    },
  },
  {
    name: "normalizeBackward",
    operands(draw) {
      const each = draw.shape(1, 2);
      const x = [draw.dim(), ...each];
      return { x, mean: each, std: each, dout: x };
    },
    saved: ["x", "mean", "std"],
    fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
    destinations: ({ x }) => ({ dx: x! }),
    mayShare: (_, operand) => operand !== "std",
    prepare: (t) => normalizeForward(t.x!, t.mean!, t.std!),
    run: ({ t, to, cache }) => ({ dx: normalizeBackward(t.dout!, cache as never, to) }),
    twin: ({ v, precision: { round } }) => ({
      dx: { values: reference.normalizeBackward(v.dout!, v.std!).map(round) },
    }),
  },
  {
    name: "batchnormForward",
    operands(draw) {
      const D = draw.dim();
      const x = [draw.dim(), D, ...(draw.chance(0.3) ? draw.shape(0, 2) : [])];
      return { x, gamma: [D], beta: [D], runningMean: [D], runningVar: [D] };
    },
    fits({ x, ...rest }, { mode, absent }) {
      if (x!.length < 2) return "ShapeError";
      for (const [name, shape] of Object.entries(rest)) {
        if (absent && name.startsWith("running")) continue;
        if (!same(shape, [x![1]!])) return "ShapeError";
      }
      return mode !== "train" || x![0]! * sizeOf(x!.slice(2)) > 0 || "RangeError";
    },
    settings: batchnormSettings,
    wrong: wrongBatchnorm,
    destinations: ({ x }) => ({ out: x! }),
    changes: ({ mode, absent }) =>
      mode === "train" && !absent ? ["runningMean", "runningVar"] : [],
    run({ t, to, settings }) {
      const param = batchnormParam(t, settings);
      const { out } = batchnormForward(t.x!, t.gamma!, t.beta!, param, to);
      return { out, runningMean: param.runningMean!, runningVar: param.runningVar! };
    },
    twin: (whole) =>
      inColumns(whole, ["x"], (given) => {
        const { v, shapes, settings, precision } = given;
        const D = shapes.x![1]!;
        const statistics = statisticsOf(given);
        const running = (name: "runningMean" | "runningVar", key: "mean" | "variance") => {
          const old = settings.absent ? new Array<number>(D).fill(0) : v[name]!;
          if (settings.mode === "test") return { values: old };
          const moved = reference.movedRunning(
            old,
            statistics[key],
            settings.momentum ?? 0.9,
            shapes.x![0]!,
          );
          const isVariance = key === "variance";
          const { bound, scale, ...rest } = runningTwin(
            moved,
            v.x!,
            statistics,
            isVariance,
            precision,
          );
          const olds = finite(old);
          return {
            ...rest,
            bound: Array.from(bound as number[], (b, j) => b + 2 * precision.epsilon * olds[j]!),
            scale: Array.from(scale!, (s, j) => s + olds[j]!),
          };
        };
        return {
          out: batchnormTwin(given, statistics),
          runningMean: running("runningMean", "mean"),
          runningVar: running("runningVar", "variance"),
        };
      }),
  },
  {
    name: "batchnormBackward",
    operands(draw) {
      const D = draw.dim();
      const spatial = draw.chance(0.3) ? draw.shape(0, 2).map((n) => n || 1) : [];
      const x = [draw.dim(1), D, ...spatial];
      return { x, gamma: [D], beta: [D], runningMean: [D], runningVar: [D], dout: x };
    },
    saved: ["x", "gamma", "beta", "runningMean", "runningVar"],
    fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
    settings: (draw) => ({ ...batchnormSettings(draw), absent: false, momentum: 1 }),
    changes: () => ["runningMean", "runningVar"],
    destinations: ({ x, gamma }) => ({ dx: x!, dgamma: gamma!, dbeta: gamma! }),
    optional: ["dx", "dgamma", "dbeta"],
    mayShare: (_, operand) => /^(beta|running)/.test(operand),
    prepare: (t, settings) =>
      batchnormForward(t.x!, t.gamma!, t.beta!, batchnormParam(t, settings)),
    run: ({ t, to, cache }) => batchnormBackward(t.dout!, cache as never, to) as Results,
    twin: (whole) =>
      inColumns(whole, ["x", "dout"], (given) => {
        const { v, shapes, settings, precision } = given;
        const [N, D] = shapes.x as [number, number];
        const eps = settings.eps ?? 1e-5;
        const { mode } = settings;
        const statistics = statisticsOf(given);
        const values = reference.batchnormBackward(v.dout!, v.x!, v.gamma!, statistics, eps, mode);
        const magnified = magnification(v.x!, statistics, eps);
        const dout = finite(v.dout!);
        const [column, weighted] = [new Array<number>(D).fill(0), new Array<number>(D).fill(0)];
        for (let i = 0; i < dout.length; i++) {
          column[i % D]! += dout[i]!;
          weighted[i % D]! += dout[i]! * 2 * magnified[i]!;
        }
        const loss = (j: number) =>
          isLost(magnified[j] ?? 0, N, Math.sqrt(statistics.variance[j]! + eps), precision);
        const most = mostOf(v.x!, D).map((m, j) => Math.max(m, Math.abs(statistics.mean[j]!)));
        const factors = factorsOf(v.gamma!, statistics, eps);
        const factor = (j: number) => factors[j]!;
        const { epsilon, tiny } = precision;
        // A NaN where something of the column's dout is no number.
        const hole = mostOf(
          Array.from(v.dout!, (d) => d * 0),
          D,
        );
        const bounded = (size: number[], takesGamma: boolean) => ({
          loose: true,
          // Σ dout · (x − mean), and 1 / std and gamma / std, are numbers on the way.
          scale: size.map((s, i) => {
            const j = i % D;
            const most1 = Math.max(s, s * N, 2 * most[j]! * Math.max(1, column[j]!), factor(j));
            const gamma = takesGamma ? v.gamma![j]! * 0 : 0;
            const isWhole = Number.isFinite(most[j]! + gamma + hole[j]!);
            return passing(Math.max(2 * column[j]!, most1 * Math.max(1, factor(j))), isWhole);
          }),
          bound: size.map((s, i) => {
            const j = i % D;
            if (loss(j)) return NaN;
            return (
              (8 + 2 * N) * (epsilon * s + 4 * tiny * (1 + column[j]! + most[j]!) * (1 + factor(j)))
            );
          }),
        });
        const dx = dout.map((d, i) => {
          const j = i % D;
          return factor(j) * (d + (column[j]! + 2 * magnified[i]! * weighted[j]!) / N);
        });
        // The twin's own products dout · gamma count as well.
        const products = dout.map((d, i) => d * Math.abs(v.gamma![i % D]!));
        const constant: Expected = {
          ...{ values: values.dx, loose: true },
          scale: dout.map((d, i) => Math.max(products[i]!, Math.max(1, d) * factor(i % D))),
          bound: dout.map(
            (d, i) => 8 * (epsilon * d * factor(i % D) + tiny * (1 + d + factor(i % D))),
          ),
        };
        return {
          dx:
            mode === "test"
              ? constant
              : {
                  ...{ values: values.dx, ...bounded(dx, true) },
                  scale: bounded(dx, true).scale.map((s, i) => Math.max(s, products[i]!)),
                },
          dgamma: { values: values.dgamma, ...bounded(weighted, false) },
          dbeta: { ...sum(values.dbeta, column, N, precision), loose: true },
        };
      }),
  },
  {
    name: "recalibrate",
    late: true,
    operands(draw) {
      const D = draw.dim();
      const spatial = draw.chance(0.3) ? draw.shape(0, 2) : [];
      return {
        a: [draw.dim(), D, ...spatial],
        b: [draw.dim(), D],
        runningMean: [D],
        runningVar: [D],
      };
    },
    fits({ a, b, runningMean, runningVar }, { absent }) {
      if (a!.length < 2 || b!.length < 2 || a![1] !== b![1]) return "ShapeError";
      if (!absent && !(same(runningMean!, [a![1]!]) && same(runningVar!, [a![1]!])))
        return "ShapeError";
      const rows = ([N = 0, , ...spatial]: Shape) => N * sizeOf(spatial);
      return rows(a!) + rows(b!) > 0 || "RangeError";
    },
    settings: (draw) => ({ mode: "train", absent: draw.chance(0.3) }),
    changes: ({ absent }) => (absent ? [] : ["runningMean", "runningVar"]),
    run({ t, settings }) {
      const param = batchnormParam(t, settings);
      recalibrate([t.a!, t.b!], param);
      return { runningMean: param.runningMean!, runningVar: param.runningVar! };
    },
    twin({ v, shapes: { a, b }, precision }) {
      const columns = [a!, b!].map(columnPlaces);
      const x = columns.flatMap(({ places }, i) =>
        places.map((place) => (i === 0 ? v.a : v.b)![place]!),
      );
      const D = a![1]!;
      const N = columns.reduce((sum, { rows }) => sum + rows[0]!, 0);
      const statistics = reference.columnStatistics(x, [N, D]);
      return {
        runningMean: runningTwin(statistics.mean, x, statistics, false, precision),
        runningVar: runningTwin(statistics.variance, x, statistics, true, precision),
      };
    },
  },
  {
    name: "dropoutForward",
    operands: (draw) => ({ x: draw.shape() }),
    fits: () => true,
    settings: (draw) => ({
      p: draw.pick([0, 0.3, 0.5, 0.999, 1 - 2 ** -53]),
      mode: draw.pick(["train", "train", "test"]),
      seed: draw.pick([undefined, 0, 3, 2 ** 32 - 1]),
    }),
    wrong: [
      ...[1, -0.1, NaN, Infinity, "0.5", null, undefined].map(
        (p) => [{ p }, "RangeError"] as const,
      ),
      ...["Train", "", null, undefined].map((mode) => [{ mode }, "RangeError"] as const),
      ...[-1, 2 ** 32, 0.5, NaN, "1", null].map((seed) => [{ seed }, "RangeError"] as const),
    ],
    destinations: ({ x }) => ({ out: x! }),
    mayShare: () => true,
    run({ t, to, settings }) {
      const { out, cache } = dropoutForward(t.x!, settings, to);
      return { out, ...(cache.mask && { mask: cache.mask }) } as Results;
    },
    twin({ v, shapes, settings: { p, mode, seed }, runtime, results, precision: { round } }) {
      if (mode === "test") return { out: { values: v.x! } };
      const kept = round(1 / (1 - p));
      let values = Array.from(results.mask!, (m) => (m === 0 ? 0 : kept));
      if (seed !== undefined) {
        const draws = runtime.scope(() => runtime.random(seed).rand(shapes.x!).toTypedArray());
        values = reference.dropoutMask(draws, p).map(round);
      } else if (p === 0) {
        values.fill(1);
      }
      const out = reference.product(v.x!, values).map(round);
      return { mask: { values }, out: { values: out } };
    },
  },
  {
    name: "dropoutBackward",
    operands(draw) {
      const x = draw.shape();
      return { x, dout: x };
    },
    saved: ["x"],
    fits: ({ x, dout }) => same(x!, dout!) || "ShapeError",
    settings: (draw) => ({
      p: draw.pick([0, 0.3, 0.5]),
      mode: draw.pick(["train", "train", "test"]),
      seed: draw.pick([undefined, 3]),
    }),
    destinations: ({ dout }) => ({ dx: dout! }),
    mayShare: () => true,
    prepare(t, settings) {
      const { cache } = dropoutForward(t.x!, settings);
      return { cache, shown: cache.mask ? { mask: cache.mask } : {} };
    },
    run: ({ t, to, cache }) => ({ dx: dropoutBackward(t.dout!, cache as never, to) }),
    twin: ({ v, precision: { round } }) => ({
      dx: { values: v.mask ? reference.product(v.dout!, v.mask).map(round) : v.dout! },
    }),
  },
  labelLoss("softmaxLoss", softmaxLoss, reference.softmaxLoss, (_, [N, C], dx, { epsilon, tiny }) =>
    dx.map((d) => (16 + C!) * epsilon * (1 / N! + Math.abs(d)) + tiny),
  ),
  // Margins are float64: dx counts them, and is rounded once.
  labelLoss("svmLoss", svmLoss as never, reference.svmLoss, (_, [, C], dx, { epsilon, tiny }) =>
    dx.map((d) => epsilon * Math.abs(d) + tiny + C! * 2 ** -52),
  ),
  targetLoss("mseLoss", mseLoss, reference.mseLoss, ({ v, precision }, loss) => {
    const [x, y] = [finite(v.x!), finite(v.y!)];
    const n = x.length;
    const squares = x.reduce((s, value, i) => s + (value + y[i]!) ** 2, 0) / n;
    return {
      loss: (n + 8) * 2 ** -52 * Math.max(squares, loss || 0) + 2 ** -1074 * n,
      dx: roundings(
        x.map((value, i) => (2 * (value + y[i]!)) / n),
        3,
        precision,
      ),
    };
  }),
  targetLoss(
    "bceWithLogitsLoss",
    bceWithLogitsLoss as never,
    reference.bceWithLogitsLoss,
    ({ v }, loss) => {
      const [x, y] = [finite(v.x!), finite(v.y!)];
      const n = x.length;
      const terms = x.reduce((s, value, i) => s + 1 + value * (1 + y[i]!), 0) / n;
      return {
        loss: (n + 16) * 2 ** -52 * Math.max(terms, Math.abs(loss) || 0),
        dx: y.map(
          (target) =>
            (8 * (v.x instanceof Float32Array ? 2 ** -23 : 2 ** -52) * (1 + target)) / n +
            2 ** -149,
        ),
      };
    },
  ),
  {
    name: "numericalGradient",
    late: true,
    operands(draw) {
      const x = [draw.int(0, 3), draw.int(0, 3)];
      return { x, dout: x };
    },
    fits: ({ x, dout }) => same(x!, dout!) || sizeOf(x!) === 0 || "ShapeError",
    settings: (draw) => ({ h: draw.pick([1e-5, 0.25, 1]) }),
    wrong: [0, -1, NaN, Infinity, "1", null].map((h) => [{ h }, "RangeError"] as const),
    run: ({ t, settings: { h } }) => ({
      dx: numericalGradient((x) => leakyReluForward(x, { negativeSlope: 2 }).out, t.x!, t.dout, h),
    }),
    twin({ v, settings: { h }, precision: { round } }) {
      const f = (x: number) => round(x > 0 ? x : 2 * x);
      const all = Array.from(v.x!, f);
      return {
        dx: {
          values: Array.from(v.x!, (x, i) => {
            // All the others are weighted differences of 0, but for what is no number.
            let total = 0;
            for (let k = 0; k < all.length; k++) {
              const [above, below] =
                k === i ? [f(round(x + h)), f(round(x - h))] : [all[k]!, all[k]!];
              total += (above - below) * v.dout![k]!;
            }
            return round(total / (2 * h));
          }),
        },
      };
    },
  },
  {
    name: "relativeError",
    free: true,
    operands(draw) {
      const a = draw.shape();
      return { a, b: a };
    },
    fits: ({ a, b }) => same(a!, b!) || "ShapeError",
    run: ({ t }) => ({ error: relativeError(t.a!, t.b!) }),
    twin({ v }) {
      let most = 0;
      for (let i = 0; i < v.a!.length; i++) {
        const [a, b] = [v.a![i]!, v.b![i]!];
        if (a === b) continue;
        most = Math.max(most, Math.abs(a - b) / Math.max(1e-8, Math.abs(a) + Math.abs(b)));
      }
      return { error: { values: [most] } };
    },
  },
  {
    name: "reshape",
    free: true,
    operands: (draw) => ({ x: draw.shape() }),
    fits({ x }, { shape }) {
      const [size, others] = [sizeOf(x!), sizeOf(shape)];
      const isOpen = shape.includes(-1);
      return (isOpen ? others !== 0 && size % others === 0 : size === others) || "ShapeError";
    },
    settings(draw, { x }) {
      const size = sizeOf(x!);
      const by = draw.pick([1, 2, 3]);
      return {
        shape: draw.pick([
          [size],
          [-1],
          [1, size],
          size > 0 && size % by === 0 ? [by, -1] : [size, 1],
        ]),
      };
    },
    wrong: [[-2], [-1, -1], [2 ** 53, 0.5], [1e9, 3], "12", null, [NaN]].map(
      (shape) => [{ shape }, "ShapeError"] as const,
    ),
    run: ({ t, settings: { shape } }) => ({ out: t.x!.reshape(shape) }),
    twin: ({ v }) => ({ out: { values: v.x! } }),
  },
  {
    name: "item",
    free: true,
    operands: (draw) => ({ x: draw.pick([[], [1], [1, 1], [0], [2], [3, 1]]) }),
    fits: ({ x }) => sizeOf(x!) === 1 || "ShapeError",
    run: ({ t }) => ({ value: t.x!.item() }),
    twin: ({ v }) => ({ value: { values: v.x! } }),
  },
  maker(
    "tensor",
    (draw) => {
      const dtype = anyDType(draw);
      const shape = draw.shape();
      const n = sizeOf(shape);
      const data = Array.from({ length: n }, () =>
        dtype === "int32" ? draw.int(-(2 ** 31), 2 ** 31 - 1) : draw.value("special"),
      );
      const Typed = draw.pick([Array, Float64Array, Float64Array]) as typeof Float64Array;
      return { data: Typed.from(data), shape, dtype };
    },
    [
      ...wrongShapes,
      ...wrongDTypes,
      ...[null, undefined, 3, "1", {}, new DataView(new ArrayBuffer(8)), new BigInt64Array(1)].map(
        (data) => [{ data }, "TypeError"] as const,
      ),
      [{ data: [1, [2]], shape: undefined }, "ShapeError"],
      [{ data: [[1], [2, 3]], shape: undefined }, "ShapeError"],
      [{ data: [[1], 2], shape: undefined }, "ShapeError"],
      [{ data: ["1"], shape: [1] }, "TypeError"],
      [{ data: new Array(2), shape: [2] }, "TypeError"],
      [{ data: [0.5], shape: [1], dtype: "int32" }, "RangeError"],
      [{ data: [2 ** 31], shape: [1], dtype: "int32" }, "RangeError"],
      [{ data: [NaN], shape: [1], dtype: "int32" }, "RangeError"],
      [{ data: [1, 2], shape: [3] }, "ShapeError"],
    ],
    (runtime, { data, shape, dtype }) => runtime.tensor(data, shape, dtype),
    ({ data, dtype }) => rounded(data, dtype),
  ),
  ...(["zeros", "ones", "full"] as const).map((name) =>
    maker(
      name,
      (draw) => ({ shape: draw.shape(), dtype: anyDType(draw), value: draw.int(-5, 5) }),
      [
        ...wrongShapes,
        ...wrongDTypes,
        ...(name === "full"
          ? ([
              [{ value: "1" }, "TypeError"],
              [{ value: null }, "TypeError"],
              [{ value: 0.5, dtype: "int32" }, "RangeError"],
            ] as const)
          : []),
      ],
      (runtime, { shape, dtype, value }) =>
        name === "full" ? runtime.full(shape, value, dtype) : runtime[name](shape, dtype),
      ({ shape, value }) =>
        new Array(sizeOf(shape)).fill(name === "full" ? value : name === "ones" ? 1 : 0),
    ),
  ),
  drawn(
    "rand",
    () => ({}),
    wrongShapes.slice(0, 4),
    (random, { shape }) => random.rand(shape),
    (value) => value >= 0 && value < 1,
  ),
  drawn(
    "randn",
    () => ({}),
    wrongShapes.slice(0, 4),
    (random, { shape }) => random.randn(shape),
    Number.isFinite,
  ),
  drawn(
    "randint",
    (draw) => ({ low: draw.pick([-(2 ** 31), -3, 0]), high: draw.pick([1, 7, 2 ** 31]) }),
    [
      [{ low: 1, high: 1 }, "RangeError"],
      [{ low: 0.5 }, "RangeError"],
      [{ high: NaN }, "RangeError"],
      [{ high: 2 ** 31 + 1 }, "RangeError"],
      ...wrongShapes.slice(0, 4),
    ],
    (random, { low, high, shape }) => random.randint(low, high, shape),
    (value, { low, high }) => Number.isInteger(value) && value >= low && value < high,
  ),
  drawn(
    "permutation",
    (draw) => ({ n: draw.dim() }),
    [-1, 0.5, NaN, 2 ** 31, "3", null].map((n) => [{ n }, "RangeError"] as const),
    (random, { n }) => random.permutation(n),
    (_, { n }, __, all) =>
      new Set(Array.from(all)).size === n && Array.from(all).every((v) => v >= 0 && v < n),
  ),
];
