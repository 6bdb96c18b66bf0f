// The node tests of ONNX' backends, in float32. They allow a relative error of 1e-3; here it is
// 1e-5.

import { expect } from "vitest";
import { type Runtime, reluForward } from "../../src/index.ts";
import {
  checkDeviation,
  decoded,
  type Encoded,
  largestDeviation,
  matmul,
  product2d,
  reportDeviations,
  softmax,
  softmaxOfLoss,
  testCases,
  transpose,
  type Values,
} from "./cases.ts";

interface Case {
  name: string;
  op: string;
  attrs: Record<string, number>;
  inputs: Operand[];
  outputs: Operand[];
}

interface Operand {
  dtype: string;
  shape: number[];
  data: Encoded[];
}

const RTOL = 1e-5;
const ATOL = 1e-7;

reportDeviations("of what is allowed");

/**
 * Holds the result to the case's only output. The deviation is in units of what is allowed: atol +
 * rtol · |expected|.
 */
function compare(testCase: Case, actual: Values): void {
  const [output, ...others] = testCase.outputs;
  expect(others).toEqual([]);
  expect(output!.dtype).toBe("float32");
  const deviation = largestDeviation(actual, decoded(output!), (a, e) =>
    a === e ? 0 : Math.abs(a - e) / (ATOL + RTOL * Math.abs(e)),
  );
  checkDeviation(testCase.op, deviation, 1);
}

/**
 * y = alpha · a · b + beta · c, each of a and b transposed if so told, c broadcast to y's shape.
 */
function gemm(runtime: Runtime, attributes: Record<string, number>, operands: Values[]): Values {
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = attributes;
  const [a, b, c] = operands as [Values, Values, Values?];
  const left = transA ? transpose(a, [1, 0]) : a;
  const right = transB ? transpose(b, [1, 0]) : b;
  const x = { shape: left.shape, data: Array.from(left.data, (value) => alpha * value) };
  const [n, m] = [x.shape[0]!, right.shape[1]!];
  if (!c) return { shape: [n, m], data: product2d(runtime, "float32", x, right) };

  const rows = c.shape.at(-2) ?? 1;
  const columns = c.shape.at(-1) ?? 1;
  const term = (i: number, j: number) =>
    beta * c.data[(rows === 1 ? 0 : i * columns) + (columns === 1 ? 0 : j)]!;
  if (rows === 1) {
    const bias = Array.from({ length: m }, (_, j) => term(0, j));
    return { shape: [n, m], data: product2d(runtime, "float32", x, right, bias) };
  }
  const sums = product2d(runtime, "float32", x, right);
  return { shape: [n, m], data: sums.map((sum, k) => sum + term(Math.floor(k / m), k % m)) };
}

testCases<Case>("onnx-node.json", 26, ({ op }) => op, {
  Gemm(testCase, runtime) {
    compare(testCase, gemm(runtime, testCase.attrs, testCase.inputs.map(decoded)));
  },

  MatMul(testCase, runtime) {
    const [a, b] = testCase.inputs.map(decoded);
    compare(testCase, matmul(runtime, "float32", a!, b!));
  },

  Relu(testCase, runtime) {
    const { data, shape } = decoded(testCase.inputs[0]!);
    compare(testCase, reluForward(runtime.tensor(data, shape)).out);
  },

  Softmax(testCase, runtime) {
    const { axis = -1 } = testCase.attrs;
    for (const by of [softmax, softmaxOfLoss]) {
      compare(testCase, by(runtime, "float32", decoded(testCase.inputs[0]!), axis));
    }
  },
});
