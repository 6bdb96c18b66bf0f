// The kernels of convolution and of transposed convolution, raw: against plain float64 loops on every
// kind of geometry, with guard bytes around all buffers and a workspace of exactly the bytes told.

import { describe, expect, test } from "vitest";
import { kinds, OperationWords, WindowWords } from "../../src/runtime/abi.ts";
import {
  type Buffer,
  builds,
  type DType,
  dtypes,
  type Floats,
  openCore,
  type Place,
  seeded,
  type TestCore,
} from "../support/core.ts";
import {
  conv2dBackward,
  conv2dForward,
  convTranspose2dBackward,
  convTranspose2dForward,
  type WindowSizes,
} from "../support/reference.ts";

const configurations = builds.flatMap((build) =>
  dtypes.map((dtype) => ({ build, core: openCore(build), dtype, name: dtype.dtype })),
);

/** Both layers over one window: they exchange the image and what goes with its places. */
const layers = {
  conv2d: {
    name: "conv2d",
    kind: kinds.conv2d,
    forward: conv2dForward,
    backward: conv2dBackward,
    given: ({ H, W, C }: WindowSizes) => [H, W, C] as const,
    made: ({ OH, OW, F }: WindowSizes) => [OH, OW, F] as const,
  },
  convTranspose2d: {
    name: "conv_transpose2d",
    kind: kinds.convTranspose2d,
    forward: convTranspose2dForward,
    backward: convTranspose2dBackward,
    given: ({ OH, OW, F }: WindowSizes) => [OH, OW, F] as const,
    made: ({ H, W, C }: WindowSizes) => [H, W, C] as const,
  },
};
type Layer = (typeof layers)[keyof typeof layers];
const both = Object.values(layers);

/** A window whose every field that is not given has its plain value: one image pixel, one cell, one channel. */
function windowOf(given: Partial<WindowSizes>): WindowSizes {
  const plain = { H: 1, W: 1, C: 1, F: 1, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, groups: 1 };
  const s = { ...plain, top: 0, left: 0, ...given };
  const places = (n: number, K: number, S: number, D: number, before: number) =>
    Math.max(Math.floor((n + 2 * before - D * (K - 1) - 1) / S) + 1, 1);
  return {
    ...s,
    OH: given.OH ?? places(s.H, s.KH, s.SH, s.DH, s.top),
    OW: given.OW ?? places(s.W, s.KW, s.SW, s.DW, s.left),
  };
}

interface Operands {
  x: Floats;
  w: Floats;
  b: Floats;
  dout: Floats;
}
const product = (numbers: readonly number[]) => numbers.reduce((a, b) => a * b, 1);
const weightsOf = (s: WindowSizes) => (s.KH * s.KW * s.C * s.F) / s.groups;

function draw(
  layer: Layer,
  { array }: DType,
  s: WindowSizes,
  N: number,
  random: () => number,
): Operands {
  const values = (n: number) => array.from({ length: n }, () => 2 * random() - 1);
  return {
    x: values(N * product(layer.given(s))),
    w: values(weightsOf(s)),
    b: values(layer.made(s)[2]),
    dout: values(N * product(layer.made(s))),
  };
}

type Name = "x" | "w" | "b" | "dout" | "out" | "dx" | "dw" | "db" | "work";
type Places = Partial<Record<Name, Place>>;
type Kernel = (...args: number[]) => number;
const kernelOf = (core: TestCore, name: string, { suffix }: DType) =>
  (core.exports as unknown as Record<string, Kernel>)[`${name}_${suffix}`]!;

function placeWindow(core: TestCore, s: WindowSizes): Buffer<Uint32Array> {
  const words = new Uint32Array(WindowWords.length);
  const at: Record<keyof WindowSizes, number> = {
    H: WindowWords.H,
    W: WindowWords.W,
    C: WindowWords.C,
    OH: WindowWords.OH,
    OW: WindowWords.OW,
    F: WindowWords.F,
    KH: WindowWords.KH,
    KW: WindowWords.KW,
    SH: WindowWords.SH,
    SW: WindowWords.SW,
    top: WindowWords.top,
    left: WindowWords.left,
    DH: WindowWords.DH,
    DW: WindowWords.DW,
    groups: WindowWords.groups,
  };
  for (const [name, place] of Object.entries(at)) words[place] = s[name as keyof WindowSizes];
  return core.input(words, { name: "window" });
}

