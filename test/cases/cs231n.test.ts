// The inputs and published outputs of the CS231n assignments' notebooks, in float64 and by their
// own tolerances. Where a notebook says p of dropout, it is the probability of keeping; here p is
// that of dropping.

import { expect } from "vitest";
import {
  affineBackward,
  affineForward,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  type DropoutParam,
  dropoutBackward,
  dropoutForward,
  type Runtime,
  reluBackward,
  reluForward,
  softmaxLoss,
  svmLoss,
  type Tensor,
} from "../../src/index.ts";
import { openCore } from "../support/core.ts";
import { checkDeviation, reportDeviations, testCases, type Values } from "./cases.ts";

interface Case {
  name: string;
  fn: string;
  inputs: Record<string, { shape: number[]; data: number[] }>;
  params: Record<string, unknown>;
  expected: Record<string, unknown>;
  tolerance: Record<string, unknown>;
}

reportDeviations("");

/**
 * One step of an optimizer's kernel, whose results the notebook names next_w and as the state
 * before it.
 */
function step(
  testCase: Case,
  kernel: "sgd_momentum_f64" | "rmsprop_f64" | "adam_f64",
  states: string[],
  numbers: number[],
): void {
  const core = openCore("release");
  const [w, ...own] = ["w", ...states].map((name) =>
    core.inout(Float64Array.from(testCase.inputs[name]!.data)),
  );
  const dw = core.input(Float64Array.from(testCase.inputs.dw!.data));
  const n = testCase.inputs.w!.data.length;
  const run = core.exports[kernel] as (...args: number[]) => void;
  run(w!.address, ...own.map(({ address }) => address), dw.address, n, ...numbers);
  core.checkGuards();
  for (const [i, name] of ["next_w", ...states].entries()) {
    const expected = testCase.expected[name] as Values;
    const error = notebookError([w!, ...own][i]!.values(), expected.data);
    checkDeviation(`${testCase.name} ${name}`, error, testCase.tolerance.max as number);
  }
}

/** The notebooks' own measure: max |x − y| / max(1e-8, |x| + |y|). */
function notebookError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const [x, y] = [actual[i]!, expected[i]!];
    const error = Math.abs(x - y) / Math.max(1e-8, Math.abs(x) + Math.abs(y));
    if (!(error <= most)) most = Number.isNaN(error) ? Infinity : error;
  }
  return most;
}

function mean(data: ArrayLike<number>): number {
  return Array.from(data).reduce((sum, value) => sum + value, 0) / data.length;
}

function tensors<K extends string>(
  runtime: Runtime,
  { inputs }: Case,
  ...names: K[]
): Record<K, Tensor<"float64">> {
  return Object.fromEntries(
    names.map((name) => [name, runtime.tensor(inputs[name]!.data, inputs[name]!.shape, "float64")]),
  ) as Record<K, Tensor<"float64">>;
}

/** Holds results to the case's expectations of these names, in shape and in value. */
function compare(testCase: Case, results: Record<string, Tensor>, tolerance?: number): void {
  const limit = tolerance ?? testCase.tolerance.max;
  for (const [name, result] of Object.entries(results)) {
    const expected = testCase.expected[name] as Values;
    expect(result.shape, name).toEqual(expected.shape);
    const error = notebookError(result.data, expected.data);
    checkDeviation(`${testCase.name} ${name}`, error, limit as number);
  }
}

function compareLoss(testCase: Case, { loss, dx }: { loss: number; dx: Tensor }): void {
  const { loss_abs, dx_max } = testCase.tolerance as { loss_abs: number; dx_max: number };
  const error = Math.abs(loss - (testCase.expected.loss as number));
  checkDeviation(`${testCase.name} loss`, error, loss_abs);
  compare(testCase, { dx }, dx_max);
}

function batchnorm(testCase: Case, runtime: Runtime) {
  const { x, gamma, beta } = tensors(runtime, testCase, "x", "gamma", "beta");
  // The running values are absent: they start at 0, the variance too.
  const bnParam = { ...testCase.params } as unknown as BatchnormParam<"float64">;
  return { bnParam, ...batchnormForward(x, gamma, beta, bnParam) };
}

/** The order in which a mean of 250 000 terms around 10 is summed; NumPy's is another than ours. */
const SUM = 1e-10;

/**
 * The notebook's own stream: seed 231, x, and then the draws of a mask for each of these
 * probabilities in turn.
 */
