import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  DisposedError,
  numericalGradient,
  relativeError,
  reluBackward,
  reluForward,
} from "../../src/index.ts";
import { dtypes, type Floats, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import {
  configurations,
  float64Of,
  GRADIENT_BOUND,
  goldenError,
  gradientSizes,
  numbers,
  offsets,
  reportErrors,
  sizes,
  track,
  values,
} from "./common.ts";

reportErrors();

/** Values of both signs, among them every kind that is not an ordinary number. */
function draw(array: (typeof dtypes)[number]["array"], n: number, random: () => number): Floats {
  const smallest = array.BYTES_PER_ELEMENT === 4 ? 2 ** -149 : 2 ** -1074;
  const special = [0, -0, NaN, Infinity, -Infinity, smallest, -smallest];
  return array.from({ length: n }, () =>
    random() < 0.3 ? special[Math.floor(random() * special.length)]! : 2 * random() - 1,
  );
}

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix } = type;
  const forward = core.exports[`relu_forward_${suffix}`];
  const backward = core.exports[`relu_backward_${suffix}`];

  test("is the plain twin to the bit at every length and address, and writes no other byte", () => {
    const random = seeded(31);
    for (const n of sizes) {
      for (const [from, to] of offsets.flatMap((a) => offsets.map((b) => [a, b]))) {
        core.reset();
        const [x, dout] = [draw(array, n, random), draw(array, n, random)];
        const xAt = core.input(x, { offset: from! });
        const doutAt = core.input(dout, { offset: to! });
        const out = core.output(array, n, { offset: to! });
        const dx = core.output(array, n, { offset: from! });
        forward(out.address, xAt.address, n);
        backward(dx.address, doutAt.address, xAt.address, n);
        core.checkGuards();
        expect(numbers(out.values())).toEqual(reference.reluForward(x));
        expect(numbers(dx.values())).toEqual(reference.reluBackward(dout, x));
      }
    }
  });

  test("gives the same in place", () => {
    const random = seeded(32);
    for (const n of sizes) {
      for (const offset of offsets) {
        core.reset();
        const [x, dout] = [draw(array, n, random), draw(array, n, random)];
        const xAt = core.input(x, { offset });
        const out = core.inout(x, { offset });
        const dx = core.inout(dout, { offset });
        forward(out.address, out.address, n);
        backward(dx.address, dx.address, xAt.address, n);
        core.checkGuards();
        expect(numbers(out.values())).toEqual(reference.reluForward(x));
        expect(numbers(dx.values())).toEqual(reference.reluBackward(dout, x));
      }
    }
  });

  test("reads and writes nothing beyond the end of the memory", () => {
    const random = seeded(33);
    for (const n of sizes) {
      const [x, dout] = [draw(array, n, random), draw(array, n, random)];
      for (const name of ["x", "dout", "out", "dx"]) {
        core.reset();
        const at = (other: string) => ({ last: name === other });
        const xAt = core.input(x, at("x"));
        const doutAt = core.input(dout, at("dout"));
        const out = core.output(array, n, at("out"));
        const dx = core.output(array, n, at("dx"));
        forward(out.address, xAt.address, n);
        backward(dx.address, doutAt.address, xAt.address, n);
        core.checkGuards();
        expect(numbers(out.values())).toEqual(reference.reluForward(x));
        expect(numbers(dx.values())).toEqual(reference.reluBackward(dout, x));
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, array }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: ArrayLike<number>, shape = [data.length]) =>
    runtime.tensor(array.from(data), shape, dtype);

  test("is the plain twin for any shape, which the results keep", () => {
    const random = seeded(34);
    for (const shape of [[], [5], [3, 7], [2, 3, 4, 5], [3, 0], [0]]) {
      const n = shape.reduce((a, b) => a * b, 1);
      const [x, dout] = [draw(array, n, random), draw(array, n, random)];
      const { out, cache } = reluForward(tensor(x, shape));
      const dx = reluBackward(tensor(dout, shape), cache);
      expect([out.shape, dx.shape]).toEqual([shape, shape]);
      expect([out.dtype, dx.dtype]).toEqual([dtype, dtype]);
      expect(values(out)).toEqual(reference.reluForward(x));
      expect(values(dx)).toEqual(reference.reluBackward(dout, x));
    }
  });

  test("NaN stays NaN, −0 becomes 0, ±∞ become ∞ and 0, and subnormal numbers are kept", () => {
    const smallest = array.BYTES_PER_ELEMENT === 4 ? 2 ** -149 : 2 ** -1074;
    const x = tensor([NaN, -0, 0, Infinity, -Infinity, smallest, -smallest, 1, -1]);
    const { out } = reluForward(x);
    expect(values(out)).toEqual([NaN, 0, 0, Infinity, 0, smallest, 0, 1, 0]);
  });

  test("the gradient is 0 at exactly 0, and at NaN; a NaN in dout passes where x is above 0 alone", () => {
    const smallest = array.BYTES_PER_ELEMENT === 4 ? 2 ** -149 : 2 ** -1074;
    const { cache } = reluForward(tensor([0, -0, NaN, -1, 1, smallest, Infinity, -Infinity]));
    expect(values(reluBackward(tensor([1, 2, 3, 4, 5, 6, 7, 8]), cache))).toEqual([
      ...[0, 0, 0, 0, 5, 6, 7, 0],
    ]);
    const nan = tensor(new Array(8).fill(NaN));
    expect(values(reluBackward(nan, cache))).toEqual([0, 0, 0, 0, NaN, NaN, NaN, 0]);
  });

  test("writes into a destination, over what it held", () => {
    const x = tensor([-1, 2, -3, 4, 5]);
    const out = tensor(new Array(5).fill(NaN));
    const result = reluForward(x, { out });
    expect(result.out).toBe(out);
    expect(values(out)).toEqual([0, 2, 0, 4, 5]);
    expect(values(x)).toEqual([-1, 2, -3, 4, 5]);
    const dx = tensor(new Array(5).fill(NaN));
    expect(reluBackward(tensor([1, 1, 2, 2, 3]), result.cache, { dx })).toBe(dx);
    expect(values(dx)).toEqual([0, 1, 0, 2, 3]);
  });

  test("in place, x becomes out and dout becomes dx, with the same values", () => {
    const random = seeded(35);
    const [x, dout] = [draw(array, 33, random), draw(array, 33, random)];
    const inPlace = tensor(x);
    const gradient = tensor(dout);
    const { out, cache } = reluForward(inPlace, { out: inPlace });
    expect(out).toBe(inPlace);
    expect(values(inPlace)).toEqual(reference.reluForward(x));
    expect(reluBackward(gradient, cache, { dx: gradient })).toBe(gradient);
    expect(values(gradient)).toEqual(reference.reluBackward(dout, x));
  });

  test("a cache serves any number of backward calls", () => {
    const { cache } = reluForward(tensor([-1, 2, 3]));
    for (const k of [1, 2, 3]) {
      expect(values(reluBackward(tensor([k, k, k]), cache))).toEqual([0, k, k]);
    }
  });

  test("a cache keeps its x after x is disposed, and lets it go when it is disposed itself", () => {
    const { bytesLive, tensors } = runtime.memory;
    const x = tensor([-1, 2, 3]);
    const { out, cache } = reluForward(x);
    x.dispose();
    tensor([9, 9, 9]).dispose(); // takes x's place, had it been freed
    const dout = tensor([1, 1, 1]);
    const dx = reluBackward(dout, cache);
    expect(values(dx)).toEqual([0, 1, 1]);
    cache.dispose();
    cache.dispose();
    expect(() => reluBackward(dout, cache)).toThrow(DisposedError);
    for (const handle of [out, dout, dx]) handle.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });
});

