// The Web Platform Tests of WebNN, in float32, each within the ULP that it allows.

import { describe, expect, test } from "vitest";
import {
  batchnormForward,
  type Runtime,
  reluForward,
  sigmoidForward,
  type Tensor,
  tanhForward,
} from "../../src/index.ts";
import {
  alongAxis,
  checkDeviation,
  decoded,
  type Encoded,
  largestDeviation,
  matmul,
  reportDeviations,
  softmax,
  softmaxOfLoss,
  testCases,
  ulpDistance,
  type Values,
} from "./cases.ts";

interface Case {
  name: string;
  op: string;
  inputs: Record<string, { shape: number[]; data: Encoded[] }>;
  arguments: Record<string, unknown>[];
  expected: { shape: number[]; data: Encoded[] };
  tolerance: { metric: string; value: number };
}

reportDeviations("ULP");

/** The arguments by name; those that name an input are its values. */
function argumentsOf({ inputs, arguments: list }: Case): Record<string, unknown> {
  const valuesOf = (value: unknown) =>
    typeof value === "string" && inputs[value] ? decoded(inputs[value]) : value;
  const { options, ...rest } = Object.assign({}, ...list) as Record<string, unknown>;
  const all = Object.entries({ ...rest, ...(options as object | undefined) });
  return Object.fromEntries(all.map(([name, value]) => [name, valuesOf(value)]));
}

function compare(testCase: Case, actual: Values): void {
  const { metric, value } = testCase.tolerance;
  expect(metric).toBe("ULP");
  checkDeviation(
    testCase.op,
    largestDeviation(actual, decoded(testCase.expected), ulpDistance),
    value,
  );
}

function batchNormalization(runtime: Runtime, testCase: Case): Values {
  const given = argumentsOf(testCase) as {
    input: Values;
    mean: Values;
    variance: Values;
    scale?: Values;
    bias?: Values;
    axis?: number;
    epsilon?: number;
  };
  const tensor = ({ data, shape }: Values) => runtime.tensor(Array.from(data), shape);
  return alongAxis(given.input, given.axis ?? 1, (rows) => {
    const D = rows.shape[1]!;
    const { out } = batchnormForward(
      tensor(rows),
      given.scale ? tensor(given.scale) : runtime.ones([D]),
      given.bias ? tensor(given.bias) : runtime.zeros([D]),
      {
        mode: "test",
        eps: given.epsilon,
        runningMean: tensor(given.mean),
        runningVar: tensor(given.variance),
      },
    );
    return out.toTypedArray();
  });
}

function unary(forward: (x: Tensor<"float32">) => { out: Tensor<"float32"> }) {
  return (testCase: Case, runtime: Runtime) => {
    const { input } = argumentsOf(testCase) as { input: Values };
    compare(testCase, forward(runtime.tensor(Array.from(input.data), input.shape)).out);
  };
}

testCases<Case>("wpt-webnn.json", 41, ({ op }) => op, {
  relu: unary(reluForward),
  sigmoid: unary(sigmoidForward),
  tanh: unary(tanhForward),

  softmax(testCase, runtime) {
    const { input, axis } = argumentsOf(testCase) as { input: Values; axis: number };
    for (const by of [softmax, softmaxOfLoss]) {
      compare(testCase, by(runtime, "float32", input, axis));
    }
  },

  matmul(testCase, runtime) {
    const { a, b } = argumentsOf(testCase) as { a: Values; b: Values };
    compare(testCase, matmul(runtime, "float32", a, b));
  },

  batchNormalization(testCase, runtime) {
    compare(testCase, batchNormalization(runtime, testCase));
  },
});

describe("the ULP distance", () => {
  const smallest = 2 ** -149;

  test.each([
    [1, 1, 0],
    [1, 1 + 2 ** -23, 1],
    [1, 1 - 2 ** -24, 1],
    [-1, -1 - 2 ** -23, 1],
    [0, -0, 0],
    [0, smallest, 1],
    [-0, smallest, 1],
    [smallest, -smallest, 2],
    [2 ** -126, 2 ** -126 - smallest, 1],
    [Infinity, 3.4028234663852886e38, 1],
    [1, -1, 2 * 0x3f800000],
    [Number.NaN, Number.NaN, 0],
    [Number.NaN, 1, Infinity],
  ])("of %d and %d is %d, either way round", (a, b, distance) => {
    expect(ulpDistance(a, b)).toBe(distance);
    expect(ulpDistance(b, a)).toBe(distance);
  });
});
