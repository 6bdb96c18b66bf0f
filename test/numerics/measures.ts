// What docs/numerics.md says of each operation: inputs, what the result is held against, and the
// largest error. errors.test.ts measures, compares with the page and, for npm run numerics, writes
// it.

import * as lamella from "../../src/index.ts";
import {
  affineBackward,
  affineForward,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  bceWithLogitsLoss,
  dropoutForward,
  type FloatDType,
  geluBackward,
  geluForward,
  leakyReluBackward,
  leakyReluForward,
  mseLoss,
  normalizeBackward,
  normalizeForward,
  type Runtime,
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
import { cosExact, geluExact, logExact, sigmoidExact, tanhExact } from "../math/oracle.ts";
import { activations } from "../support/activations.ts";
import { dtypes, type Exports, type InnerExports, seeded, type TestCore } from "../support/core.ts";
import { type Group, groupsOf, rowsOf } from "../support/images.ts";
import { normals } from "../support/reference.ts";
import {
  approximate,
  divide,
  exp,
  fixed,
  fixedOf,
  log,
  magnitude,
  multiply,
  ONE,
  relative,
  root,
  sum,
  sumOf,
  ulp,
} from "./exact.ts";

export interface Host {
  runtime: Runtime;
  core: TestCore<Exports & InnerExports>;
  dtype: FloatDType;
}

export interface Measure {
  operation: string;
  over: string;
  /** "ULP", or what the error is relative to. */
  unit: string;
  /** Both unless said. */
  only?: FloatDType;
  run(host: Host): number;
}

type Numbers = ArrayLike<number>;

const largest = (errors: Iterable<number>): number => {
  let most = 0;
  for (const error of errors) if (!(error <= most)) most = error;
  return most;
};

const arrayOf = (dtype: FloatDType) => dtypes.find((type) => type.dtype === dtype)!.array;

/** Values as the dtype has them, in an array and as a tensor. */
function given(runtime: Runtime, dtype: FloatDType, data: Numbers, shape = [data.length]) {
  const values = arrayOf(dtype).from(data);
  return { values, tensor: runtime.tensor(values, shape, dtype) as Tensor<FloatDType> };
}

/** From each range as many, even. */
function even(random: () => number, n: number, from: number, to: number): number[] {
  return Array.from({ length: n }, () => from + (to - from) * random());
}

// ——— elementwise

type Forward = <D extends FloatDType>(x: Tensor<D>) => { out: Tensor<D>; cache: never };
type Backward = <D extends FloatDType>(dout: Tensor<D>, cache: never) => Tensor<D>;

/** Where x is drawn, for results in the normal range. */
interface Ranges {
  readonly float32: readonly [number, number];
  readonly float64: readonly [number, number];
}

const api = lamella as unknown as Record<string, unknown>;

/** "[−87, 88], float64 [−200, 200]" */
function intervals({ float32, float64 }: Ranges): string {
  const [narrow, wide] = [float32, float64].map(
    (ends) => `[${ends.map((end) => end.toLocaleString("en-US").replace("-", "−")).join(", ")}]`,
  );
  return narrow === wide ? `${narrow}` : `${narrow}, float64 ${wide}`;
}

function forwardUlp(forward: Forward, exact: (x: number) => bigint, ranges: Ranges) {
  return ({ runtime, dtype }: Host) => {
    const random = seeded(301);
    const [from, to] = ranges[dtype];
    const data = [...even(random, 700, from, to), ...even(random, 700, Math.max(from, -3), 3)];
    const x = given(runtime, dtype, data);
    const out = forward(x.tensor).out.data;
    return largest(x.values.map((v, i) => ulp(out[i]!, exact(v), dtype)));
  };
}

function backwardRelative(
  forward: Forward,
  backward: Backward,
  slope: (x: number) => bigint,
  draw: (random: () => number) => number[],
) {
  return ({ runtime, dtype }: Host) => {
    const random = seeded(302);
    const x = given(runtime, dtype, draw(random));
    const dout = given(runtime, dtype, normals(x.values.length, random));
    const dx = backward(dout.tensor, forward(x.tensor).cache).data;
    return largest(
      x.values.map((v, i) => {
        const d = fixed(dout.values[i]!);
        return relative(dx[i]!, multiply(d, slope(v)), magnitude(d));
      }),
    );
  };
}

const sigmoidOf = (x: number) => fixedOf(sigmoidExact(x));
const tanhOf = (x: number) => fixedOf(tanhExact(x));
const SLOPE = 0.01;
const leaky = (dtype: FloatDType) => fixed(arrayOf(dtype).of(SLOPE)[0]!);

// ——— affine

function product(K: number, draw: (random: () => number) => (n: number) => number[]) {
  return ({ runtime, dtype }: Host) => {
    const random = seeded(303);
    const values = draw(random);
    const [N, M] = [3, 9];
    const [x, w] = [
      given(runtime, dtype, values(N * K), [N, K]),
      given(runtime, dtype, values(K * M), [K, M]),
    ];
    const b = given(runtime, dtype, values(M));
    const { out } = affineForward(x.tensor, w.tensor, b.tensor);
    const [xs, ws, bs] = [x, w, b].map((each) => Array.from(each.values, fixed));
    const errors: number[] = [];
    for (let n = 0; n < N; n++) {
      for (let m = 0; m < M; m++) {
        const terms = Array.from({ length: K }, (_, k) =>
          multiply(xs![n * K + k]!, ws![k * M + m]!),
        );
        const exact = sum(terms) + bs![m]!;
        const scale = sum(terms.map(magnitude)) + magnitude(bs![m]!);
        errors.push(relative(out.data[n * M + m]!, exact, scale));
      }
    }
    return largest(errors);
  };
}

const MILLION = 1_000_000;

/** By dw, whose sum is over N examples. */
function products(N: number, draw: (random: () => number) => number) {
  return ({ runtime, dtype }: Host) =>
    runtime.scope(() => {
      const random = seeded(304);
      const dout = given(
        runtime,
        dtype,
        Array.from({ length: N }, () => draw(random)),
        [N, 1],
      );
      const one = runtime.ones([1, 1], dtype) as Tensor<FloatDType>;
      const ones = runtime.ones([N, 1], dtype) as Tensor<FloatDType>;
      const b = runtime.zeros([1], dtype) as Tensor<FloatDType>;
      const { cache } = affineForward(ones, one, b);
      const { dw, db } = affineBackward(dout.tensor, cache, { dx: false });
      const exact = sumOf(N, (i) => dout.values[i]!);
      const error = (value: number) => Math.abs(value - exact) / exact;
      return { dw: error(dw.item()), db: error(db.item()) };
    });
}
const millionUniform = products(MILLION, (random) => random() + 2 ** -32 * random());
const millionTenths = products(MILLION, () => 0.1);
// Equal float32 terms lose the most where every rounding goes the same way: of 20,000 numbers in
// [0.5, 1) these lost the most in blocks of 256, and in chunks of 64.
const manyEqual = products(16_384, () => 0.80236053);
const millionEqual = products(MILLION, () => 0.970232);

// ——— batch normalisation

function batchnorm(ratio: number, what: "out" | "dx" | "dgamma, dbeta" | "running") {
  return ({ runtime, dtype }: Host) => {
    const random = seeded(305);
    const [N, D] = [1100, 3]; // more than a chunk
    const draw = (n: number) => normals(n, random);
    const x = given(
      runtime,
      dtype,
      draw(N * D).map((v) => v + ratio),
      [N, D],
    );
    const dout = given(runtime, dtype, draw(N * D), [N, D]);
    const [gamma, beta] = [given(runtime, dtype, draw(D)), given(runtime, dtype, draw(D))];
    const eps = 1e-5;
    const param: BatchnormParam<FloatDType> = { mode: "train", momentum: 0, eps };
    const { out, cache } = batchnormForward(x.tensor, gamma.tensor, beta.tensor, param);
    const gradients = batchnormBackward(dout.tensor, cache);
    const errors: number[] = [];
    const count = BigInt(N);
    for (let j = 0; j < D; j++) {
      const rows = Array.from({ length: N }, (_, n) => n * D + j);
      const column = rows.map((i) => fixed(x.values[i]!));
      const up = rows.map((i) => fixed(dout.values[i]!));
      const [g, b] = [fixed(gamma.values[j]!), fixed(beta.values[j]!)];
      const mean = sum(column) / count;
      const centred = column.map((v) => v - mean);
      const variance = sum(centred.map((v) => multiply(v, v))) / count;
      const deviation = root(variance + fixed(eps));
      const xNorm = centred.map((v) => divide(v, deviation));
      const dbeta = sum(up);
      const dgamma = sum(up.map((d, n) => multiply(d, xNorm[n]!)));
      if (what === "out") {
        rows.forEach((i, n) => {
          const scaled = multiply(g, xNorm[n]!);
          const scale = magnitude(g) + magnitude(scaled) + magnitude(b);
          errors.push(relative(out.data[i]!, scaled + b, scale));
        });
      } else if (what === "dx") {
        const factor = divide(g, deviation);
        const most = up.map(magnitude).reduce((a, b) => (a > b ? a : b));
        const scale = multiply(magnitude(factor), most);
        rows.forEach((i, n) => {
          const inner = up[n]! - dbeta / count - multiply(xNorm[n]!, dgamma) / count;
          errors.push(relative(gradients.dx.data[i]!, multiply(factor, inner), scale));
        });
      } else if (what === "dgamma, dbeta") {
        const terms = sum(up.map((d, n) => magnitude(multiply(d, xNorm[n]!))));
        errors.push(relative(gradients.dgamma.data[j]!, dgamma, terms));
        errors.push(relative(gradients.dbeta.data[j]!, dbeta, sum(up.map(magnitude))));
      } else {
        errors.push(relative(param.runningMean!.data[j]!, mean, magnitude(mean)));
        errors.push(relative(param.runningVar!.data[j]!, variance, variance));
      }
    }
    return largest(errors);
  };
}

// ——— layer and group normalisation

/** What is normalised together, and the calls that do so. */
interface Grouped {
  readonly shape: number[];
  readonly gamma: number[];
  readonly groups: readonly Group[];
  readonly forward: (
    x: Tensor<FloatDType>,
    gamma: Tensor<FloatDType>,
    beta: Tensor<FloatDType>,
  ) => ReturnType<typeof lamella.layernormForward<FloatDType>>;
  readonly backward: typeof lamella.layernormBackward;
}

const rowsOf500: Grouped = {
  ...{ shape: [20, 500], gamma: [500], groups: rowsOf(10_000, 500) },
  forward: (x, gamma, beta) => lamella.layernormForward(x, gamma, beta),
  backward: lamella.layernormBackward,
};
const groupsOf500: Grouped = {
  ...{ shape: [4, 50, 50], gamma: [50] },
  groups: groupsOf({ N: 4, C: 50, H: 1, W: 50 }, 5),
  forward: (x, gamma, beta) => lamella.groupnormForward(x, gamma, beta, { groups: 5 }),
  backward: lamella.groupnormBackward,
};

function normalisation(
  { shape, gamma: gains, groups, forward, backward }: Grouped,
  ratio: number,
  what: "out" | "dx" | "dgamma, dbeta",
) {
  return ({ runtime, dtype }: Host) => {
    const random = seeded(307);
    const size = shape.reduce((a, b) => a * b, 1);
    const data = normals(size, random).map((v) => v + ratio);
    const x = given(runtime, dtype, data, shape);
    const dout = given(runtime, dtype, normals(size, random), shape);
    const C = gains[0]!;
    const [gamma, beta] = [normals(C, random), normals(C, random)].map((values) =>
      given(runtime, dtype, values),
    ) as [ReturnType<typeof given>, ReturnType<typeof given>];
    const { out, cache } = forward(x.tensor, gamma.tensor, beta.tensor);
    const { dx, dgamma, dbeta } = backward(dout.tensor, cache);
    const errors: number[] = [];
    /** For each gain the terms of its two sums. */
    const terms = Array.from({ length: C }, () => ({ up: [] as bigint[], both: [] as bigint[] }));
    for (const { places, gains } of groups) {
      const row = places.map((place) => fixed(x.values[place]!));
      const count = BigInt(row.length);
      const mean = sum(row) / count;
      const centred = row.map((v) => v - mean);
      const variance = sum(centred.map((v) => multiply(v, v))) / count;
      const deviation = root(variance + fixed(1e-5));
      const xNorm = centred.map((v) => divide(v, deviation));
      const up = places.map((place) => fixed(dout.values[place]!));
      const g = gains.map((gain) => fixed(gamma.values[gain]!));
      const h = up.map((d, i) => multiply(d, g[i]!));
      const meanH = sum(h) / count;
      const meanHX = sum(h.map((v, i) => multiply(v, xNorm[i]!))) / count;
      const most = divide(
        h.map(magnitude).reduce((a, b) => (a > b ? a : b)),
        deviation,
      );
      for (const [i, place] of places.entries()) {
        const gain = gains[i]!;
        terms[gain]!.up.push(up[i]!);
        terms[gain]!.both.push(multiply(up[i]!, xNorm[i]!));
        if (what === "out") {
          const [scaled, b] = [multiply(g[i]!, xNorm[i]!), fixed(beta.values[gain]!)];
          const scale = magnitude(g[i]!) + magnitude(scaled) + magnitude(b);
          errors.push(relative(out.data[place]!, scaled + b, scale));
        } else if (what === "dx") {
          const inner = h[i]! - meanH - multiply(xNorm[i]!, meanHX);
          errors.push(relative(dx.data[place]!, divide(inner, deviation), most));
        }
      }
    }
    if (what === "dgamma, dbeta") {
      for (const [gain, { up, both }] of terms.entries()) {
        errors.push(relative(dgamma.data[gain]!, sum(both), sum(both.map(magnitude))));
        errors.push(relative(dbeta.data[gain]!, sum(up), sum(up.map(magnitude))));
      }
    }
    return largest(errors);
  };
}

const normalisations = Object.entries({
  "layer normalisation": rowsOf500,
  "group and instance normalisation": groupsOf500,
}).flatMap(([name, grouped]) =>
  [0, 1e6].flatMap((ratio): Measure[] => {
    const over = `500 values, mean of ${ratio.toLocaleString("en-US")} deviations`;
    return [
      {
        ...{ operation: `${name}: out`, over, unit: "γ, γ · xNorm and β together" },
        run: normalisation(grouped, ratio, "out"),
      },
      {
        ...{ operation: `${name}: dx`, over, unit: "the largest γ · dout / std" },
        run: normalisation(grouped, ratio, "dx"),
      },
      {
        ...{ operation: `${name}: dγ, dβ`, over, unit: "Σ of magnitudes" },
        run: normalisation(grouped, ratio, "dgamma, dbeta"),
      },
    ];
  }),
);

// ——— windows

/** Windows over images of C channels, F values for each; a sequence is an image of height 1. */
interface Sliding {
  readonly N: number;
  readonly C: number;
  readonly F: number;
  readonly image: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
}

const fitting = ({ image, kernel, stride, padding }: Sliding, axis: 0 | 1): number => {
  const around = axis === 0 && kernel[0] === 1 ? 0 : 2 * padding;
  return Math.floor((image[axis] + around - kernel[axis]) / stride) + 1;
};

/** Calls back with each place of a window, of the image and of the filters, channels first. */
function eachTap(sliding: Sliding, tap: (small: number, large: number, w: number) => void): void {
  const { N, C, F, image, kernel, stride, padding, groups } = sliding;
  const [H, W] = image;
  const [KH, KW] = kernel;
  const [OH, OW] = [fitting(sliding, 0), fitting(sliding, 1)];
  const top = KH === 1 ? 0 : padding;
  const [depth, columns] = [C / groups, F / groups];
  for (let n = 0; n < N; n++) {
    for (let f = 0; f < F; f++) {
      for (let place = 0; place < OH * OW; place++) {
        const [i, j] = [Math.floor(place / OW), place % OW];
        for (let at = 0; at < KH * KW * depth; at++) {
          const [c, u, v] = [Math.floor(at / (KH * KW)), Math.floor(at / KW) % KH, at % KW];
          const [row, column] = [i * stride + u - top, j * stride + v - padding];
          if (row < 0 || row >= H || column < 0 || column >= W) continue;
          const channel = Math.floor(f / columns) * depth + c;
          const large = ((n * C + channel) * H + row) * W + column;
          tap((n * F + f) * OH * OW + place, large, f * depth * KH * KW + at);
        }
      }
    }
  }
}

/** Sums of exact terms, and those of their magnitudes. */
class Sums {
  private readonly sums = new Map<number, bigint>();
  private readonly scales = new Map<number, bigint>();

  add(at: number, term: bigint): void {
    this.sums.set(at, (this.sums.get(at) ?? 0n) + term);
    this.scales.set(at, (this.scales.get(at) ?? 0n) + magnitude(term));
  }

  /** The largest error of these results, each divided by `count` if that is there. */
  error(results: Numbers, count: (at: number) => bigint = () => 1n): number {
    return largest(
      Array.from(results, (value, at) => {
        const scale = (this.scales.get(at) ?? 0n) / count(at);
        return relative(value, (this.sums.get(at) ?? 0n) / count(at), scale || ONE);
      }),
    );
  }
}

type Floats = Tensor<FloatDType>;
type Gradients = { dx: Floats; dw: Floats; db: Floats };
interface ConvolutionCalls {
  forward(x: Floats, w: Floats, b: Floats, param: object): { out: Floats; cache: never };
  backward(dout: Floats, cache: never): Gradients;
}
const callsOf = (forward: unknown, backward: unknown) =>
  ({ forward, backward }) as ConvolutionCalls;
const convolutions = {
  conv2d: callsOf(lamella.conv2dForward, lamella.conv2dBackward),
  conv1d: callsOf(lamella.conv1dForward, lamella.conv1dBackward),
  convTranspose2d: callsOf(lamella.convTranspose2dForward, lamella.convTranspose2dBackward),
};

function convolution(kind: keyof typeof convolutions, sliding: Sliding) {
  return ({ runtime, dtype }: Host) => {
    const random = seeded(316);
    const { N, C, F, image, kernel, stride, padding, groups } = sliding;
    const isTransposed = kind === "convTranspose2d";
    const large = [N, C, ...image];
    const small = [N, F, fitting(sliding, 0), fitting(sliding, 1)];
    // A sequence has no height.
    const flat = (shape: number[]) =>
      kind === "conv1d" && shape.length === 4 ? [...shape.slice(0, 2), shape[3]!] : shape;
    const draw = (shape: number[]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return given(runtime, dtype, normals(size, random), flat(shape));
    };
    const x = draw(isTransposed ? small : large);
    const w = draw([F, C / groups, ...kernel]);
    const b = draw([isTransposed ? C : F]);
    const { forward, backward } = convolutions[kind];
    const { out, cache } = forward(x.tensor, w.tensor, b.tensor, { stride, padding, groups });
    const dout = draw(isTransposed ? large : small);
    const { dx, dw, db } = backward(dout.tensor, cache);
    const [xs, ws, bs, ds] = [x, w, b, dout].map((each) => Array.from(each.values, fixed));
    const [outs, dxs, dws, dbs] = [new Sums(), new Sums(), new Sums(), new Sums()];
    const pixels = isTransposed ? image[0] * image[1] : small[2]! * small[3]!;
    for (const [at, d] of ds!.entries()) {
      const channel = Math.floor(at / pixels) % bs!.length;
      outs.add(at, bs![channel]!);
      dbs.add(channel, d);
    }
    eachTap(sliding, (small, large, at) => {
      const [from, to] = isTransposed ? [small, large] : [large, small];
      outs.add(to, multiply(xs![from]!, ws![at]!));
      dxs.add(from, multiply(ds![to]!, ws![at]!));
      dws.add(at, multiply(ds![to]!, xs![from]!));
    });
    expectShape(out.size, ds!.length);
    return largest([
      ...[outs.error(out.data), dxs.error(dx.data), dws.error(dw.data), dbs.error(db.data)],
    ]);
  };
}

function expectShape(size: number, due: number): void {
  if (size !== due) throw new Error(`${size} results, expected ${due}`);
}

interface PoolingCalls {
  forward(x: Floats, param: object): { out: Floats; cache: never };
  backward(dout: Floats, cache: never): Floats;
}
const poolsOf = (forward: unknown, backward: unknown) => ({ forward, backward }) as PoolingCalls;
const poolings = {
  maxPool2d: poolsOf(lamella.maxPool2dForward, lamella.maxPool2dBackward),
  maxPool1d: poolsOf(lamella.maxPool1dForward, lamella.maxPool1dBackward),
  avgPool2d: poolsOf(lamella.avgPool2dForward, lamella.avgPool2dBackward),
  avgPool1d: poolsOf(lamella.avgPool1dForward, lamella.avgPool1dBackward),
  globalAvgPool: poolsOf(
    (x: Floats) => lamella.globalAvgPoolForward(x),
    lamella.globalAvgPoolBackward,
  ),
};

/** Pooling is of each channel by itself: as many groups as channels. */
function pooling(kind: keyof typeof poolings, image: readonly [number, number], side: number) {
  return ({ runtime, dtype }: Host) => {
    const random = seeded(317);
    const isLine = kind.endsWith("1d");
    const kernel = kind === "globalAvgPool" ? image : ([isLine ? 1 : side, side] as const);
    const sliding = { N: 2, C: 3, F: 3, image, kernel, stride: 1, padding: 0, groups: 3 };
    const shape = isLine ? [2, 3, image[1]] : [2, 3, ...image];
    const size = shape.reduce((a, b) => a * b, 1);
    const x = given(runtime, dtype, normals(size, random), shape);
    const { forward, backward } = poolings[kind];
    const { out, cache } = forward(x.tensor, { kernel: side, stride: 1 });
    const dout = given(runtime, dtype, normals(out.size, random), [...out.shape]);
    const dx = backward(dout.tensor, cache);
    expectShape(out.size, 6 * fitting(sliding, 0) * fitting(sliding, 1));
    const [outs, dxs] = [new Sums(), new Sums()];
    const isMax = kind.startsWith("max");
    const count = BigInt(isMax ? 1 : kernel[0] * kernel[1]);
    const places = new Map<number, number>(); // of the greatest value of each window
    eachTap(sliding, (small, large) => {
      if (isMax) {
        const most = places.get(small);
        if (most === undefined || x.values[large]! > x.values[most]!) places.set(small, large);
      } else {
        outs.add(small, fixed(x.values[large]!));
        dxs.add(large, fixed(dout.values[small]!));
      }
    });
    for (const [small, large] of places) {
      outs.add(small, fixed(x.values[large]!));
      dxs.add(large, fixed(dout.values[small]!));
    }
    return largest([outs.error(out.data, () => count), dxs.error(dx.data, () => count)]);
  };
}

const over16 = { N: 2, C: 16, F: 5, image: [9, 8], stride: 1, padding: 1, groups: 1 } as const;
const windows: Measure[] = [
  {
    ...{ operation: "convolution: out, dx, dw, db", over: "3 × 3, 16 channels, 144 normal terms" },
    ...{ unit: "Σ of magnitudes", run: convolution("conv2d", { ...over16, kernel: [3, 3] }) },
  },
  {
    ...{ operation: "convolution: out, dx, dw, db", over: "5 × 5, depthwise, a stride of 2" },
    unit: "Σ of magnitudes",
    run: convolution("conv2d", { ...over16, F: 16, groups: 16, kernel: [5, 5], stride: 2 }),
  },
  {
    ...{ operation: "convolution of sequences: out, dx, dw, db", over: "9 wide, 16 channels" },
    unit: "Σ of magnitudes",
    run: convolution("conv1d", { ...over16, image: [1, 50], kernel: [1, 9], padding: 4 }),
  },
  {
    ...{ operation: "transposed convolution: out, dx, dw, db", over: "3 × 3, a stride of 2" },
    unit: "Σ of magnitudes",
    run: convolution("convTranspose2d", { ...over16, image: [9, 9], kernel: [3, 3], stride: 2 }),
  },
  ...(
    [
      ["max pooling", "maxPool2d", [12, 11], 3, "windows of 3 × 3 that overlap"],
      ["max pooling of sequences", "maxPool1d", [1, 60], 4, "windows of 4 that overlap"],
      ["average pooling", "avgPool2d", [12, 11], 5, "windows of 5 × 5 that overlap"],
      ["average pooling of sequences", "avgPool1d", [1, 60], 9, "windows of 9 that overlap"],
      ["global average pooling", "globalAvgPool", [31, 29], 1, "899 pixels"],
    ] as const
  ).map(([name, kind, image, side, over]) => ({
    ...{ operation: `${name}: out, dx`, over, unit: "Σ of magnitudes" },
    run: pooling(kind, image, side),
  })),
];

// ——— softmax

function softmaxErrors(host: Host, C: number, what: "out" | "dx"): number {
  const { runtime, dtype } = host;
  const random = seeded(306);
  const x = given(
    runtime,
    dtype,
    normals(C, random).map((v) => 4 * v),
    [1, C],
  );
  const dout = given(runtime, dtype, normals(C, random), [1, C]);
  const { out, cache } = softmaxForward(x.tensor);
  const exponentials = Array.from(x.values, exp);
  const total = sum(exponentials);
  const p = exponentials.map((e) => divide(e, total));
  if (what === "out") return largest(p.map((v, i) => relative(out.data[i]!, v, v)));
  const dx = softmaxBackward(dout.tensor, cache).data;
  const d = Array.from(dout.values, fixed);
  const mean = sum(p.map((v, i) => multiply(v, d[i]!)));
  return largest(p.map((v, i) => relative(dx[i]!, multiply(v, d[i]! - mean), v)));
}

function logSoftmaxErrors(host: Host, C: number, what: "out" | "dx"): number {
  const { runtime, dtype } = host;
  const random = seeded(306);
  const data = normals(C, random).map((v) => 4 * v);
  const x = given(runtime, dtype, data, [1, C]);
  const dout = given(runtime, dtype, normals(C, random), [1, C]);
  const { out, cache } = lamella.logSoftmaxForward(x.tensor);
  const exponentials = Array.from(x.values, exp);
  const total = sum(exponentials);
  const logarithm = log(total);
  if (what === "out") {
    return largest(
      Array.from(x.values, (v, i) => {
        const exact = fixed(v) - logarithm;
        return relative(out.data[i]!, exact, ONE + magnitude(exact));
      }),
    );
  }
  const dx = lamella.logSoftmaxBackward(dout.tensor, cache).data;
  const d = Array.from(dout.values, fixed);
  const scale = sum(d.map(magnitude));
  const all = sum(d);
  return largest(
    exponentials.map((e, i) => {
      const exact = d[i]! - multiply(divide(e, total), all);
      return relative(dx[i]!, exact, magnitude(d[i]!) + multiply(divide(e, total), scale));
    }),
  );
}

/** z of x · σ(z), GELU by tanh. */
function geluExponent(x: number): bigint {
  const cube = multiply(multiply(fixed(x), fixed(x)), fixed(x));
  const root2 = fixed(1.5957691216057308);
  return multiply(root2, fixed(x) + multiply(divide(44715n * ONE, 1000000n * ONE), cube));
}

/** σ of a number that is no float64: σ of the nearest one, and the rest by the derivative. */
function sigmoidAt(z: bigint): bigint {
  const near = approximate(z);
  const value = sigmoidOf(near);
  return value + multiply(multiply(value, ONE - value), z - fixed(near));
}

// ——— losses

/** Scores of N examples in C classes, labels, and an error for loss and dx. */
function lossErrors(
  kind: "softmax" | "svm",
  [N, C]: [number, number],
  scale: number,
): (host: Host) => { loss: number; dx: number } {
  return ({ runtime, dtype }) => {
    const random = seeded(307);
    const x = given(
      runtime,
      dtype,
      normals(N * C, random).map((v) => scale * v),
      [N, C],
    );
    const y = Int32Array.from({ length: N }, () => Math.floor(C * random()));
    const { loss, dx } = (kind === "softmax" ? softmaxLoss : svmLoss)(x.tensor, y);
    const count = BigInt(N);
    let total = 0n;
    const errors: number[] = [];
    for (let n = 0; n < N; n++) {
      const row = Array.from(x.values.subarray(n * C, n * C + C));
      const label = y[n]!;
      let gradient: bigint[];
      if (kind === "softmax") {
        const most = Math.max(...row);
        // float64 differences of float32 scores are exact; float64's lose 1e-16 of the largest
        // score.
        const exponentials = row.map((v) => exp(v - most));
        const share = sum(exponentials);
        total += log(share) - (fixed(row[label]!) - fixed(most));
        gradient = exponentials.map((e, j) => divide(e, share) - (j === label ? ONE : 0n));
      } else {
        const own = fixed(row[label]!);
        const margins = row.map((v, j) => (j === label ? 0n : fixed(v) - own + ONE));
        const positive = margins.map((m) => (m > 0n ? 1n : 0n));
        total += sum(margins.filter((m) => m > 0n));
        gradient = positive.map((one, j) => (j === label ? -sum(positive) : one) * ONE);
      }
      gradient.forEach((g, j) => {
        errors.push(
          relative(
            dx.data[n * C + j]!,
            g / count,
            magnitude(g) > ONE ? magnitude(g) / count : ONE / count,
          ),
        );
      });
    }
    return { loss: relative(loss, total / count, magnitude(total) / count), dx: largest(errors) };
  };
}

/** log(1 + exp(−|x|)) and sigmoid, element by element. */
function bceErrors({ runtime, dtype }: Host) {
  const random = seeded(308);
  const n = 500;
  const x = given(
    runtime,
    dtype,
    normals(n, random).map((v) => 8 * v),
  );
  const y = given(runtime, dtype, even(random, n, 0, 1));
  const { loss, dx } = bceWithLogitsLoss(x.tensor, y.tensor);
  const count = BigInt(n);
  let total = 0n;
  const errors: number[] = [];
  x.values.forEach((v, i) => {
    const target = fixed(y.values[i]!);
    total += (v > 0 ? fixed(v) : 0n) - multiply(fixed(v), target) + log(ONE + exp(-Math.abs(v)));
    errors.push(relative(dx.data[i]!, (sigmoidOf(v) - target) / count, ONE / count));
  });
  return { loss: relative(loss, total / count, total / count), dx: largest(errors) };
}

function mseErrors({ runtime, dtype }: Host) {
  const random = seeded(309);
  const n = 1000;
  const [x, y] = [
    given(runtime, dtype, normals(n, random)),
    given(runtime, dtype, normals(n, random)),
  ];
  const { loss, dx } = mseLoss(x.tensor, y.tensor);
  const count = BigInt(n);
  const differences = Array.from(x.values, (v, i) => fixed(v) - fixed(y.values[i]!));
  const total = sum(differences.map((d) => multiply(d, d)));
  const errors = differences.map((d, i) =>
    relative(dx.data[i]!, (2n * d) / count, (2n * magnitude(d)) / count),
  );
  return { loss: relative(loss, total / count, total / count), dx: largest(errors) };
}

/** The mean of a million squares, by the loss and by the sum that clips a gradient's norm. */
function millionSquares({ runtime, core, dtype }: Host) {
  const random = seeded(310);
  const values = arrayOf(dtype).from({ length: MILLION }, random);
  const exact = sumOf(MILLION, (i) => values[i]! * values[i]!);
  const loss = runtime.scope(() => {
    const zeros = runtime.zeros([MILLION], dtype) as Tensor<FloatDType>;
    return mseLoss(runtime.tensor(values, undefined, dtype) as Tensor<FloatDType>, zeros, {
      dx: false,
    }).loss;
  });
  core.reset();
  const at = core.input(values).address;
  const squares = core.exports[dtype === "float32" ? "dot_f32" : "dot_f64"](MILLION, at, at);
  return largest([Math.abs((loss * MILLION) / exact - 1), Math.abs(squares / exact - 1)]);
}

// ——— optimizers

interface Rule {
  kernel: "sgd" | "sgd_momentum" | "sgd_nesterov" | "rmsprop" | "adam" | "adamw";
  states: number;
  numbers: number[];
  /** The new w, given exact w, states, gradient and numbers. */
  step(w: bigint, states: bigint[], g: bigint, numbers: bigint[]): bigint;
}

const square = (a: bigint) => multiply(a, a);
const moments = (states: bigint[], g: bigint, [rate, beta1, beta2, eps, c1, c2]: bigint[]) => {
  const m = multiply(beta1!, states[0]!) + multiply(ONE - beta1!, g);
  const v = multiply(beta2!, states[1]!) + multiply(ONE - beta2!, square(g));
  return multiply(rate!, divide(divide(m, c1!), root(divide(v, c2!)) + eps!));
};
const rules: Record<string, Rule> = {
  sgd: {
    kernel: "sgd",
    states: 0,
    numbers: [0.01],
    step: (w, _, g, [rate]) => w - multiply(rate!, g),
  },
  momentum: {
    kernel: "sgd_momentum",
    states: 1,
    numbers: [0.01, 0.9],
    step: (w, [v], g, [rate, mu]) => w + multiply(mu!, v!) - multiply(rate!, g),
  },
  Nesterov: {
    kernel: "sgd_nesterov",
    states: 1,
    numbers: [0.01, 0.9],
    step: (w, [v], g, [rate, mu]) => {
      const down = multiply(rate!, g);
      return w + multiply(mu!, multiply(mu!, v!) - down) - down;
    },
  },
  RMSprop: {
    kernel: "rmsprop",
    states: 1,
    numbers: [0.01, 0.99, 1e-8],
    step: (w, [cache], g, [rate, decay, eps]) => {
      const mean = multiply(decay!, cache!) + multiply(ONE - decay!, square(g));
      return w - multiply(rate!, divide(g, root(mean) + eps!));
    },
  },
  Adam: {
    kernel: "adam",
    states: 2,
    numbers: [1e-3, 0.9, 0.999, 1e-8, 0.5, 0.01],
    step: (w, states, g, numbers) => w - moments(states, g, numbers),
  },
  AdamW: {
    kernel: "adamw",
    states: 2,
    numbers: [1e-3, 0.9, 0.999, 1e-8, 0.5, 0.01, 0.01],
    step: (w, states, g, numbers) =>
      w - multiply(multiply(numbers[0]!, numbers[6]!), w) - moments(states, g, numbers),
  },
};

/**
 * What one step moves w by is compared, not w, which hides it: the error is relative to |w| +
 * |move|.
 */
function optimizer({ kernel, states, numbers, step }: Rule) {
  return ({ core, dtype }: Host) => {
    const random = seeded(311);
    const array = arrayOf(dtype);
    const n = 400;
    core.reset();
    const w = array.from(normals(n, random));
    const own = Array.from({ length: states }, () => array.from(even(random, n, 0, 1)));
    const g = array.from(normals(n, random));
    const wAt = core.inout(w);
    const addresses = own.map((state) => core.inout(state).address);
    const exports = core.exports as unknown as Record<string, (...args: number[]) => void>;
    const gAt = core.input(g).address;
    exports[`${kernel}_${dtype === "float32" ? "f32" : "f64"}`]!(
      wAt.address,
      ...addresses,
      gAt,
      n,
      ...numbers,
    );
    const exactNumbers = numbers.map(fixed);
    const after = wAt.values();
    return largest(
      Array.from(w, (value, i) => {
        const old = fixed(value);
        const exact = step(
          old,
          own.map((state) => fixed(state[i]!)),
          fixed(g[i]!),
          exactNumbers,
        );
        return relative(after[i]!, exact, magnitude(old) + magnitude(exact - old));
      }),
    );
  };
}

// ——— mathematical functions

function mathExp({ core, dtype }: Host): number {
  const random = seeded(312);
  core.reset();
  const [from, to] = dtype === "float32" ? [-87, 88] : [-200, 200];
  const x = arrayOf(dtype).from([...even(random, 2000, from, to), ...even(random, 500, -1, 1)]);
  const out = core.output(arrayOf(dtype), x.length);
  core.exports[dtype === "float32" ? "exp_f32" : "exp_f64"](
    out.address,
    core.input(x).address,
    x.length,
  );
  return largest(Array.from(out.values(), (value, i) => ulp(value, exp(x[i]!), dtype)));
}

function mathLog({ core }: Host): number {
  const random = seeded(313);
  core.reset();
  const x = Float64Array.from({ length: 2500 }, (_, i) =>
    i % 2 ? 1 + random() : 2 ** (200 * random() - 100),
  );
  const out = core.output(Float64Array, x.length);
  core.exports.log_f64(out.address, core.input(x).address, x.length);
  return largest(
    Array.from(out.values(), (value, i) => ulp(value, fixedOf(logExact(x[i]!)), "float64")),
  );
}

function mathCos({ core }: Host): number {
  const random = seeded(314);
  const x = even(random, 1500, -1000, 1000);
  return largest(x.map((v) => ulp(core.exports.cos(v), fixedOf(cosExact(v)), "float64")));
}

const both = (
  over: string,
  run: (host: Host) => { loss: number; dx: number },
  operation: string,
): Measure[] => [
  { operation, over, unit: "the loss", run: (host) => run(host).loss },
  {
    operation: `${operation}: dx`,
    over,
    unit: "1 / N, or the element",
    run: (host) => run(host).dx,
  },
];

export const sections: Record<string, Measure[]> = {
  "Sums and products": [
    {
      operation: "affine: out, dx, dw",
      over: "256 normal terms",
      unit: "Σ of magnitudes",
      run: product(256, (random) => (n) => normals(n, random)),
    },
    {
      operation: "affine: out, dx, dw",
      over: "4,096 normal terms",
      unit: "Σ of magnitudes",
      run: product(4096, (random) => (n) => normals(n, random)),
    },
    {
      operation: "affine: out, dx, dw",
      over: "a million uniform terms in [0, 1)",
      unit: "Σ of magnitudes",
      run: (host) => millionUniform(host).dw,
    },
    {
      operation: "affine: out, dx, dw",
      over: "a million equal terms, the worst case",
      unit: "Σ of magnitudes",
      run: (host) => millionEqual(host).dw,
    },
    {
      operation: "affine: out, dx, dw",
      over: "16,384 equal terms, the longest sum in blocks",
      unit: "Σ of magnitudes",
      run: (host) => manyEqual(host).dw,
    },
    {
      operation: "affine: db",
      over: "a million uniform terms in [0, 1)",
      unit: "Σ of magnitudes",
      run: (host) => millionUniform(host).db,
    },
    {
      operation: "affine: db",
      over: "a million terms of 0.1",
      unit: "Σ of magnitudes",
      run: (host) => millionTenths(host).db,
    },
    {
      operation: "mean squared error; the norm that clipping takes",
      over: "a million squares",
      unit: "the sum",
      run: millionSquares,
    },
  ],
  "Convolution and pooling": windows,
  Layers: [
    {
      operation: "ReLU, both ways",
      over: "normal values",
      unit: "ULP",
      run: ({ runtime, dtype }) => {
        const x = given(runtime, dtype, normals(1000, seeded(315)));
        const { out, cache } = reluForward(x.tensor);
        const dx = reluBackward(x.tensor, cache);
        return largest(
          Array.from(x.values, (v, i) => {
            const exact = fixed(Math.max(0, v));
            return Math.max(ulp(out.data[i]!, exact, dtype), ulp(dx.data[i]!, exact, dtype));
          }),
        );
      },
    },
    {
      operation: "leaky ReLU, both ways",
      over: "normal values",
      unit: "ULP",
      run: ({ runtime, dtype }) => {
        const x = given(runtime, dtype, normals(1000, seeded(316)));
        const { out, cache } = leakyReluForward(x.tensor, { negativeSlope: SLOPE });
        const dx = leakyReluBackward(x.tensor, cache);
        return largest(
          Array.from(x.values, (v, i) => {
            const exact = v > 0 ? fixed(v) : multiply(leaky(dtype), fixed(v));
            return Math.max(ulp(out.data[i]!, exact, dtype), ulp(dx.data[i]!, exact, dtype));
          }),
        );
      },
    },
    {
      operation: "sigmoid",
      over: "[−87, 88], float64 [−200, 200]",
      unit: "ULP",
      run: forwardUlp(sigmoidForward as Forward, sigmoidOf, {
        float32: [-87, 88],
        float64: [-200, 200],
      }),
    },
    {
      operation: "sigmoid: dx",
      over: "[−20, 20]",
      unit: "dout",
      run: backwardRelative(
        sigmoidForward as Forward,
        sigmoidBackward as Backward,
        (x) => multiply(sigmoidOf(x), ONE - sigmoidOf(x)),
        (random) => even(random, 800, -20, 20),
      ),
    },
    {
      operation: "tanh",
      over: "[−10, 10], float64 [−20, 20]",
      unit: "ULP",
      run: forwardUlp(tanhForward as Forward, tanhOf, { float32: [-10, 10], float64: [-20, 20] }),
    },
    {
      operation: "tanh: dx",
      over: "[−10, 10]",
      unit: "dout",
      run: backwardRelative(
        tanhForward as Forward,
        tanhBackward as Backward,
        (x) => ONE - multiply(tanhOf(x), tanhOf(x)),
        (random) => even(random, 800, -10, 10),
      ),
    },
    {
      operation: "GELU",
      over: "[−13, 13], float64 [−20, 20]",
      unit: "ULP",
      run: forwardUlp(geluForward as Forward, (x) => fixedOf(geluExact(x)), {
        float32: [-13, 13],
        float64: [-20, 20],
      }),
    },
    {
      operation: "GELU: dx",
      over: "[−8, 8]",
      unit: "dout",
      run: backwardRelative(
        geluForward as Forward,
        geluBackward as Backward,
        // A difference over 2⁻³⁹ errs by 2⁻⁸² of the third derivative, and x ± 2⁻⁴⁰ is a float64.
        (x) => (fixedOf(geluExact(x + 2 ** -40)) - fixedOf(geluExact(x - 2 ** -40))) << 39n,
        (random) => even(random, 250, -8, 8).map((v) => Math.round(v * 2 ** 20) / 2 ** 20),
      ),
    },
    ...Object.entries(activations).flatMap(([kind, row]): Measure[] => [
      {
        operation: row.title,
        over: intervals(row.range),
        unit: "ULP",
        run: forwardUlp(api[`${kind}Forward`] as Forward, (x) => row.exact(fixed(x), x), row.range),
      },
      {
        operation: `${row.title}: dx`,
        over: "[−10, 10]",
        unit: "dout",
        run: backwardRelative(
          api[`${kind}Forward`] as Forward,
          api[`${kind}Backward`] as Backward,
          (x) => row.exactDerivative(fixed(x), x),
          (random) => even(random, 400, -10, 10),
        ),
      },
    ]),
    {
      operation: "softmax",
      over: "1,000 classes, deviation 4",
      unit: "each probability",
      run: (host) => softmaxErrors(host, 1000, "out"),
    },
    {
      operation: "softmax: dx",
      over: "the same",
      unit: "its probability",
      run: (host) => softmaxErrors(host, 1000, "dx"),
    },
    {
      operation: "log-softmax",
      over: "1,000 classes, deviation 4",
      unit: "1 + each logarithm",
      run: (host) => logSoftmaxErrors(host, 1000, "out"),
    },
    {
      operation: "log-softmax: dx",
      over: "the same",
      unit: "dout, and its probability · Σ of dout's magnitudes",
      run: (host) => logSoftmaxErrors(host, 1000, "dx"),
    },
    {
      operation: "GELU by tanh",
      over: "[−3, 13], float64 [−3, 20]",
      unit: "ULP",
      run: forwardUlp(
        ((x: Tensor<FloatDType>) => lamella.geluForward(x, { approximate: "tanh" })) as Forward,
        (x) => multiply(fixed(x), sigmoidAt(geluExponent(x))),
        { float32: [-3, 13], float64: [-3, 20] },
      ),
    },
    {
      operation: "PReLU, both ways",
      over: "normal values",
      unit: "ULP",
      run: ({ runtime, dtype }) => {
        const x = given(runtime, dtype, normals(1000, seeded(317)));
        const slope = given(runtime, dtype, [SLOPE]);
        const { out, cache } = lamella.preluForward(x.tensor, slope.tensor);
        const { dx } = lamella.preluBackward(x.tensor, cache, { dslope: false });
        return largest(
          Array.from(x.values, (v, i) => {
            const exact = v > 0 ? fixed(v) : multiply(leaky(dtype), fixed(v));
            return Math.max(ulp(out.data[i]!, exact, dtype), ulp(dx!.data[i]!, exact, dtype));
          }),
        );
      },
    },
    {
      operation: "normalisation by constants, both ways",
      over: "normal values",
      unit: "ULP",
      run: ({ runtime, dtype }) => {
        const random = seeded(317);
        const [N, D] = [100, 9];
        const x = given(runtime, dtype, normals(N * D, random), [N, D]);
        const [mean, std] = [
          given(runtime, dtype, normals(D, random)),
          given(runtime, dtype, even(random, D, 0.5, 2)),
        ];
        const { out, cache } = normalizeForward(x.tensor, mean.tensor, std.tensor);
        const dx = normalizeBackward(x.tensor, cache);
        return largest(
          Array.from(x.values, (v, i) => {
            const s = fixed(std.values[i % D]!);
            const forward = ulp(
              out.data[i]!,
              divide(fixed(v) - fixed(mean.values[i % D]!), s),
              dtype,
            );
            return Math.max(forward, ulp(dx.data[i]!, divide(fixed(v), s), dtype));
          }),
        );
      },
    },
    {
      operation: "dropout",
      over: "p = 0.2",
      unit: "ULP",
      run: ({ runtime, dtype }) => {
        const x = given(runtime, dtype, normals(1000, seeded(318)));
        const { out } = dropoutForward(x.tensor, { p: 0.2, mode: "train", seed: 1 });
        const kept = ONE - fixed(0.2);
        return largest(
          Array.from(x.values, (v, i) =>
            out.data[i] === 0 ? 0 : ulp(out.data[i]!, divide(fixed(v), kept), dtype),
          ),
        );
      },
    },
    ...[0, 1e3, 1e6].map(
      (ratio): Measure => ({
        operation: "batch normalisation: out",
        over: `mean of ${ratio.toLocaleString("en-US")} deviations`,
        unit: "γ, γ · xNorm and β together",
        run: batchnorm(ratio, "out"),
      }),
    ),
    ...[0, 1e6].flatMap((ratio): Measure[] => {
      const over = `mean of ${ratio.toLocaleString("en-US")} deviations`;
      return [
        {
          operation: "batch normalisation: dx",
          over,
          unit: "γ / std · the largest dout",
          run: batchnorm(ratio, "dx"),
        },
        {
          operation: "batch normalisation: dγ, dβ",
          over,
          unit: "Σ of magnitudes",
          run: batchnorm(ratio, "dgamma, dbeta"),
        },
        ...(ratio === 0
          ? []
          : [
              {
                operation: "batch normalisation: running values",
                over,
                unit: "each",
                run: batchnorm(ratio, "running"),
              },
            ]),
      ];
    }),
    ...normalisations,
  ],
  Losses: [
    ...both(
      "64 examples, 10 classes, deviation 3",
      lossErrors("softmax", [64, 10], 3),
      "softmax loss",
    ),
    ...both("scores of some ±10,000", lossErrors("softmax", [16, 10], 1e4), "softmax loss"),
    ...both("64 examples, 10 classes, deviation 3", lossErrors("svm", [64, 10], 3), "SVM loss"),
    ...both("scores of some ±10,000", lossErrors("svm", [16, 10], 1e4), "SVM loss"),
    ...both("500 scores, deviation 8", bceErrors, "binary cross-entropy"),
    ...both("1,000 scores", mseErrors, "mean squared error"),
  ],
  Optimizers: Object.entries(rules).map(([operation, rule]) => ({
    operation,
    over: "one step, default settings",
    unit: "w and its move together",
    run: optimizer(rule),
  })),
  "Mathematical functions": [
    { operation: "exp", over: "[−87, 88], float64 [−200, 200]", unit: "ULP", run: mathExp },
    {
      operation: "log",
      over: "[1, 2), and from 2⁻¹⁰⁰ to 2¹⁰⁰",
      unit: "ULP",
      only: "float64",
      run: mathLog,
    },
    { operation: "cos", over: "[−1,000, 1,000]", unit: "ULP", only: "float64", run: mathCos },
  ],
};
