// Scores of ±10,000, infinities, NaN, one class and 100,000; batch normalisation far from 0; sums
// of a million float32.

import { describe, expect, test } from "vitest";
import {
  affine,
  affineBackward,
  affineForward,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  bceWithLogitsLoss,
  createRuntimeSync,
  mseLoss,
  recalibrate,
  Sequential,
  sgd,
  softmaxForward,
  softmaxLoss,
  svmLoss,
  Trainer,
} from "../../src/index.ts";
import { dtypes, seeded } from "../support/core.ts";
import { normals } from "../support/reference.ts";
import { sumOf } from "./exact.ts";

const runtime = createRuntimeSync();

describe.each(dtypes)("losses and softmax in $dtype", ({ dtype, array, epsilon }) => {
  const tensor = (rows: number[][]) => runtime.tensor(rows, undefined, dtype);
  const numbers = (values: ArrayLike<number>) => Array.from(values, (v) => v + 0); // no −0

  test("scores of ±10,000 lose nothing", () => {
    const x = tensor([
      [1e4, -1e4, 0],
      [-1e4, -1e4, -1e4],
      [1e4, 1e4, 1e4 - 1],
    ]);
    const out = softmaxForward(x).out.toTypedArray();
    const tail = 1 / (2 + Math.exp(-1));
    const expected = [1, 0, 0, 1 / 3, 1 / 3, 1 / 3, tail, tail, Math.exp(-1) * tail];
    for (const [i, p] of expected.entries())
      expect(Math.abs(out[i]! - p)).toBeLessThanOrEqual(2 * epsilon * p);

    const softmax = softmaxLoss(x, [1, 0, 0]);
    const loss = (2e4 + Math.log(3) + Math.log(2 + Math.exp(-1))) / 3;
    // The exponentials of the last row are the dtype's.
    expect(Math.abs(softmax.loss - loss) / loss).toBeLessThan(epsilon / 1e4 + 1e-15);
    const gradient = expected.map((p, i) => (p - (i === 1 || i === 3 || i === 6 ? 1 : 0)) / 3);
    for (const [i, g] of gradient.entries())
      expect(Math.abs(softmax.dx.data[i]! - g)).toBeLessThanOrEqual(epsilon);

    const svm = svmLoss(x, [1, 0, 0]);
    expect(svm.loss).toBe((20001 + 10001 + 1 + 1 + 1 + 0) / 3);
    const third = dtype === "float32" ? Math.fround(1 / 3) : 1 / 3;
    const two = dtype === "float32" ? Math.fround(2 / 3) : 2 / 3;
    // The last margin is 0 exactly, and no positive one.
    expect(numbers(svm.dx.data)).toEqual([
      third,
      -two,
      third,
      -two,
      third,
      third,
      -third,
      third,
      0,
    ]);
  });

  test("shifting a row by 10,000 changes nothing that float32 can hold", () => {
    const random = seeded(501);
    const rows = Array.from({ length: 8 }, () =>
      Array.from({ length: 12 }, () => Math.floor(64 * random()) / 8),
    );
    const y = rows.map(() => Math.floor(12 * random()));
    const shifted = rows.map((row, n) => row.map((v) => v + (n % 2 ? 8192 : -8192)));
    for (const loss of [softmaxLoss, svmLoss]) {
      const [a, b] = [loss(tensor(rows), y), loss(tensor(shifted), y)];
      expect(numbers(b.dx.data)).toEqual(numbers(a.dx.data));
      expect(Math.abs(b.loss - a.loss)).toBeLessThan(1e-14 * a.loss);
    }
  });

  test("infinities and NaN follow IEEE 754, row by row, and leave other rows alone", () => {
    const x = tensor([
      [0, 0],
      [Infinity, 0],
      [NaN, 0],
      [-Infinity, -Infinity],
      [-Infinity, 0],
    ]);
    const out = numbers(softmaxForward(x).out.data);
    expect(out).toEqual([0.5, 0.5, NaN, NaN, NaN, NaN, NaN, NaN, 0, 1]);
    const { dx, loss } = softmaxLoss(x, [0, 0, 0, 0, 1]);
    expect(loss).toBeNaN();
    expect(numbers(dx.data.slice(0, 2)).map((v) => Math.round(v * 1e6))).toEqual([-100000, 100000]);
    expect(numbers(dx.data.slice(2, 8)).every(Number.isNaN)).toBe(true);
    expect(numbers(dx.data.slice(8))).toEqual([0, 0]);
    // A class that cannot be, and is: the loss is infinite and dx is not.
    const impossible = softmaxLoss(tensor([[-Infinity, 0]]), [0]);
    expect(impossible.loss).toBe(Infinity);
    expect(numbers(impossible.dx.data)).toEqual([-1, 1]);
    // SVM: ∞ − 0 is a margin, ∞ − ∞ is none.
    expect(svmLoss(tensor([[0, Infinity]]), [0]).loss).toBe(Infinity);
    expect(svmLoss(tensor([[Infinity, 0]]), [0]).loss).toBe(0);
    expect(svmLoss(tensor([[Infinity, Infinity]]), [0]).loss).toBeNaN();
    expect(svmLoss(tensor([[NaN, 0]]), [0]).loss).toBeNaN();
    expect(svmLoss(tensor([[0, NaN]]), [0]).loss).toBeNaN();
    expect(svmLoss(tensor([[0, -Infinity]]), [0])).toMatchObject({ loss: 0 });
  });

  test("a row of one class is certain: probability 1, loss 0, gradient 0", () => {
    const x = tensor([[3], [-1e4], [1e30], [0]]);
    expect(numbers(softmaxForward(x).out.data)).toEqual([1, 1, 1, 1]);
    for (const loss of [softmaxLoss, svmLoss]) {
      const result = loss(x, [0, 0, 0, 0]);
      expect(result.loss + 0).toBe(0);
      expect(numbers(result.dx.data)).toEqual([0, 0, 0, 0]);
    }
  });

  test("100,000 classes: probabilities, losses and gradients are the float64 twin's", () => {
    const C = 100_000;
    const random = seeded(502);
    const row = array.from(normals(C, random), (v) => 3 * v);
    const x = runtime.tensor(row, [1, C], dtype);
    const label = 12_345;
    const most = Array.from(row).reduce((a, b) => Math.max(a, b));
    const total = sumOf(C, (j) => Math.exp(row[j]! - most));
    const out = softmaxForward(x).out.toTypedArray();
    const { loss, dx } = softmaxLoss(x, [label]);
    // x − most is rounded to the dtype, which counts up to 30 times in a probability.
    const bound = 20 * epsilon;
    let [worst, worstDx] = [0, 0];
    for (let j = 0; j < C; j++) {
      const p = Math.exp(row[j]! - most) / total;
      worst = Math.max(worst, Math.abs(out[j]! - p) / p);
      const g = p - (j === label ? 1 : 0);
      worstDx = Math.max(worstDx, Math.abs(dx.data[j]! - g) / Math.abs(g));
    }
    expect(worst).toBeLessThan(bound);
    expect(worstDx).toBeLessThan(bound);
    expect(Math.abs(sumOf(C, (j) => out[j]!) - 1)).toBeLessThan(8 * epsilon);
    const expected = Math.log(total) - (row[label]! - most);
    expect(Math.abs(loss - expected) / expected).toBeLessThan(dtype === "float32" ? 1e-8 : 1e-14);

    const svm = svmLoss(x, [label]);
    const margin = (j: number) => (j === label ? 0 : Math.max(0, row[j]! - row[label]! + 1));
    const margins = sumOf(C, margin);
    expect(Math.abs(svm.loss - margins) / margins).toBeLessThan(1e-13);
    const positives = sumOf(C, (j) => (margin(j) > 0 ? 1 : 0));
    expect(svm.dx.data[label]).toBe(-positives);
    expect(sumOf(C, (j) => svm.dx.data[j]!)).toBe(0);
  });
});