function forward(
  layer: Layer,
  core: TestCore,
  dtype: DType,
  s: WindowSizes,
  N: number,
  { x, w, b }: { x: Floats; w: Floats; b: Floats | null },
  places: Places = {},
): number[] {
  core.reset();
  const window = placeWindow(core, s).address;
  const bytes = kernelOf(core, `${layer.name}_forward_work_bytes`, dtype)(window, N);
  const out = core.output(dtype.array, N * product(layer.made(s)), { name: "out", ...places.out });
  kernelOf(core, `${layer.name}_forward`, dtype)(
    out.address,
    core.input(x, { name: "x", ...places.x }).address,
    core.input(w, { name: "w", ...places.w }).address,
    b === null ? 0 : core.input(b, { name: "b", ...places.b }).address,
    core.work(bytes, { name: "work", ...places.work }).address,
    window,
    N,
  );
  core.checkGuards();
  return Array.from(out.values());
}

const gradients = ["dx", "dw", "db"] as const;

function backward(
  layer: Layer,
  core: TestCore,
  dtype: DType,
  s: WindowSizes,
  N: number,
  { x, w, dout }: Operands,
  places: Places = {},
  wanted: readonly (typeof gradients)[number][] = gradients,
): { dx: number[]; dw: number[]; db: number[] } {
  core.reset();
  const window = placeWindow(core, s).address;
  const bytes = kernelOf(core, `${layer.name}_backward_work_bytes`, dtype)(window, N);
  const lengths = { dx: x.length, dw: w.length, db: layer.made(s)[2] };
  const outputs = gradients.map((name) =>
    wanted.includes(name)
      ? core.output(dtype.array, lengths[name], { name, ...places[name] })
      : null,
  );
  kernelOf(core, `${layer.name}_backward`, dtype)(
    ...outputs.map((output) => output?.address ?? 0),
    core.input(dout, { name: "dout", ...places.dout }).address,
    core.input(x, { name: "x", ...places.x }).address,
    core.input(w, { name: "w", ...places.w }).address,
    core.work(bytes, { name: "work", ...places.work }).address,
    window,
    N,
  );
  core.checkGuards();
  const [dx, dw, db] = outputs.map((output) => Array.from(output?.values() ?? []));
  return { dx: dx!, dw: dw!, db: db! };
}

/** What a predictor's operation gives, whose filter is packed in a core of the dtype. */
function predict(
  layer: Layer,
  core: TestCore,
  dtype: DType,
  s: WindowSizes,
  N: number,
  { x, w, b }: Operands,
  [floor, ceiling]: readonly [number, number],
): number[] {
  core.reset();
  const out = core.output(dtype.array, N * product(layer.made(s)), { name: "out" });
  const words = new Uint32Array(OperationWords.length);
  words[OperationWords.kind] = layer.kind;
  words[OperationWords.out] = out.address;
  words[OperationWords.x] = core.input(x, { name: "x" }).address;
  words[OperationWords.b] = core.input(b, { name: "b" }).address;
  words[OperationWords.window] = placeWindow(core, s).address;
  new Float64Array(words.buffer, 4 * OperationWords.value0, 1)[0] = floor;
  new Float64Array(words.buffer, 4 * OperationWords.value1, 1)[0] = ceiling;
  /** The address of the operation as it is by now. */
  const operation = () => core.input(words).address;
  const kernel = (name: string) => kernelOf(core, name, dtype);
  words[OperationWords.a] = core.work(kernel("predict_pack_bytes")(operation()), {
    name: "panels",
  }).address;
  words[OperationWords.work] = core.work(kernel("predict_work_bytes")(operation(), N)).address;
  kernel("predict_pack")(operation(), core.input(w, { name: "w" }).address);
  kernel("predict")(operation(), 1, N);
  core.checkGuards();
  return Array.from(out.values());
}

const absolute = (a: Floats) => Array.from(a, Math.abs);

