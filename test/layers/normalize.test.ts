import { describe, expect, test } from "vitest";
import {
  AliasError,
  createRuntimeSync,
  normalizeBackward,
  normalizeForward,
} from "../../src/index.ts";
import { dtypes, type Floats, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { configurations, goldenError, numbers, offsets, sizes, values } from "./common.ts";

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix } = type;
  const forward = core.exports[`normalize_forward_${suffix}`];
  const backward = core.exports[`normalize_backward_${suffix}`];
  /** The twin's steps, each rounded to the dtype. */
  const rounded = (values: number[]) => array.from(values);

  test("is the plain twin to the bit at every length and address, in place too, and writes no other byte", () => {
    const random = seeded(91);
    const places = [
      ...offsets.map((offset) => () => ({ offset })),
      ...["x", "mean", "std", "out", "dx"].map((last) => (name: string) => ({
        last: name === last,
      })),
    ];
    for (const N of [0, 1, 3]) {
      for (const D of sizes) {
        for (const place of places) {
          core.reset();
          const draw = (n: number, least = -1): Floats =>
            array.from({ length: n }, () => least + 2 * random());
          const [x, mean, std] = [draw(N * D), draw(D), draw(D, 0.1)];
          const xAt = core.input(x, place("x")).address;
          const meanAt = core.input(mean, place("mean")).address;
          const stdAt = core.input(std, place("std")).address;
          const out = core.output(array, N * D, place("out"));
          const dx = core.output(array, N * D, place("dx"));
          forward(out.address, xAt, meanAt, stdAt, N, D);
          backward(dx.address, xAt, stdAt, N, D);
          const [both, gradient] = [core.inout(x), core.inout(x)];
          forward(both.address, both.address, meanAt, stdAt, N, D);
          backward(gradient.address, gradient.address, stdAt, N, D);
          core.checkGuards();
          const centred = rounded(reference.normalizeForward(x, mean, Array(D).fill(1)));
          expect(out.values()).toEqual(rounded(reference.normalizeBackward(centred, std)));
          expect(dx.values()).toEqual(rounded(reference.normalizeBackward(x, std)));
          expect(numbers(both.values())).toEqual(numbers(out.values()));
          expect(numbers(gradient.values())).toEqual(numbers(dx.values()));
        }
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: number[], shape: number[]) => runtime.tensor(data, shape, dtype);

  test("takes examples of any shape, in place too, and the cache outlives mean and std", () => {
    const x = tensor([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
    const [mean, std] = [tensor([1, 1, 1, 2], [2, 2]), tensor([2, 4, 1, 1], [2, 2])];
    const { out, cache } = normalizeForward(x, mean, std);
    expect(out.shape).toEqual([2, 2, 2]);
    expect(values(out)).toEqual([0, 0.25, 2, 2, 2, 1.25, 6, 6]);
    expect(normalizeForward(x, mean, std, { out: x }).out).toBe(x);
    expect(values(x)).toEqual(values(out));
    for (const handle of [mean, std]) handle.dispose();
    const dx = normalizeBackward(runtime.ones([2, 2, 2], dtype), cache);
    expect(values(dx)).toEqual([0.5, 0.25, 1, 1, 0.5, 0.25, 1, 1]);
    expect(normalizeBackward(out, cache, { dx: out })).toBe(out);
    expect(values(out)).toEqual([0, 0.0625, 2, 2, 1, 0.3125, 6, 6]);
  });

  test("never writes onto the mean or the deviations", () => {
    const [x, mean, std] = [tensor([1], [1, 1]), tensor([1], [1]), tensor([2], [1])];
    for (const each of [mean, std]) {
      const out = each.reshape([1, 1]);
      expect(() => normalizeForward(x, mean, std, { out })).toThrow(AliasError);
    }
    const { cache } = normalizeForward(x, mean, std);
    const dx = std.reshape([1, 1]);
    expect(() => normalizeBackward(x, cache, { dx })).toThrow(AliasError);
    expect([values(mean), values(std)]).toEqual([[1], [2]]);
  });

  test("a deviation of 0 follows IEEE 754", () => {
    const x = tensor([1, 2, 3], [3, 1]);
    const { out } = normalizeForward(x, tensor([2], [1]), tensor([0], [1]));
    expect(values(out)).toEqual([-Infinity, NaN, Infinity]);
  });
});

test("gives what PyTorch gives, to the bit", () => {
  const runtime = createRuntimeSync();
  const { x, mean, std, dout, out, dx } = golden("layers").normalize;
  const [means, stds] = [fromGolden(runtime, mean), fromGolden(runtime, std)];
  const result = normalizeForward(fromGolden(runtime, x), means, stds);
  expect(goldenError(result.out, out)).toBe(0);
  expect(goldenError(normalizeBackward(fromGolden(runtime, dout), result.cache), dx)).toBe(0);
});