describe.each(dtypes)("batch normalisation in $dtype", ({ dtype, array, epsilon }) => {
  // 2,050 rows: two chunks and two rows more.
  const [N, D] = [2050, 3];
  const ratios = [0, 1, 1e2, 1e4, 1e6];
  const scales = [1e-3, 1, 1e4];
  const cases = ratios.flatMap((ratio) => scales.map((scale) => [ratio, scale] as const));

  test.each(cases)(
    "a mean of %d deviations, a deviation of %d: all results within the stated error",
    (ratio, std) => {
      runtime.scope(() => {
        const random = seeded(503);
        const draw = (n: number) => array.from(normals(n, random));
        const x = array.from(normals(N * D, random), (v) => std * (v + ratio));
        const [dout, gamma, beta] = [draw(N * D), draw(D), draw(D)];
        const eps = 1e-5 * std * std;
        const param: BatchnormParam<typeof dtype> = { mode: "train", momentum: 0, eps };
        const rows = runtime.tensor(x, [N, D], dtype);
        const [g, b] = [runtime.tensor(gamma, [D], dtype), runtime.tensor(beta, [D], dtype)];
        const { out, cache } = batchnormForward(rows, g, b, param);
        const { dx, dgamma, dbeta } = batchnormBackward(runtime.tensor(dout, [N, D], dtype), cache);
        const again: BatchnormParam<typeof dtype> = { mode: "test", eps };
        recalibrate([rows], again);
        const tested = batchnormForward(rows, g, b, again).out;

        // In units of a deviation: a mean that is rounded to float64, and float32's few roundings.
        const float64 = 2 * ratio * 2 ** -52 + 1e-13;
        const bound = dtype === "float64" ? float64 : 4 * epsilon;
        for (let j = 0; j < D; j++) {
          // Exact about the first value, which is near all others.
          const first = x[j]!;
          const at = (n: number) => x[n * D + j]! - first;
          const offset = sumOf(N, at) / N;
          const variance = sumOf(N, (n) => (at(n) - offset) ** 2) / N;
          const deviation = Math.sqrt(variance + eps);
          const xNorm = (n: number) => (at(n) - offset) / deviation;
          const up = (n: number) => dout[n * D + j]!;
          const sums = { dbeta: sumOf(N, up), dgamma: sumOf(N, (n) => up(n) * xNorm(n)) };
          const size = sumOf(N, (n) => Math.abs(up(n)));
          expect(Math.abs(dbeta.data[j]! - sums.dbeta) / size).toBeLessThan(epsilon);
          expect(Math.abs(dgamma.data[j]! - sums.dgamma) / size).toBeLessThan(bound);
          expect(Math.abs(param.runningMean!.data[j]! - (first + offset))).toBeLessThanOrEqual(
            epsilon * Math.abs(first + offset) + 1e-8 * std * (dtype === "float32" ? 10 : 1e-4),
          );
          expect(Math.abs(param.runningVar!.data[j]! / variance - 1)).toBeLessThan(bound);
          expect(again.runningVar!.data[j]).toBe(param.runningVar!.data[j]);
          const factor = Math.abs(gamma[j]!) / deviation;
          let [worst, worstDx, worstTest] = [0, 0, 0];
          for (let n = 0; n < N; n++) {
            const i = n * D + j;
            const normed = gamma[j]! * xNorm(n);
            const scale = Math.abs(gamma[j]!) + Math.abs(normed) + Math.abs(beta[j]!);
            worst = Math.max(worst, Math.abs(out.data[i]! - (normed + beta[j]!)) / scale);
            // The running mean is stored in the dtype: half a unit of it, in deviations.
            worstTest = Math.max(
              worstTest,
              Math.abs(tested.data[i]! - (normed + beta[j]!)) / scale,
            );
            const inner = up(n) - sums.dbeta / N - (xNorm(n) * sums.dgamma) / N;
            const gradient = (gamma[j]! / deviation) * inner;
            worstDx = Math.max(worstDx, Math.abs(dx.data[i]! - gradient) / (factor * 4));
          }
          expect(worst).toBeLessThan(bound);
          expect(worstDx).toBeLessThan(bound);
          expect(worstTest).toBeLessThan(bound + epsilon * ratio);
        }
      });
    },
  );
});

