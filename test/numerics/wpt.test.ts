// The tolerances that the Web Platform Tests give WebNN's operations in float32, as budgets of our
// own: on our inputs, which are harder than theirs, and against exact results. ../cases/ has their
// own cases.

import { describe, expect, test } from "vitest";
import * as lamella from "../../src/index.ts";
import {
  affineForward,
  batchnormForward,
  createRuntimeSync,
  geluForward,
  leakyReluForward,
  normalizeForward,
  reluForward,
  sigmoidForward,
  softmaxForward,
  softmaxLoss,
  type Tensor,
  tanhForward,
} from "../../src/index.ts";
import { geluExact, sigmoidExact, tanhExact } from "../math/oracle.ts";
import { activations } from "../support/activations.ts";
import { seeded } from "../support/core.ts";
import { normals } from "../support/reference.ts";
import { divide, exp, fixed, fixedOf, multiply, ONE, root, sum, ulp } from "./exact.ts";

const runtime = createRuntimeSync();
const random = seeded(601);
const float32 = (n: number, draw: () => number) => Float32Array.from({ length: n }, draw);
const between = (from: number, to: number) => () => from + (to - from) * random();

function within(actual: ArrayLike<number>, exact: bigint[], budget: number): void {
  expect(actual.length).toBe(exact.length);
  exact.forEach((value, i) => {
    expect(ulp(actual[i]!, value, "float32"), `element ${i}`).toBeLessThanOrEqual(budget);
  });
}

type Forward = (x: Tensor) => { out: Tensor };
const api = lamella as unknown as Record<string, unknown>;
const SLOPE = 0.01;
const slope = fixed(Math.fround(SLOPE));

/**
 * Where results are in the normal range: a result below it is 0 or a few units, of another measure.
 */
const unary: [string, number, Forward, (x: number) => bigint, number, number][] = [
  ["relu", 0, reluForward as Forward, (x) => fixed(Math.max(0, x)), -1e30, 1e30],
  [
    "leakyRelu",
    1,
    ((x: Tensor<"float32">) => leakyReluForward(x, { negativeSlope: SLOPE })) as Forward,
    (x) => (x > 0 ? fixed(x) : multiply(slope, fixed(x))),
    -1e4,
    1e4,
  ],
  ["sigmoid", 34, sigmoidForward as Forward, (x) => fixedOf(sigmoidExact(x)), -87, 88],
  ["tanh", 16, tanhForward as Forward, (x) => fixedOf(tanhExact(x)), -20, 20],
  ...Object.entries(activations).flatMap(([kind, { budget, exact, range }]): typeof unary =>
    budget === undefined
      ? []
      : [
          [
            kind,
            budget,
            api[`${kind}Forward`] as Forward,
            (x) => exact(fixed(x), x),
            ...range.float32,
          ],
        ],
  ),
  ["gelu", 18, geluForward as Forward, (x) => fixedOf(geluExact(x)), -13, 13],
];

test.each(unary)("%s: %d ULP", (_, budget, forward, exact, from, to) => {
  const x = [
    ...float32(300, between(from, to)),
    ...float32(100, between(-1, 1)),
    ...float32(100, () => (random() - 0.5) * 2 ** (-60 * random())),
    ...[0, from, to],
  ];
  const { out } = forward(runtime.tensor(x, [x.length], "float32"));
  within(out.data, Array.from(Float32Array.from(x), exact), budget);
});

// x − max is rounded: a difference of d costs up to d / 2 ULP of exp(−d), so that no budget holds
// for all of them.
describe("softmax: 3 · C + 3 ULP for scores within 16 of each other, by the layer and by the loss's gradient", () => {
  test.each([1, 2, 3, 4, 7, 24, 100])("C = %d", (C) => {
    for (const scale of [1, 4, 8]) {
      const x = float32(C, between(-scale, scale));
      const exponentials = Array.from(x, exp);
      const total = sum(exponentials);
      const exact = exponentials.map((e) => divide(e, total));
      const tensor = runtime.tensor(x, [1, C]);
      within(softmaxForward(tensor).out.data, exact, 3 * C + 3);
      const { dx } = softmaxLoss(tensor, [0]);
      within(dx.data.slice(1), exact.slice(1), 3 * C + 3);
    }
  });
});

describe("gemm with a bias: 2 · K + 1 ULP, on terms of one sign, where no digit of the result cancels", () => {
  test.each([1, 2, 3, 4, 5, 16, 255, 256, 257, 1000])("K = %d", (K) => {
    const [N, M] = [5, 9];
    const [x, w, b] = [float32(N * K, random), float32(K * M, random), float32(M, random)];
    const { out } = affineForward(
      runtime.tensor(x, [N, K]),
      runtime.tensor(w, [K, M]),
      runtime.tensor(b, [M]),
    );
    const [xs, ws, bs] = [x, w, b].map((values) => Array.from(values, fixed));
    const exact = Array.from(out.data, (_, i) => {
      const [n, m] = [Math.floor(i / M), i % M];
      let total = bs![m]!;
      for (let k = 0; k < K; k++) total += multiply(xs![n * K + k]!, ws![k * M + m]!);
      return total;
    });
    within(out.data, exact, 2 * K + 1);
  });
});

test("batch normalisation: 6 ULP, where shift and scaled value have one sign", () => {
  const [N, D] = [60, 7];
  const x = Float32Array.from(normals(N * D, random), Math.abs);
  const [gamma, beta] = [float32(D, between(0.2, 2)), float32(D, random)];
  const [mean, variance] = [float32(D, between(-2, 0)), float32(D, between(0.1, 3))];
  const eps = 1e-5;
  const { out } = batchnormForward(
    runtime.tensor(x, [N, D]),
    runtime.tensor(gamma, [D]),
    runtime.tensor(beta, [D]),
    {
      mode: "test",
      eps,
      runningMean: runtime.tensor(mean, [D]),
      runningVar: runtime.tensor(variance, [D]),
    },
  );
  const exact = Array.from(x, (v, i) => {
    const j = i % D;
    const deviation = root(fixed(variance[j]!) + fixed(eps));
    const normed = divide(fixed(v) - fixed(mean[j]!), deviation);
    return multiply(fixed(gamma[j]!), normed) + fixed(beta[j]!);
  });
  within(out.data, exact, 6);
});

test("normalisation by constants: 1 ULP for the difference and 2 for the quotient", () => {
  const [N, D] = [60, 7];
  const x = float32(N * D, between(-5, 5));
  const [mean, std] = [float32(D, between(-1, 1)), float32(D, between(0.1, 3))];
  const { out } = normalizeForward(
    runtime.tensor(x, [N, D]),
    runtime.tensor(mean, [D]),
    runtime.tensor(std, [D]),
  );
  const exact = Array.from(x, (v, i) => divide(fixed(v) - fixed(mean[i % D]!), fixed(std[i % D]!)));
  within(out.data, exact, 3);
});

test("the measure itself: half a unit is half a unit, and a wrong last digit is seen", () => {
  expect(ulp(1, ONE, "float32")).toBe(0);
  expect(ulp(1 + 2 ** -23, ONE, "float32")).toBe(1);
  expect(ulp(1, ONE + (ONE >> 24n), "float32")).toBe(0.5);
  expect(ulp(Number.NaN, ONE, "float32")).toBe(Infinity);
  expect(() => within([1, 1 + 2 ** -22], [ONE, ONE], 1)).toThrow("element 1");
});
