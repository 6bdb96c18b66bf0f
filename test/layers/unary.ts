// The properties that all layers of one operand and an output of its shape share, tried on each by
// its own test file.

import { describe, expect, test } from "vitest";
import {
  AliasError,
  type Cache,
  createRuntimeSync,
  DisposedError,
  type FloatDType,
  numericalGradient,
  relativeError,
  type Tensor,
} from "../../src/index.ts";
import { dtypes, type Exports, type Floats, seeded } from "../support/core.ts";
import { fromGolden, type GoldenArray } from "../support/golden.ts";
import { absolute, deviation, type Numbers, normals } from "../support/reference.ts";
import {
  configurations,
  float64Of,
  GOLDEN_BOUND,
  GRADIENT_BOUND,
  goldenError,
  gradientSizes,
  numbers,
  offsets,
  sizes,
  track,
  values,
} from "./common.ts";

type UnaryExports = Record<string, (...addresses: number[]) => void>;

export interface UnaryLayer {
  /** As in the kernels' names. */
  name: string;
  forward<D extends FloatDType>(
    x: Tensor<D>,
    options?: { out?: Tensor<D> },
  ): { out: Tensor<D>; cache: Cache };
  backward<D extends FloatDType>(
    dout: Tensor<D>,
    cache: never,
    options?: { dx?: Tensor<D> },
  ): Tensor<D>;
  /** Which of the two the backward reads. */
  saves: "x" | "out";
  /** False where the forward refuses out = x. */
  inPlace?: boolean;
  /** Numbers after the length. */
  numbers?: readonly number[];
  twin: {
    forward(x: Numbers): number[];
    backward(dout: Numbers, saved: Numbers): number[];
  };
  /** Of the values relative to each, forward and backward, in units of epsilon. */
  bounds: { forward: number; backward: number };
  /** By what the backward's error is measured, where it is not by each value. */
  backwardScale?(dout: Numbers): number[];
  forwardScale?(x: Numbers, out: Numbers): number[];
  /** What PyTorch gives, with the settings' defaults. */
  golden?: { x: GoldenArray; dout: GoldenArray; out: GoldenArray; dx: GoldenArray };
}

/**
 * Values of both signs and of every size that counts, among them every kind that is not an ordinary
 * number.
 */
function draw(array: (typeof dtypes)[number]["array"], n: number, random: () => number): Floats {
  const smallest = array.BYTES_PER_ELEMENT === 4 ? 2 ** -149 : 2 ** -1074;
  const special = [0, -0, NaN, Infinity, -Infinity, smallest, -smallest, 100, -80, 1e30, -1e30];
  return array.from({ length: n }, () =>
    random() < 0.2 ? special[Math.floor(random() * special.length)]! : 8 * random() - 4,
  );
}

