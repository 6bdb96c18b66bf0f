// Embedding and attention by the published cases of CS231n, in float64 and by their own tolerances.
// What was published there had dropout on: `out` is without it.

import { expect } from "vitest";
import {
  affineForward,
  attentionForward,
  embeddingForward,
  permuteForward,
  type Runtime,
  type Tensor,
} from "../../src/index.ts";
import { checkDeviation, reportDeviations, testCases, type Values } from "./cases.ts";

reportDeviations("of what is allowed");

interface Cs231n {
  name: string;
  family: string;
  inputs: Record<string, { shape: number[]; data: number[] }>;
  params: { heads: number };
  expected: Record<"out", Values>;
  tolerance: { max?: number; out_max?: number };
}

/** The notebooks' own measure: max |x − y| / max(1e-8, |x| + |y|). */
function check({ name, expected, tolerance }: Cs231n, out: Tensor): void {
  expect(out.shape).toEqual(expected.out.shape);
  let most = 0;
  for (const [i, x] of out.data.entries()) {
    const y = expected.out.data[i]!;
    most = Math.max(most, Math.abs(x - y) / Math.max(1e-8, Math.abs(x) + Math.abs(y)));
  }
  checkDeviation(name, most, tolerance.out_max ?? tolerance.max!);
}

testCases<Cs231n>(
  "cs231n-images.json",
  20,
  ({ family, name }) =>
    family === "embedding" || (family === "attention" && name.startsWith("multihead"))
      ? family
      : "elsewhere",
  {
    embedding(testCase, runtime) {
      const { x, W } = testCase.inputs;
      const indices = runtime.tensor(x!.data, x!.shape, "int32");
      check(testCase, embeddingForward(indices, tensorOf(runtime, W!)).out);
    },
    attention(testCase, runtime) {
      const operands = Object.fromEntries(
        // The shortest decimals of float32 numbers, which the course computed with.
        Object.entries(testCase.inputs).map(([name, { shape, data }]) => [
          name,
          tensorOf(runtime, { shape, data: data.map(Math.fround) }),
        ]),
      );
      /** Their weights are (out, in); each position is a row of its own. */
      const linear = (x: Tensor<"float64">, name: string) => {
        const [N, T, E] = x.shape as [number, number, number];
        const w = permuteForward(operands[`W_${name}`]!, [1, 0]).out;
        const rows = x.reshape([N * T, E]);
        return affineForward(rows, w, operands[`b_${name}`]!).out.reshape([N, T, E]);
      };
      const [q, k, v] = ["query", "key", "value"].map((name) => linear(operands[name]!, name)) as [
        Tensor<"float64">,
        Tensor<"float64">,
        Tensor<"float64">,
      ];
      const { heads } = testCase.params;
      check(testCase, linear(attentionForward(q, k, v, { heads }).out, "proj"));
    },
  },
  { elsewhere: "no embedding or attention" },
);

const tensorOf = (runtime: Runtime, { shape, data }: { shape: number[]; data: number[] }) =>
  runtime.tensor(data, shape, "float64");