/**
 * Each of a sum's products is rounded once and passes through at most 256 sums of its block; then come a sum for each
 * block and one with the bias. Each rounds by ε/2 of what is there, which is never more than the sum of the absolute
 * products. The float64 loops round as often as there are products.
 */
function checkNear(
  what: string,
  { epsilon }: DType,
  actual: readonly number[],
  expected: readonly number[],
  size: readonly number[],
  terms: number,
): void {
  expect(actual.length).toBe(expected.length);
  const bound = ((Math.min(terms, 256) + terms / 64 + 4) * epsilon) / 2 + terms * 2 ** -53;
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(actual[i]! - expected[i]!) <= bound * size[i]!)) {
      expect.fail(`${what}[${i}] is ${actual[i]} and not ${expected[i]}`);
    }
  }
}

function checkAll(
  layer: Layer,
  core: TestCore,
  dtype: DType,
  s: WindowSizes,
  N: number,
  random: () => number,
  places: Places = {},
): void {
  const operands = draw(layer, dtype, s, N, random);
  const { x, w, b, dout } = operands;
  const what = `${layer.name} of ${N} images, ${JSON.stringify(s)}: `;
  const out = forward(layer, core, dtype, s, N, operands, places);
  const [ax, aw, ab, ad] = [x, w, b, dout].map(absolute);
  const terms = Math.max(s.C, s.F) * s.KH * s.KW;
  const size = layer.forward(ax!, aw!, ab!, s, N);
  checkNear(`${what}out`, dtype, out, layer.forward(x, w, b, s, N), size, terms);
  const expected = layer.backward(dout, x, w, s, N);
  const sizes = layer.backward(ad!, ax!, aw!, s, N);
  const actual = backward(layer, core, dtype, s, N, operands, places);
  checkNear(`${what}dx`, dtype, actual.dx, expected.dx, sizes.dx, terms);
  const pixels = N * Math.max(s.OH * s.OW, s.H * s.W);
  checkNear(`${what}dw`, dtype, actual.dw, expected.dw, sizes.dw, pixels);
  checkNear(`${what}db`, dtype, actual.db, expected.db, sizes.db, pixels);
}

const square = (size: number) => ({ KH: size, KW: size });
const padded = (size: number) => ({ top: size, left: size });
const stride = (size: number) => ({ SH: size, SW: size });
const dilation = (size: number) => ({ DH: size, DW: size });