export function testUnaryLayer(layer: UnaryLayer): void {
  const { name, forward, backward, saves, inPlace = true, twin, bounds } = layer;

  /**
   * The error in units of epsilon, relative to each value; numbers below the normal range are held
   * to its border.
   */
  const errorOf = (
    actual: Numbers,
    expected: Numbers,
    bytes: number,
    scale: Numbers = expected,
  ) => {
    const [epsilon, least] = bytes === 4 ? [2 ** -23, 2 ** -126] : [2 ** -52, 2 ** -1022];
    const floor = absolute(scale).map((value) => epsilon * Math.max(value, least));
    return deviation(actual, expected, floor);
  };

  describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
    const { array, suffix, bytes, dtype } = type;
    const exports = core.exports as Exports & UnaryExports;
    const more = layer.numbers ?? [];
    const forwardKernel = exports[`${name}_forward_${suffix}`]!;
    const backwardKernel = exports[`${name}_backward_${suffix}`]!;

    /** Holds results to the twin; the backward's by what the kernel itself has saved. */
    const check = (
      x: Floats,
      dout: Floats,
      out: Floats,
      dx: Floats,
      read = saves === "x" ? x : out,
    ) => {
      const expectedOut = twin.forward(x);
      const scale = layer.forwardScale?.(x, expectedOut);
      const forwardError = errorOf(out, expectedOut, bytes, scale);
      expect(track(`${name} ${dtype} forward, ε`, forwardError)).toBeLessThanOrEqual(
        bounds.forward,
      );
      const expected = twin.backward(dout, read);
      const backwardError = errorOf(dx, expected, bytes, layer.backwardScale?.(dout));
      expect(track(`${name} ${dtype} backward, ε`, backwardError)).toBeLessThanOrEqual(
        bounds.backward,
      );
    };

    const each = (seed: number, places: ((name: string) => object)[]) => {
      const random = seeded(seed);
      for (const n of sizes) {
        for (const place of places) {
          core.reset();
          const [x, dout] = [draw(array, n, random), draw(array, n, random)];
          const xAt = core.input(x, place("x")).address;
          const doutAt = core.input(dout, place("dout")).address;
          const out = core.output(array, n, place("out"));
          const dx = core.output(array, n, place("dx"));
          forwardKernel(out.address, xAt, n, ...more);
          backwardKernel(dx.address, doutAt, saves === "x" ? xAt : out.address, n, ...more);
          core.checkGuards();
          check(x, dout, out.values(), dx.values());
        }
      }
    };

    test("is the plain twin at every length and address, and writes no other byte", () => {
      const pairs = offsets.flatMap((a) => offsets.map((b) => [a, b] as const));
      each(
        41,
        pairs.map(([a, b]) => (operand) => ({
          offset: operand === "x" || operand === "dx" ? a : b,
        })),
      );
    });

    test("reads and writes nothing beyond the end of the memory", () => {
      each(
        42,
        ["x", "dout", "out", "dx"].map((last) => (operand) => ({ last: operand === last })),
      );
    });

    test("gives the same bits in place", () => {
      const random = seeded(43);
      for (const n of sizes) {
        core.reset();
        const [x, dout] = [draw(array, n, random), draw(array, n, random)];
        const xAt = core.input(x);
        const out = core.output(array, n);
        const dx = core.output(array, n);
        forwardKernel(out.address, xAt.address, n, ...more);
        const saved = saves === "x" && !inPlace ? xAt.address : out.address;
        backwardKernel(dx.address, core.input(dout).address, saved, n, ...more);
        const gradient = core.inout(dout);
        backwardKernel(gradient.address, gradient.address, saved, n, ...more);
        expect(numbers(gradient.values())).toEqual(numbers(dx.values()));
        if (inPlace) {
          const both = core.inout(x);
          forwardKernel(both.address, both.address, n, ...more);
          expect(numbers(both.values())).toEqual(numbers(out.values()));
          // What the layer would have saved then serves the backward as well.
          check(x, dout, out.values(), dx.values());
        }
        core.checkGuards();
      }
    });

    test("gives a value the same bits in every lane", () => {
      const random = seeded(44);
      for (let k = 0; k < 50; k++) {
        core.reset();
        const [x, dout] = [draw(array, 1, random)[0]!, draw(array, 1, random)[0]!];
        const n = 7;
        const fill = (value: number) => core.input(array.from(Array(n).fill(value))).address;
        const [out, dx] = [core.output(array, n), core.output(array, n)];
        forwardKernel(out.address, fill(x), n, ...more);
        backwardKernel(dx.address, fill(dout), saves === "x" ? fill(x) : out.address, n, ...more);
        for (const results of [out.values(), dx.values()]) {
          expect(numbers(results)).toEqual(Array(n).fill(results[0]));
        }
      }
    });
  });

  describe.each(dtypes)("the facade in $dtype", ({ dtype, array, bytes }) => {
    const runtime = createRuntimeSync();
    const tensor = (data: ArrayLike<number>, shape = [data.length]) =>
      runtime.tensor(array.from(data), shape, dtype);
    const back = (dout: Tensor<FloatDType>, cache: Cache, options?: { dx?: Tensor<FloatDType> }) =>
      backward(dout, cache as never, options);

    test("is the plain twin for any shape, which the results keep", () => {
      const random = seeded(45);
      for (const shape of [[], [5], [3, 7], [2, 3, 4, 5], [3, 0], [0]]) {
        const n = shape.reduce((a, b) => a * b, 1);
        const [x, dout] = [draw(array, n, random), draw(array, n, random)];
        const { out, cache } = forward(tensor(x, shape));
        const dx = back(tensor(dout, shape), cache);
        expect([out.shape, dx.shape]).toEqual([shape, shape]);
        expect([out.dtype, dx.dtype]).toEqual([dtype, dtype]);
        const expectedOut = twin.forward(x);
        const scale = layer.forwardScale?.(x, expectedOut);
        expect(errorOf(out.data, expectedOut, bytes, scale)).toBeLessThanOrEqual(bounds.forward);
        const expected = twin.backward(dout, saves === "x" ? x : out.data);
        const error = errorOf(dx.data, expected, bytes, layer.backwardScale?.(dout));
        expect(error).toBeLessThanOrEqual(bounds.backward);
      }
    });

    test("writes into a destination, over what it held", () => {
      const [x, dout] = [tensor([-1, 2, -3, 4, 5]), tensor([1, 1, 2, 2, 3])];
      const plain = forward(x);
      const out = tensor(new Array(5).fill(NaN));
      const result = forward(x, { out });
      expect(result.out).toBe(out);
      expect(values(out)).toEqual(values(plain.out));
      expect(values(x)).toEqual([-1, 2, -3, 4, 5]);
      const dx = tensor(new Array(5).fill(NaN));
      expect(back(dout, result.cache, { dx })).toBe(dx);
      expect(values(dx)).toEqual(values(back(dout, plain.cache)));
    });

    test(
      inPlace
        ? "in place, x becomes out and dout becomes dx, with the same values"
        : "refuses to write onto x, which the backward needs, and lets dout become dx",
      () => {
        const random = seeded(46);
        const [x, dout] = [draw(array, 33, random), draw(array, 33, random)];
        const plain = forward(tensor(x));
        const expected = values(back(tensor(dout), plain.cache));
        let cache = plain.cache;
        const target = tensor(x);
        if (inPlace) {
          const result = forward(target, { out: target });
          expect(result.out).toBe(target);
          expect(values(target)).toEqual(values(plain.out));
          cache = result.cache;
        } else {
          const before = values(target);
          expect(() => forward(target, { out: target })).toThrow(AliasError);
          expect(() => forward(target, { out: target.reshape([33]) })).toThrow(/Backward needs x$/);
          expect(values(target)).toEqual(before);
        }
        const gradient = tensor(dout);
        expect(back(gradient, cache, { dx: gradient })).toBe(gradient);
        expect(values(gradient)).toEqual(expected);
      },
    );

    test("a cache serves any number of backward calls, and keeps what it needs until it is disposed", () => {
      const { bytesLive, tensors } = runtime.memory;
      const x = tensor([-1, 2, 3]);
      const { out, cache } = forward(x);
      const dout = tensor([1, 2, 1]);
      const first = back(dout, cache);
      const expected = values(first);
      for (const handle of [x, out]) handle.dispose();
      tensor([9, 9, 9]).dispose(); // takes the place of what was freed
      const second = back(dout, cache);
      expect(values(second)).toEqual(expected);
      cache.dispose();
      cache.dispose();
      expect(() => back(dout, cache)).toThrow(DisposedError);
      for (const handle of [dout, first, second]) handle.dispose();
      expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    });
  });

  const { golden } = layer;
  const compare = (arrays: NonNullable<typeof golden>) => {
    const runtime = createRuntimeSync();
    const { x, dout, out, dx } = arrays;
    const result = forward(fromGolden(runtime, x));
    expect(track(`${name} against PyTorch: out`, goldenError(result.out, out))).toBeLessThan(
      GOLDEN_BOUND,
    );
    const gradient = backward(fromGolden(runtime, dout), result.cache as never);
    expect(track(`${name} against PyTorch: dx`, goldenError(gradient, dx))).toBeLessThan(
      GOLDEN_BOUND,
    );
  };
  if (golden) test("gives what PyTorch gives", () => compare(golden));

  describe("gradients", () => {
    const runtime = createRuntimeSync();
    const random = seeded(47);
    /** 0.1 and more away from 0, where leaky ReLU has its kink, and within 2.1. */
    const away = () => (random() < 0.5 ? -1 : 1) * (0.1 + 2 * random());

    test("float64 agrees with central differences", () => {
      for (const N of gradientSizes) {
        for (const D of gradientSizes) {
          runtime.scope(() => {
            const shape = [N, D];
            const x = runtime.tensor(Array.from({ length: N * D }, away), shape, "float64");
            const dout = runtime.tensor(Array.from({ length: N * D }, away), shape, "float64");
            const dx = backward(dout, forward(x).cache as never);
            // The step errs by h² / 6 of the third derivative, 2e-9; rounding by 2e-16 / h = 2e-12.
            const expected = numericalGradient((x) => forward(x).out, x, dout, 1e-4);
            const error = deviation(dx.data, expected.data, 1);
            expect(track(`${name} gradient dx float64`, error)).toBeLessThan(GRADIENT_BOUND);
          });
        }
      }
    });

    test("float32 is close to float64 on the same inputs", () => {
      for (const N of gradientSizes) {
        runtime.scope(() => {
          const shape = [N, 9];
          const x = runtime.tensor(normals(N * 9, random), shape, "float32");
          const dout = runtime.tensor(normals(N * 9, random), shape, "float32");
          const dx = backward(dout, forward(x).cache as never);
          const { cache } = forward(float64Of(runtime, x));
          const dx64 = backward(float64Of(runtime, dout), cache as never);
          const error = relativeError(float64Of(runtime, dx), dx64);
          // 1 − out loses the digits that out has beyond those of 1: e³ = 20 of them at x = 3.
          expect(track(`${name} gradient dx float32`, error)).toBeLessThan(1e-5);
        });
      }
    });
  });
}