function notebookStream(runtime: Runtime, keep: number): { x: Tensor<"float64">; r: Float64Array } {
  const random = runtime.random(231);
  const x = random.randn(500, 500);
  const values = x.data;
  for (let i = 0; i < values.length; i++) values[i] = values[i]! + 10;
  for (const each of [0.25, 0.4, 0.7]) {
    const r = random.rand(500, 500).toTypedArray();
    if (each === keep) return { x, r };
  }
  throw new Error(`the notebook draws no mask for keep = ${keep}`);
}

function dropoutStatistics(testCase: Case, runtime: Runtime): void {
  const { keep, drop_p_for_our_library: p } = testCase.params as Record<string, number>;
  expect(p).toBeCloseTo(1 - keep!, 15); // 0.3 is not 1 − 0.7 in float64
  const expected = testCase.expected as Record<string, number>;
  const { x, r } = notebookStream(runtime, keep!);
  const zeros = (values: ArrayLike<number>) =>
    Array.from(values).filter((value) => value === 0).length / values.length;

  // What NumPy published, from our copy of its stream.
  checkDeviation(
    `${testCase.name} mean of NumPy's x`,
    Math.abs(mean(x.data) - (testCase.params.x_mean as number)),
    SUM,
  );
  const published = x.data.map((value, i) => (r[i]! < keep! ? value / keep! : 0));
  expect(zeros(published)).toBe(expected.numpy_frac_zero);
  checkDeviation(
    `${testCase.name} mean of NumPy's out`,
    Math.abs(mean(published) - expected.numpy_train_mean!),
    SUM,
  );

  const limits = /< 5\*sqrt\(.*\)=([\d.]+) ; \|mean-([\d.]+)\| < ([\d.]+)/.exec(
    testCase.tolerance.ours as string,
  );
  const [, fraction, centre, distance] = limits!.map(Number);
  for (const seed of [undefined, 231]) {
    const { out, cache } = dropoutForward(x, { p: p!, mode: "train", seed });
    const how = seed === undefined ? "our generator" : "seed 231";
    checkDeviation(`${testCase.name} dropped, ${how}`, Math.abs(zeros(out.data) - p!), fraction!);
    checkDeviation(`${testCase.name} mean, ${how}`, Math.abs(mean(out.data) - centre!), distance!);
    const mask = cache.mask!.data;
    const scaled = x.data.map((value, i) => value * mask[i]!);
    expect(notebookError(out.data, scaled), "out = x · mask, exactly").toBe(0);
  }
  const { out, cache } = dropoutForward(x, { p: p!, mode: "test" });
  expect(zeros(out.data)).toBe(expected.test_frac_zero);
  expect(mean(out.data)).toBe(mean(x.data));
  checkDeviation(
    `${testCase.name} mean in test mode`,
    Math.abs(mean(out.data) - expected.test_mean!),
    SUM,
  );
  expect(cache.mask).toBeNull();
}

function dropoutGradient(testCase: Case, runtime: Runtime): void {
  const { x, dout } = tensors(runtime, testCase, "x", "dout");
  const { drop_p_for_our_library: p, seed } = testCase.params as Record<string, number>;
  const u = testCase.inputs.u!;
  expect(Array.from(runtime.random(seed!).rand(...u.shape).data)).toEqual(u.data);

  // Of the same draws the notebook keeps those below `keep` and we those from p up, so the masks
  // differ.
  const seeded: DropoutParam = { p: p!, mode: "train", seed };
  for (const param of [seeded, { ...seeded, seed: undefined }]) {
    const { out, cache } = dropoutForward(x, param);
    const mask = cache.mask!.toTypedArray();
    if (param.seed === undefined) {
      for (const value of mask) expect([0, 1 / (1 - p!)]).toContain(value);
    } else {
      expect(Array.from(mask)).toEqual(u.data.map((r) => (r >= p! ? 1 / (1 - p!) : 0)));
    }
    const dx = dropoutBackward(dout, cache);
    const products = (values: Float64Array) => values.map((value, i) => value * mask[i]!);
    checkDeviation(
      `${testCase.name} out`,
      notebookError(out.data, products(x.toTypedArray())),
      testCase.tolerance.max as number,
    );
    checkDeviation(
      `${testCase.name} dx`,
      notebookError(dx.data, products(dout.toTypedArray())),
      testCase.tolerance.max as number,
    );
  }
}