/** What is asked of each: [name, window]. */
const geometries: (readonly [string, WindowSizes])[] = (
  [
    ["one pixel, one channel", {}],
    ["an image of one pixel, a kernel larger than it", { C: 3, F: 2, ...square(5), ...padded(2) }],
    ["a kernel larger than the image", { H: 2, W: 3, C: 17, F: 9, ...square(4), ...padded(2) }],
    ["one channel, five rows of five", { H: 11, W: 9, F: 8, ...square(5), ...padded(2) }],
    ["three channels", { H: 9, W: 10, C: 3, F: 5, ...square(3), ...padded(1) }],
    ["17 channels to 17", { H: 6, W: 7, C: 17, F: 17, ...square(3), ...padded(1) }],
    ["1 × 1, a product", { H: 5, W: 4, C: 9, F: 11 }],
    ["1 × 1 over one pixel, a product of few rows", { C: 40, F: 35 }],
    ["1 × 1 with a stride", { H: 5, W: 6, C: 4, F: 9, ...stride(2) }],
    ["1 × 1 with padding", { H: 3, W: 2, C: 4, F: 9, ...padded(1) }],
    ["1 × 1 that leaves the last line out", { H: 5, W: 4, C: 3, F: 4, OH: 4, OW: 4 }],
    ["a stride that leaves a rest", { H: 10, W: 9, C: 2, F: 3, ...square(2), SH: 3, SW: 4 }],
    ["a stride longer than the kernel", { H: 11, W: 7, C: 5, F: 8, ...square(2), ...stride(3) }],
    ["a stride of 2", { H: 9, W: 8, C: 6, F: 16, ...square(3), ...stride(2), ...padded(1) }],
    ["a dilation", { H: 9, W: 8, C: 6, F: 8, ...square(3), ...dilation(2), ...padded(2) }],
    [
      "a dilation and a stride",
      { H: 11, W: 9, C: 4, F: 7, ...square(3), ...dilation(2), ...stride(3) },
    ],
    [
      "a dilation that the stride divides",
      { H: 9, W: 9, C: 4, F: 7, ...square(3), ...dilation(4), ...stride(2), ...padded(4) },
    ],
    [
      "a dilation that divides the stride",
      { H: 9, W: 9, C: 4, F: 7, ...square(3), ...dilation(2), ...stride(4), ...padded(2) },
    ],
    ["lines alone", { H: 1, W: 19, C: 4, F: 6, KH: 1, KW: 5, left: 2 }],
    [
      "pixels in the padding alone",
      { H: 2, W: 2, C: 3, F: 4, ...square(2), ...padded(5), OH: 12, OW: 12 },
    ],
    ["image beyond the last window", { H: 9, W: 9, C: 3, F: 4, ...square(2), OH: 3, OW: 5 }],
    ["more than 256 channels", { H: 3, W: 2, C: 300, F: 9, ...square(2), ...padded(1) }],
    ["taps of more than 256 products", { H: 3, W: 5, C: 90, F: 10, KH: 2, KW: 3, ...padded(1) }],
    ["more than 128 pixels", { H: 12, W: 13, C: 8, F: 16, ...square(3), ...padded(1) }],
    ["many columns", { H: 4, W: 4, C: 66, F: 200, ...square(3), ...padded(1) }],
    ["groups", { H: 6, W: 5, C: 12, F: 18, ...square(3), ...padded(1), groups: 3 }],
    ["groups of one column", { H: 6, W: 5, C: 12, F: 3, ...square(3), ...padded(1), groups: 3 }],
    [
      "a group for each channel, two columns each",
      { H: 6, W: 5, C: 5, F: 10, ...square(3), groups: 5 },
    ],
    ["depthwise", { H: 7, W: 9, C: 19, F: 19, ...square(3), ...padded(1), groups: 19 }],
    [
      "depthwise with a stride",
      { H: 9, W: 8, C: 8, F: 8, ...square(3), ...stride(2), ...padded(1), groups: 8 },
    ],
    [
      "depthwise with a dilation",
      { H: 9, W: 8, C: 24, F: 24, KH: 2, KW: 4, ...dilation(2), ...padded(2), groups: 24 },
    ],
    [
      "depthwise of two channels",
      { H: 4, W: 4, C: 2, F: 2, ...square(3), ...padded(1), groups: 2 },
    ],
    [
      "depthwise of 300 channels",
      { H: 3, W: 2, C: 300, F: 300, ...square(2), ...padded(1), groups: 300 },
    ],
  ] as const
).map(([name, given]) => [name, windowOf(given)] as const);

