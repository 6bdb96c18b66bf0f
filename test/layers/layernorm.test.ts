import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  groupnormBackward,
  groupnormForward,
  layernormBackward,
  layernormForward,
  numericalGradient,
  relativeError,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import { dtypes, type Exports, type Floats, seeded } from "../support/core.ts";
import * as twins from "../support/images.ts";
import { deviation, magnitude, normals } from "../support/reference.ts";
import { configurations, GRADIENT_BOUND, numbers, reportErrors, track, values } from "./common.ts";

reportErrors();

/** The kernels' own order of an image (N, S, C). */
const lastOf = (N: number, S: number, C: number): twins.Image => ({
  N,
  C,
  H: 1,
  W: S,
  isLast: true,
});

const lengths = [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 67, 300];
const shapes = [1, 2, 7, 33].flatMap((S) =>
  [
    [1, 1],
    [3, 1],
    [4, 4],
    [6, 3],
    [9, 9],
    [34, 2],
  ].map(([C, G]) => [S, C!, G!] as const),
);

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, epsilon, dtype } = type;
  const exports = core.exports as Exports & Record<string, (...args: number[]) => number>;
  const kernel = (name: string) => exports[`${name}_${suffix}`]!;
  const draw = (n: number, random: () => number): Floats => array.from(normals(n, random));

  /**
   * Calls both kernels and holds them to the twin; `large` is the mean of x beside its deviation of
   * 1.
   */
  function check(
    name: "layernorm" | "groupnorm",
    x: Floats,
    gains: number,
    groups: readonly twins.Group[],
    sizes: number[],
    workBytes: number,
    random: () => number,
  ): void {
    const n = x.length;
    const [gamma, beta, dout] = [draw(gains, random), draw(gains, random), draw(n, random)];
    const eps = 1e-5;
    const xAt = core.input(x, { offset: 4 }).address;
    const gammaAt = core.input(gamma, { offset: 8 }).address;
    const betaAt = core.input(beta).address;
    const doutAt = core.input(dout).address;
    const work = name === "layernorm" ? [] : [core.work(workBytes).address];
    const backwardWork = core.work(workBytes).address;
    const saved = core.output(Float64Array, 2 * groups.length);
    const out = core.output(array, n, { last: true });
    kernel(`${name}_forward`)(
      out.address,
      saved.address,
      xAt,
      gammaAt,
      betaAt,
      ...work,
      ...sizes,
      eps,
    );
    const [dx, dgamma] = [core.output(array, n, { offset: 8 }), core.output(array, gains)];
    const dbeta = core.output(array, gains, { offset: 4 });
    const backward = (...to: number[]) =>
      kernel(`${name}_backward`)(
        ...to,
        doutAt,
        xAt,
        gammaAt,
        saved.address,
        backwardWork,
        ...sizes,
      );
    backward(dx.address, dgamma.address, dbeta.address);
    core.checkGuards();

    const bound = 24 * epsilon; // of numbers about 1: a normalised value is rounded some five times
    const expected = twins.groupsForward(x, gamma, beta, groups, eps);
    const scale = 1 + magnitude(expected);
    const error = deviation(out.values(), expected, scale * epsilon);
    expect(track(`${name} ${dtype} forward, ε`, error)).toBeLessThanOrEqual(24);
    const gradients = twins.groupsBackward(dout, x, gamma, groups, eps);
    for (const [key, actual] of Object.entries({ dx, dgamma, dbeta })) {
      const wanted = gradients[key as keyof typeof gradients];
      // 1 / std multiplies the errors of dx: small groups have deviations far below 1.
      const most = key === "dx" ? magnitude(saved.values()) : 1;
      const size = 4 * most + magnitude(wanted);
      const apart = deviation(actual.values(), wanted, size);
      expect(track(`${name} ${dtype} ${key}`, apart / bound)).toBeLessThanOrEqual(1);
    }

    // What is left out is not written, and the rest is the same.
    const [whole, gain, bias] = [dx.values(), dgamma.values(), dbeta.values()];
    for (const [to, buffer, before] of [
      [[dx.address, 0, 0], dx, whole],
      [[0, dgamma.address, 0], dgamma, gain],
      [[0, 0, dbeta.address], dbeta, bias],
    ] as const) {
      buffer.set(array.from(Array(before.length).fill(NaN)));
      backward(...to);
      expect(numbers(buffer.values())).toEqual(numbers(before));
    }
    core.checkGuards();
  }

  test("of layer normalisation are the plain twins, and write no other byte", () => {
    const random = seeded(81);
    for (const D of lengths) {
      for (const N of [0, 1, 3, 19]) {
        core.reset();
        const bytes = exports.layernorm_work_bytes!(D);
        check("layernorm", draw(N * D, random), D, twins.rowsOf(N * D, D), [N, D], bytes, random);
      }
    }
  });

  test("of group normalisation are the plain twins, and write no other byte", () => {
    const random = seeded(82);
    for (const [S, C, G] of shapes) {
      for (const N of [0, 1, 3]) {
        core.reset();
        const bytes = exports.groupnorm_work_bytes!(N, C);
        const groups = twins.groupsOf(lastOf(N, S, C), G);
        check("groupnorm", draw(N * S * C, random), C, groups, [N, S, C, G], bytes, random);
      }
    }
  });

  test("a mean far from 0 costs no digit of the result", () => {
    const random = seeded(83);
    const D = 100;
    // Exact in the dtype, so that only the kernel can lose something.
    const mean = 2 ** 16;
    const deviations = Array.from({ length: D }, () => Math.floor(256 * random()) / 128);
    const x = array.from(deviations.map((d) => mean + d));
    const near = array.from(deviations);
    const one = array.from(Array(D).fill(1));
    const zero = array.from(Array(D).fill(0));
    const results = [x, near].map((values) => {
      core.reset();
      const out = core.output(array, D);
      const saved = core.output(Float64Array, 2);
      const places = [values, one, zero].map((each) => core.input(each).address);
      kernel("layernorm_forward")(out.address, saved.address, ...places, 1, D, 1e-5);
      return out.values();
    });
    // The mean itself is a float64, of which 2¹⁶ leaves the digits up to 2⁻³⁷.
    const bound = type.bytes === 4 ? 4 * epsilon : 2 ** -36;
    expect(deviation(results[0]!, results[1]!, 4)).toBeLessThanOrEqual(bound);
  });

  test("squares beyond the dtype's range have a deviation all the same in float32, and none in float64", () => {
    const D = 37;
    const large = type.bytes === 4 ? 1e30 : 1e100;
    const x = array.from(Array.from({ length: D }, (_, i) => (i % 2 ? large : -large)));
    core.reset();
    const one = core.input(array.from(Array(D).fill(1))).address;
    const zero = core.input(array.from(Array(D).fill(0))).address;
    const out = core.output(array, D);
    const saved = core.output(Float64Array, 2);
    kernel("layernorm_forward")(
      out.address,
      saved.address,
      core.input(x).address,
      one,
      zero,
      1,
      D,
      1e-5,
    );
    const expected = twins.groupsForward(
      x,
      Array(D).fill(1),
      Array(D).fill(0),
      twins.rowsOf(D, D),
      0,
    );
    expect(deviation(out.values(), expected)).toBeLessThanOrEqual(8 * epsilon);
  });

  test("a row with a NaN or an infinity is NaN throughout, and no other is", () => {
    for (const special of [NaN, Infinity, -Infinity]) {
      for (const place of [0, 5, 39]) {
        core.reset();
        const D = 40;
        const x = draw(3 * D, seeded(84));
        x[D + place] = special;
        const [one, zero] = [1, 0].map((v) => core.input(array.from(Array(D).fill(v))).address);
        const out = core.output(array, 3 * D);
        const saved = core.output(Float64Array, 6);
        const xAt = core.input(x).address;
        kernel("layernorm_forward")(out.address, saved.address, xAt, one!, zero!, 3, D, 1e-5);
        const areNaN = numbers(out.values()).map(Number.isNaN);
        expect(areNaN).toEqual(areNaN.map((_, i) => i >= D && i < 2 * D));
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, array, epsilon }) => {
  const runtime = createRuntimeSync();
  const random = seeded(85);
  const tensor = (shape: number[]) =>
    runtime.tensor(
      normals(
        shape.reduce((a, b) => a * b, 1),
        random,
      ),
      shape,
      dtype,
    );

  test("layer normalisation is over the axes that gamma has, be they one or all", () => {
    for (const [x, gamma] of [
      [[2, 3, 5], [5]],
      [
        [2, 3, 5],
        [3, 5],
      ],
      [
        [2, 3, 5],
        [2, 3, 5],
      ],
      [[7], [7]],
      [[0, 4], [4]],
    ] as const) {
      const [xs, gains, biases] = [tensor([...x]), tensor([...gamma]), tensor([...gamma])];
      const { out, cache } = layernormForward(xs, gains, biases);
      expect([out.shape, cache.x.shape]).toEqual([x, x]);
      const groups = twins.rowsOf(xs.size, gains.size);
      const expected = twins.groupsForward(xs.data, gains.data, biases.data, groups, 1e-5);
      expect(deviation(out.data, expected, 8)).toBeLessThanOrEqual(16 * epsilon);
      const dout = tensor([...x]);
      const { dx, dgamma, dbeta } = layernormBackward(dout, cache);
      expect([dx.shape, dgamma.shape, dbeta.shape]).toEqual([x, gamma, gamma]);
      const wanted = twins.groupsBackward(dout.data, xs.data, gains.data, groups, 1e-5);
      expect(deviation(dx.data, wanted.dx, 8)).toBeLessThanOrEqual(32 * epsilon);
      expect(deviation(dgamma.data, wanted.dgamma, 8)).toBeLessThanOrEqual(32 * epsilon);
      expect(deviation(dbeta.data, wanted.dbeta, 8)).toBeLessThanOrEqual(32 * epsilon);
    }
  });

  test("group normalisation is over a group's channels and all spatial axes", () => {
    for (const spatial of [[], [5], [3, 2], [2, 3, 2]]) {
      const S = spatial.reduce((a, b) => a * b, 1);
      for (const groups of [1, 2, 6]) {
        const shape = [2, 6, ...spatial];
        const [xs, gamma, beta] = [tensor(shape), tensor([6]), tensor([6])];
        const { out, cache } = groupnormForward(xs, gamma, beta, { groups, eps: 0.25 });
        const of = twins.groupsOf({ N: 2, C: 6, H: 1, W: S }, groups);
        const expected = twins.groupsForward(xs.data, gamma.data, beta.data, of, 0.25);
        expect(deviation(out.data, expected, 8)).toBeLessThanOrEqual(16 * epsilon);
        const dout = tensor(shape);
        const { dx, dgamma, dbeta } = groupnormBackward(dout, cache);
        const wanted = twins.groupsBackward(dout.data, xs.data, gamma.data, of, 0.25);
        expect([dx.shape, dgamma.shape, dbeta.shape]).toEqual([shape, [6], [6]]);
        expect(deviation(dx.data, wanted.dx, 8)).toBeLessThanOrEqual(32 * epsilon);
        expect(deviation(dgamma.data, wanted.dgamma, 8)).toBeLessThanOrEqual(32 * epsilon);
        expect(deviation(dbeta.data, wanted.dbeta, 8)).toBeLessThanOrEqual(32 * epsilon);
      }
    }
  });

  test("an empty batch gives gradients of 0 to what is learned", () => {
    const [gamma, beta] = [tensor([4]), tensor([4])];
    const rows = layernormForward(runtime.zeros([0, 4], dtype), gamma, beta);
    const images = groupnormForward(runtime.zeros([0, 4, 2], dtype), gamma, beta, { groups: 2 });
    for (const { dx, dgamma, dbeta } of [
      layernormBackward(rows.out, rows.cache),
      groupnormBackward(images.out, images.cache),
    ]) {
      expect([dx.size, values(dgamma), values(dbeta)]).toEqual([0, [0, 0, 0, 0], [0, 0, 0, 0]]);
    }
  });

  test("the cache outlives gamma and x, and gradients may be left out", () => {
    const [x, gamma, beta] = [tensor([3, 4]), tensor([4]), tensor([4])];
    const { out, cache } = layernormForward(x, gamma, beta);
    const all = layernormBackward(out, cache);
    for (const handle of [x, gamma, beta]) handle.dispose();
    const some = layernormBackward(out, cache, { dx: false });
    expect(some.dx).toBe(undefined);
    expect(values(some.dgamma)).toEqual(values(all.dgamma));
    expect(array.from(some.dbeta.data)).toEqual(array.from(all.dbeta.data));
  });
});

describe("gradients in float64 are those of differences", () => {
  const runtime = createRuntimeSync();
  const random = seeded(86);
  const tensor = (shape: readonly number[]) =>
    runtime.tensor(
      normals(
        shape.reduce((a, b) => a * b, 1),
        random,
      ),
      shape,
      "float64",
    );
  type F64 = Tensor<"float64">;

  test.each([
    ["layernorm", [3, 5], [5]],
    ["layernorm", [2, 3, 4], [3, 4]],
    ["groupnorm 2", [3, 4, 3], [4]],
    ["groupnorm 3", [2, 3, 2, 5], [3]],
    ["groupnorm 1", [2, 17, 2], [17]],
  ] as const)("%s of %j", (name, shape, gains) => {
    const groups = Number(name.split(" ")[1]);
    const forward = (x: F64, gamma: F64, beta: F64) =>
      groups ? groupnormForward(x, gamma, beta, { groups }) : layernormForward(x, gamma, beta);
    const [x, gamma, beta, dout] = [tensor(shape), tensor(gains), tensor(gains), tensor(shape)];
    const { cache } = forward(x, gamma, beta);
    const { dx, dgamma, dbeta } = (groups ? groupnormBackward : layernormBackward)(dout, cache);
    for (const [key, actual, expected] of [
      ["dx", dx, numericalGradient((x) => forward(x as F64, gamma, beta).out, x, dout)],
      ["dgamma", dgamma, numericalGradient((g) => forward(x, g as F64, beta).out, gamma, dout)],
      ["dbeta", dbeta, numericalGradient((b) => forward(x, gamma, b as F64).out, beta, dout)],
    ] as const) {
      const error = relativeError(actual, expected);
      expect(track(`${name} ${key}`, error)).toBeLessThan(GRADIENT_BOUND);
    }
  });
});

test("what does not fit is refused with the numbers", () => {
  const runtime = createRuntimeSync();
  const ones = (...shape: number[]) => runtime.ones(shape);
  const x = ones(2, 6, 3);
  for (const [call, type, message] of [
    [
      () => layernormForward(x, ones(6), ones(6)),
      ShapeError,
      "layernormForward: gamma must have the last axes of x, got (6,) for (2, 6, 3)",
    ],
    [
      () => layernormForward(x, ones(), ones()),
      ShapeError,
      "layernormForward: gamma must have the last axes of x, got () for (2, 6, 3)",
    ],
    [
      () => layernormForward(ones(3), ones(2, 3), ones(2, 3)),
      ShapeError,
      "layernormForward: gamma must have the last axes of x, got (2, 3) for (3,)",
    ],
    [
      () => layernormForward(x, ones(3), ones(6, 3)),
      ShapeError,
      "layernormForward: beta must have shape (3,), got (6, 3)",
    ],
    [
      () => layernormForward(ones(2, 0), ones(0), ones(0)),
      RangeError,
      "layernormForward: gamma has no elements, and a mean is taken over its axes",
    ],
    [
      () => layernormForward(x, ones(3), ones(3), { eps: 0 }),
      RangeError,
      "layernormForward: eps must be above 0, got 0",
    ],
    [
      () => groupnormForward(x, ones(6), ones(6), { groups: 4 }),
      ShapeError,
      "groupnormForward: x has 6 channels, which 4 groups do not divide",
    ],
    [
      () => groupnormForward(x, ones(6), ones(6), { groups: -1 }),
      RangeError,
      "groupnormForward: groups must be a whole number from 1 up, got -1",
    ],
    [
      () => groupnormForward(x, ones(3), ones(6), { groups: 1 }),
      ShapeError,
      "groupnormForward: gamma must have shape (6,), got (3,)",
    ],
    [
      () => groupnormForward(ones(6), ones(6), ones(6), { groups: 1 }),
      ShapeError,
      "groupnormForward: x must have shape (N, C, …), got (6,)",
    ],
    [
      () => groupnormForward(ones(2, 6, 0), ones(6), ones(6), { groups: 1 }),
      RangeError,
      "groupnormForward: x has shape (2, 6, 0), in which no group has a value to take a mean over",
    ],
    [
      () => groupnormForward(x, ones(6), ones(6), { group: 1 } as never),
      TypeError,
      'groupnormForward: param has no "group"; the known ones: groups, eps',
    ],
  ] as const) {
    expect(call).toThrow(new type(message));
  }
});