testCases<Case>(
  "cs231n.json",
  17,
  ({ fn, name }) => (name.startsWith("dropout_statistics") ? "dropout statistics" : fn),
  {
    affine_forward(testCase, runtime) {
      const { x, w, b } = tensors(runtime, testCase, "x", "w", "b");
      compare(testCase, { out: affineForward(x, w, b).out });
    },

    affine_backward(testCase, runtime) {
      const { x, w, b, dout } = tensors(runtime, testCase, "x", "w", "b", "dout");
      const { out, cache } = affineForward(x, w, b);
      compare(testCase, { out, ...affineBackward(dout, cache) });
    },

    relu_forward(testCase, runtime) {
      const { x } = tensors(runtime, testCase, "x");
      compare(testCase, { out: reluForward(x).out });
    },

    relu_backward(testCase, runtime) {
      const { x, dout } = tensors(runtime, testCase, "x", "dout");
      const { out, cache } = reluForward(x);
      compare(testCase, { out, dx: reluBackward(dout, cache) });
      expect(Array.from(dout.data), "dout afterwards").toEqual(testCase.inputs.dout!.data);
    },

    "affine_relu_forward/backward"(testCase, runtime) {
      const { x, w, b, dout } = tensors(runtime, testCase, "x", "w", "b", "dout");
      const affine = affineForward(x, w, b);
      const relu = reluForward(affine.out);
      const gradients = affineBackward(reluBackward(dout, relu.cache), affine.cache);
      compare(testCase, { out: relu.out, ...gradients });
    },

    svm_loss(testCase, runtime) {
      const { x } = tensors(runtime, testCase, "x");
      compareLoss(testCase, svmLoss(x, testCase.inputs.y!.data));
    },

    softmax_loss(testCase, runtime) {
      const { x } = tensors(runtime, testCase, "x");
      compareLoss(testCase, softmaxLoss(x, testCase.inputs.y!.data));
    },

    batchnorm_forward(testCase, runtime) {
      const { out, bnParam } = batchnorm(testCase, runtime);
      const tolerance = testCase.tolerance as Record<string, number>;
      compare(testCase, { out }, tolerance.out_max);
      const running = {
        running_mean_after_first_call: bnParam.runningMean!,
        running_var_after_first_call: bnParam.runningVar!,
      };
      compare(testCase, running, tolerance.out_max);
      for (const tensor of Object.values(running)) tensor.dispose();

      const { means, stds } = testCase.expected as Record<string, number[]>;
      const D = out.shape[1]!;
      const values = out.data;
      for (let j = 0; j < D; j++) {
        const column = values.filter((_, i) => i % D === j);
        const mu = mean(column);
        const deviation = Math.sqrt(mean(column.map((value) => (value - mu) ** 2)));
        checkDeviation(`${testCase.name} means`, Math.abs(mu - means![j]!), tolerance.means_abs!);
        checkDeviation(
          `${testCase.name} stds`,
          Math.abs(deviation - stds![j]!),
          tolerance.stds_abs!,
        );
      }
    },

    "batchnorm_forward+batchnorm_backward(+_alt)"(testCase, runtime) {
      const { out, cache, bnParam } = batchnorm(testCase, runtime);
      const { dout } = tensors(runtime, testCase, "dout");
      compare(testCase, { out, ...batchnormBackward(dout, cache) });
      bnParam.runningMean!.dispose();
      bnParam.runningVar!.dispose();
    },

    "dropout statistics": dropoutStatistics,
    "dropout_forward+dropout_backward": dropoutGradient,

    sgd_momentum(testCase) {
      const { learning_rate, momentum } = testCase.params as Record<string, number>;
      step(testCase, "sgd_momentum_f64", ["velocity"], [learning_rate!, momentum!]);
    },

    rmsprop(testCase) {
      const { learning_rate, decay_rate, epsilon } = testCase.params as Record<string, number>;
      step(testCase, "rmsprop_f64", ["cache"], [learning_rate!, decay_rate!, epsilon!]);
    },

    adam(testCase) {
      const { learning_rate, beta1, beta2, epsilon, t } = testCase.params as Record<string, number>;
      const corrections = [beta1!, beta2!].map((beta) => 1 - beta ** (t! + 1));
      const numbers = [learning_rate!, beta1!, beta2!, epsilon!, ...corrections];
      step(testCase, "adam_f64", ["m", "v"], numbers);
      expect(testCase.expected.t).toBe(t! + 1);
    },
  },
);