test("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { x, dout, out, dx } = golden("layers").relu;
  const result = reluForward(fromGolden(runtime, x));
  expect(goldenError(result.out, out)).toBe(0);
  expect(goldenError(reluBackward(fromGolden(runtime, dout), result.cache), dx)).toBe(0);
});

describe("gradients", () => {
  const runtime = createRuntimeSync();
  const random = seeded(36);
  /** At least 0.1 away from the kink at 0. */
  const away = () => (random() < 0.5 ? -1 : 1) * (0.1 + random());

  test("float64 agrees with central differences", () => {
    for (const N of gradientSizes) {
      for (const D of gradientSizes) {
        runtime.scope(() => {
          const shape = [N, D];
          const x = runtime.tensor(Array.from({ length: N * D }, away), shape, "float64");
          const dout = runtime.tensor(reference.normals(N * D, random), shape, "float64");
          const dx = reluBackward(dout, reluForward(x).cache);
          // Linear between the kinks: a large step loses no accuracy, and rounding weighs less in
          // it.
          const expected = numericalGradient((x) => reluForward(x).out, x, dout, 2 ** -4);
          const error = track("relu gradient dx float64", relativeError(dx, expected));
          expect(error).toBeLessThan(GRADIENT_BOUND);
        });
      }
    }
  });

  test("float32 is float64 on the same inputs, to the bit", () => {
    for (const N of gradientSizes) {
      runtime.scope(() => {
        const shape = [N, 9];
        const x = runtime.tensor(Array.from({ length: N * 9 }, away), shape, "float32");
        const dout = runtime.tensor(reference.normals(N * 9, random), shape, "float32");
        const dx = reluBackward(dout, reluForward(x).cache);
        const { cache } = reluForward(float64Of(runtime, x));
        const dx64 = reluBackward(float64Of(runtime, dout), cache);
        const error = reference.deviation(dx.data, dx64.data);
        expect(track("relu gradient dx float32", error)).toBe(0);
      });
    }
  });
});