describe("sums of a million float32 are within 1e-6", () => {
  const MILLION = 1_000_000;
  const random = seeded(504);
  const kinds: Record<string, (i: number) => number> = {
    "equal terms of 0.1": () => 0.1,
    "uniform terms": () => random(),
    squares: () => (random() + random() + random() - 1.5) ** 2,
    "falling terms": (i) => 1 / (i + 1),
    "large terms first": (i) => (i < 1000 ? 1e6 : 1e-3),
  };
  const within = (actual: number, exact: number, scale = Math.abs(exact)) =>
    expect(Math.abs(actual - exact) / scale).toBeLessThan(1e-6);

  test.each(Object.entries(kinds))("%s", (_, term) => {
    const own = createRuntimeSync();
    const values = Float32Array.from({ length: MILLION }, (_, i) => term(i));
    const exact = sumOf(MILLION, (i) => values[i]!);
    const squares = sumOf(MILLION, (i) => values[i]! ** 2);
    const column = own.tensor(values, [MILLION, 1]);
    const ones = own.ones([MILLION, 1]);
    const zeros = own.zeros([MILLION, 1]);
    const [one, zero] = [own.ones([1]), own.zeros([1])];

    // The bias gradient of an affine layer.
    const { cache } = affineForward(ones, own.ones([1, 1]), zero);
    within(affineBackward(column, cache, { dx: false, dw: false }).db.item(), exact);

    // Statistics of batch normalisation, and its sums backward.
    const param: BatchnormParam<"float32"> = { mode: "train", momentum: 0 };
    const normed = batchnormForward(column, one, zero, param);
    const mean = exact / MILLION;
    const variance = sumOf(MILLION, (i) => (values[i]! - mean) ** 2) / MILLION;
    within(param.runningMean!.item(), mean);
    within(param.runningVar!.item(), variance, variance || 1);
    const back = batchnormBackward(column, normed.cache, { dx: false });
    within(back.dbeta.item(), exact);
    const invstd = 1 / Math.sqrt(variance + 1e-5);
    const dgamma = sumOf(MILLION, (i) => values[i]! * (values[i]! - mean) * invstd);
    const size = sumOf(MILLION, (i) => Math.abs(values[i]! * (values[i]! - mean) * invstd));
    within(back.dgamma.item(), dgamma, size || 1);

    // Losses: over a million examples, and a million classes.
    within(mseLoss(column, zeros, { dx: false }).loss, squares / MILLION);
    const bce = sumOf(MILLION, (i) => values[i]! + Math.log1p(Math.exp(-values[i]!))) / MILLION;
    within(bceWithLogitsLoss(column, zeros, { dx: false }).loss, bce);
    const row = column.reshape([1, MILLION]);
    const most = values.reduce((a, b) => Math.max(a, b));
    const total = sumOf(MILLION, (i) => Math.exp(values[i]! - most));
    const softmax = Math.log(total) - (values[7]! - most);
    within(softmaxLoss(row, [7], { dx: false }).loss, softmax);
    const svm = sumOf(MILLION, (i) => (i === 7 ? 0 : Math.max(0, values[i]! - values[7]! + 1)));
    within(svmLoss(row, [7], { dx: false }).loss, svm);
    const pairs = new Float32Array(2 * MILLION);
    for (let i = 0; i < MILLION; i++) pairs[2 * i] = values[i]!;
    const two = own.tensor(pairs, [MILLION, 2]);
    const labels = new Int32Array(MILLION).fill(1);
    within(softmaxLoss(two, labels, { dx: false }).loss, bce);
    within(svmLoss(two, labels, { dx: false }).loss, (exact + MILLION) / MILLION);
    own.dispose();
  });

  test("the norm that clips the gradients of a million weights, and l2 over them", () => {
    const own = createRuntimeSync();
    const D = 1000;
    const layers = [affine(D, { useBias: false })];
    const model = new Sequential(own, { input: [D], layers });
    const weight = model.parameters()[0]!;
    weight.value.data.fill(0.1);
    const x = Float32Array.from({ length: D }, random);
    const y = new Float32Array(D); // targets of 0
    const clipNorm = 1e-3;
    const l2 = 0.5;
    const trainer = new Trainer(model, {
      loss: "mse",
      optimizer: sgd({ learningRate: 0 }),
      l2,
      clipNorm,
    });
    const { loss } = trainer.step(x, y);
    const score = sumOf(D, (i) => x[i]! * Math.fround(0.1));
    const squares = D * D * Math.fround(0.1) ** 2;
    within(loss, score * score + 0.5 * l2 * squares);
    const { data } = weight.gradient;
    // and the 1e-6 that the rule adds
    within(Math.sqrt(sumOf(data.length, (i) => data[i]! ** 2)), clipNorm, clipNorm / 2);
    own.dispose();
  });
});