describe.each(configurations)("convolution in $name, $build core", ({ core, dtype }) => {
  describe.each(both)("$name", (layer) => {
    test.each(geometries)("is the sum of its products: %s", (_, s) => {
      const random = seeded(1);
      for (const N of [1, 3]) checkAll(layer, core, dtype, s, N, random);
    });

    test("is the sum of its products for windows drawn at random", () => {
      const random = seeded(2);
      const whole = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
      for (let round = 0; round < 150; round++) {
        const isDepthwise = random() < 0.25;
        const groups = isDepthwise ? whole(2, 20) : whole(1, 3);
        const s: WindowSizes = {
          ...{ H: whole(1, 8), W: whole(1, 8), OH: whole(1, 6), OW: whole(1, 6) },
          C: groups * (isDepthwise ? 1 : whole(1, 9)),
          F: groups * (isDepthwise ? 1 : whole(1, 9)),
          ...{ KH: whole(1, 4), KW: whole(1, 4), SH: whole(1, 4), SW: whole(1, 4) },
          ...{ top: whole(0, 4), left: whole(0, 4), DH: whole(1, 4), DW: whole(1, 4), groups },
        };
        checkAll(layer, core, dtype, s, whole(1, 2), random);
      }
    });

    test("of no images writes no pixel, and gradients of 0", () => {
      for (const [, s] of geometries) {
        const operands = draw(layer, dtype, s, 0, seeded(3));
        expect(forward(layer, core, dtype, s, 0, operands)).toEqual([]);
        const { dx, dw, db } = backward(layer, core, dtype, s, 0, operands);
        expect(dx).toEqual([]);
        expect([...dw, ...db].every((value) => Object.is(value, 0))).toBe(true);
      }
    });

    test("without a bias is the same sum", () => {
      const random = seeded(4);
      for (const [, s] of geometries) {
        const operands = draw(layer, dtype, s, 1, random);
        operands.b.fill(0);
        const out = forward(layer, core, dtype, s, 1, { ...operands, b: null });
        expect(out).toEqual(forward(layer, core, dtype, s, 1, operands));
      }
    });

    test("leaves out a gradient whose address is 0, and gives the others the same bits", () => {
      const random = seeded(5);
      for (const [, s] of geometries) {
        const operands = draw(layer, dtype, s, 2, random);
        const all = backward(layer, core, dtype, s, 2, operands);
        for (const name of gradients) {
          expect(backward(layer, core, dtype, s, 2, operands, {}, [name])[name]).toEqual(all[name]);
        }
      }
    });

    test("gives the same bits at addresses that are aligned to one element only, and at the memory's end", () => {
      const random = seeded(6);
      for (const [, s] of geometries) {
        const operands = draw(layer, dtype, s, 1, random);
        const out = forward(layer, core, dtype, s, 1, operands);
        const all = backward(layer, core, dtype, s, 1, operands);
        for (const place of [{ offset: dtype.bytes }, { last: true }]) {
          for (const name of ["x", "w", "b", "out", "work"]) {
            expect(forward(layer, core, dtype, s, 1, operands, { [name]: place })).toEqual(out);
          }
          for (const name of ["x", "w", "dout", "dx", "dw", "db", "work"]) {
            expect(backward(layer, core, dtype, s, 1, operands, { [name]: place })).toEqual(all);
          }
        }
      }
    });

    test("gives an image the same bits alone as among others", () => {
      const random = seeded(7);
      for (const [, s] of geometries) {
        // More rows of a plain product may go another way, which gemm.test.ts shows to have the same bits.
        const N = 5;
        const operands = draw(layer, dtype, s, N, random);
        const out = forward(layer, core, dtype, s, N, operands);
        const { dx } = backward(layer, core, dtype, s, N, operands);
        const part = <A extends Floats | number[]>(a: A, n: number) =>
          a.slice((a.length / N) * n, (a.length / N) * (n + 1)) as A;
        for (let n = 0; n < N; n++) {
          const { x, dout } = operands;
          const alone = { ...operands, x: part(x, n), dout: part(dout, n) };
          expect(forward(layer, core, dtype, s, 1, alone)).toEqual(part(out, n));
          expect(backward(layer, core, dtype, s, 1, alone).dx).toEqual(part(dx, n));
        }
      }
    });

    test("padding adds nothing: infinite weights give no NaN beside the image", () => {
      for (const [, s] of geometries) {
        const operands = draw(layer, dtype, s, 1, seeded(8));
        for (const name of ["x", "w", "dout"] as const) operands[name].fill(1);
        operands.b.fill(0);
        operands.w.fill(Number.POSITIVE_INFINITY);
        const { x, w, b, dout } = operands;
        expect(forward(layer, core, dtype, s, 1, operands)).toEqual(layer.forward(x, w, b, s, 1));
        const { dx } = backward(layer, core, dtype, s, 1, operands);
        expect(dx).toEqual(layer.backward(dout, x, w, s, 1).dx);
      }
    });

    test.each([NaN, Infinity])(
      "%d in dout is where a product takes it, and nowhere else",
      (value) => {
        const random = seeded(9);
        for (const [, s] of geometries) {
          const operands = draw(layer, dtype, s, 2, random);
          const { x, w, dout } = operands;
          const place = Math.floor(random() * dout.length);
          dout[place] = value;
          const actual = backward(layer, core, dtype, s, 2, operands);
          const expected = layer.backward(dout, x, w, s, 2);
          for (const name of gradients) {
            const finite = (a: number[]) => a.map((v) => (Number.isFinite(v) ? 0 : v));
            expect(finite(actual[name])).toEqual(finite(expected[name]));
          }
        }
      },
    );

    test("an operation of a predictor gives the layer's bits, between its floor and its ceiling", () => {
      const random = seeded(10);
      for (const [, s] of geometries) {
        for (const N of [1, 2]) {
          const operands = draw(layer, dtype, s, N, random);
          operands.x[0] = NaN;
          const out = forward(layer, core, dtype, s, N, operands);
          const at = (floor: number, ceiling: number) =>
            predict(layer, core, dtype, s, N, operands, [floor, ceiling]);
          expect(at(-Infinity, Infinity)).toEqual(out);
          expect(at(0, Infinity)).toEqual(out.map((v) => (v < 0 ? 0 : v)));
          const [low, high] = [-0.25, 0.5];
          const bounded = out.map((v) => (v < low ? low : v > high ? high : v));
          expect(at(low, high)).toEqual(bounded);
        }
      }
    });
  });

  test("a product of one pixel each has the bits of the affine layer", () => {
    const random = seeded(11);
    const s = windowOf({ H: 5, W: 7, C: 300, F: 21 });
    const { x, w, b } = draw(layers.conv2d, dtype, s, 2, random);
    const out = forward(layers.conv2d, core, dtype, s, 2, { x, w, b });
    core.reset();
    const sizes = [70, 300, 21] as const;
    const work = core.work(kernelOf(core, "affine_forward_work_bytes", dtype)(...sizes));
    const expected = core.output(dtype.array, 70 * 21);
    const [ax, aw, ab] = [x, w, b].map((a) => core.input(a).address);
    const args = [expected.address, ax!, aw!, ab!, work.address, ...sizes];
    kernelOf(core, "affine_forward", dtype)(...args);
    expect(out).toEqual(Array.from(expected.values()));
  });

  test("the filter's gradient is as near for a million equal pixels as for a few", () => {
    const big = openCore("release", 64 * 1024 * 1024);
    for (const groups of [1, 2]) {
      const s = windowOf({ H: 1000, W: 1000, C: 2, F: 2, KW: 2, groups });
      const operands = draw(layers.conv2d, dtype, s, 1, seeded(12));
      operands.x.fill(0.1);
      operands.dout.fill(1);
      const { dw } = backward(layers.conv2d, big, dtype, s, 1, operands, {}, ["dw"]);
      const sum = s.OH * s.OW * operands.x[0]!;
      // 256 terms of 0.1 are summed in the dtype, and some 4,000 of these sums in float64.
      const bound = dtype.bytes === 4 ? 64 * dtype.epsilon : 2000 * dtype.epsilon;
      for (const value of dw) expect(Math.abs(value / sum - 1)).toBeLessThan(bound);
    }
  });

  test("the workspace of a batch has room for each smaller one", () => {
    core.reset();
    for (const [, s] of geometries) {
      const window = placeWindow(core, s).address;
      for (const name of ["conv2d_forward", "conv2d_backward", "conv_transpose2d_forward"]) {
        const bytes = kernelOf(core, `${name}_work_bytes`, dtype);
        const all = [3, 4, 7, 64, 300, 5000].map((N) => bytes(window, N));
        expect(all, `${name} ${JSON.stringify(s)}`).toEqual(all.toSorted((a, b) => a - b));
      }
    }
  });
});

test("the workspace is below one image's im2col matrix but for tables, for images of 64 pixels and more", () => {
  const core = openCore("release");
  const dtype = dtypes[0]!;
  for (const [size, C, F, K] of [
    [28, 8, 16, 5],
    [32, 64, 64, 3],
    [14, 256, 512, 3],
    [56, 64, 64, 3],
    [8, 512, 512, 3],
  ] as const) {
    const s = windowOf({ H: size, W: size, C, F, ...square(K), ...padded(K >> 1) });
    core.reset();
    const window = placeWindow(core, s).address;
    const im2col = 4 * s.OH * s.OW * K * K * C;
    const tables = 16384;
    expect(kernelOf(core, "conv2d_forward_work_bytes", dtype)(window, 1)).toBeLessThan(
      im2col + tables,
    );
  }
});
