import { describe, expect, test } from "vitest";
import {
  AliasError,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  createRuntimeSync,
  DisposedError,
  DTypeError,
  numericalGradient,
  recalibrate,
  relativeError,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import {
  configurations,
  float64Of,
  GOLDEN_BOUND,
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

const { absolute, columnStatistics, deviation, magnitude, normals } = reference;

reportErrors();

const modes = ["train", "test"] as const;

/**
 * What dx is made of before its terms cancel: |gamma| / std · the largest |dout|, for each element.
 */
function termsOfDx(
  dout: reference.Numbers,
  x: reference.Numbers,
  gamma: reference.Numbers,
  statistics: reference.Statistics,
  eps: number,
): number[] {
  const most = new Array(x.length).fill(magnitude(dout));
  return reference.batchnormBackward(most, x, absolute(gamma), statistics, eps, "test").dx;
}

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix } = type;
  const { exports } = core;
  // The statistics are float64; what is made of them takes four roundings of float32, ten in a sum
  // whose terms cancel. Or up to 33 float64 terms, magnified by as much as a column's mean is
  // larger than its deviation, which two rows can make some 1e4.
  const bound = type.dtype === "float32" ? 6e-7 : 1e-11;

  test.each(modes)(
    "%s mode is the plain twin at any length and address, and writes no other byte",
    (mode) => {
      const random = seeded(51);
      const training = mode === "train";
      const [eps, momentum] = [1e-3, 0.8];
      // 1,030 rows are more than one chunk; 1,027 columns more than one strip.
      const large = [
        [1030, 5],
        [9, 1027],
      ] as const;
      for (const [N, D] of [...sizes.flatMap((N) => sizes.map((D) => [N, D] as const)), ...large]) {
        if (training && N === 0) continue;
        core.reset();
        const pick = () => ({ offset: offsets[Math.floor(3 * random())]! });
        const draw = (n: number) => array.from(normals(n, random));
        const [x, dout, gamma, beta] = [draw(N * D), draw(N * D), draw(D), draw(D)];
        const running = { mean: draw(D), variance: draw(D).map(Math.abs) };
        const place = (data: typeof x) => core.input(data, pick());
        const [xAt, doutAt, gammaAt, betaAt] = [x, dout, gamma, beta].map(place);
        const [meanAt, varianceAt] = [running.mean, running.variance].map((data) =>
          training ? core.inout(data, pick()) : core.input(data, pick()),
        );
        const saved = core.output(Float64Array, 2 * D, pick());
        const out = core.output(array, N * D, pick());
        const dx = core.output(array, N * D, pick());
        const [dgamma, dbeta] = [core.output(array, D, pick()), core.output(array, D, pick())];
        const work = core.work(exports.batchnorm_work_bytes(D)).address;
        exports[`batchnorm_forward_${suffix}`](
          ...([out.address, saved.address, meanAt!.address, varianceAt!.address] as const),
          ...([xAt!.address, gammaAt!.address, betaAt!.address, work, N, D] as const),
          ...([eps, momentum, training] as const),
        );
        exports[`batchnorm_backward_${suffix}`](
          ...([dx.address, dgamma.address, dbeta.address, doutAt!.address] as const),
          ...([xAt!.address, gammaAt!.address, saved.address, work, N, D, training] as const),
        );
        core.checkGuards();

        const runningNow = { mean: numbers(running.mean), variance: numbers(running.variance) };
        const batch = training ? columnStatistics(x, [N, D]) : runningNow;
        const expected = reference.batchnormForward(x, gamma, beta, batch, eps);
        const gradients = reference.batchnormBackward(dout, x, gamma, batch, eps, mode);
        expect(deviation(out.values(), expected)).toBeLessThan(bound);
        const statistics = [...batch.mean, ...batch.variance.map((v) => 1 / Math.sqrt(v + eps))];
        // Sums of eight rows are float32's, all others float64.
        const exact = type.dtype === "float64" || !training ? 1e-12 : 1e-7;
        expect(deviation(saved.values(), statistics)).toBeLessThan(exact);
        if (training) {
          const mean = reference.movedRunning(running.mean, batch.mean, momentum, N);
          const variance = reference.movedRunning(running.variance, batch.variance, momentum, N);
          expect(deviation(meanAt!.values(), mean)).toBeLessThan(bound);
          expect(deviation(varianceAt!.values(), variance)).toBeLessThan(bound);
        }
        expect(deviation(dgamma.values(), gradients.dgamma)).toBeLessThan(bound);
        expect(deviation(dbeta.values(), gradients.dbeta)).toBeLessThan(bound);
        const scale = termsOfDx(dout, x, gamma, batch, eps);
        expect(deviation(dx.values(), gradients.dx, scale)).toBeLessThan(2 * bound);
      }
    },
  );

  /** Train mode on these rows, gamma 1 and beta 0; the running values become those of the batch. */
  function normalized(rows: ReturnType<typeof array.from>, [N, D]: [number, number], eps: number) {
    core.reset();
    const x = core.input(rows).address;
    const [gamma, beta] = [1, 0].map(
      (value) => core.input(array.from(Array(D).fill(value))).address,
    );
    const [mean, variance] = [core.output(array, D), core.output(array, D)];
    mean.set(array.from(Array(D).fill(0)));
    variance.set(array.from(Array(D).fill(0)));
    const [out, saved] = [core.output(array, N * D), core.output(Float64Array, 2 * D)];
    const work = core.work(exports.batchnorm_work_bytes(D)).address;
    exports[`batchnorm_forward_${suffix}`](
      ...([out.address, saved.address, mean.address, variance.address] as const),
      ...([x, gamma!, beta!, work, N, D, eps, 0, true] as const),
    );
    core.checkGuards();
    return { out: out.values(), variance: numbers(variance.values()) };
  }

  test.runIf(type.dtype === "float32")(
    "columns whose squares float32 does not hold are normalised all the same",
    () => {
      const [N, D] = [19, 9];
      const rows = array.from(normals(N * D, seeded(57)), (value) => 1e25 * value);
      const expected = reference.batchnormForward(
        ...([rows, Array(D).fill(1), Array(D).fill(0)] as const),
        ...([columnStatistics(rows, [N, D]), 1e-5] as const),
      );
      expect(deviation(normalized(rows, [N, D], 1e-5).out, expected)).toBeLessThan(bound);
    },
  );

  // Σ (x − K)² less what the distance of K from the mean takes: rounding alone could make it
  // negative.
  test("no variance is below 0, where all rows are the same", () => {
    const random = seeded(58);
    for (let N = 1; N < 40; N++) {
      const D = 16;
      const row = normals(D, random);
      const rows = array.from({ length: N * D }, (_, i) => row[i % D]!);
      const { out, variance } = normalized(rows, [N, D], 1e-60);
      expect(variance.filter((value) => !(value >= 0))).toEqual([]);
      expect(numbers(out).filter(Number.isNaN)).toEqual([]);
    }
  });

  // Eight rows that are K, and as many whose squares are 0 in T, but not in the float64 that the
  // sum's is taken in.
  test("no variance is below 0, where x is so small that its squares are lost", () => {
    for (const D of [1, 4, 5]) {
      const rows = array.from({ length: 16 * D }, (_, i) => (i < 8 * D ? 0 : 1e-25));
      const { out, variance } = normalized(rows, [16, D], 1e-60);
      expect(variance.filter((value) => !(value >= 0))).toEqual([]);
      expect(numbers(out).filter(Number.isNaN)).toEqual([]);
    }
  });

  test("an output whose address is 0 is left out, and the others have the same bits", () => {
    const random = seeded(52);
    const [N, D] = [7, 5];
    for (const training of [true, false]) {
      core.reset();
      const draw = (n: number) => core.input(array.from(normals(n, random))).address;
      const [x, dout, gamma] = [draw(N * D), draw(N * D), draw(D)];
      const saved = core.input(Float64Array.from(normals(2 * D, random).map(Math.abs))).address;
      const work = core.work(exports.batchnorm_work_bytes(D)).address;
      const backward = (dx: number, dgamma: number, dbeta: number) => {
        const all = [dx, dgamma, dbeta, dout, x, gamma, saved, work, N, D, training] as const;
        exports[`batchnorm_backward_${suffix}`](...all);
        core.checkGuards();
      };
      const lengths = [N * D, D, D];
      const full = lengths.map((n) => core.output(array, n));
      backward(full[0]!.address, full[1]!.address, full[2]!.address);
      for (const kept of [0, 1, 2]) {
        const one = core.output(array, lengths[kept]!);
        const at = (i: number) => (i === kept ? one.address : 0);
        backward(at(0), at(1), at(2));
        expect(one.values()).toEqual(full[kept]!.values());
      }
    }
  });

  // 1,030 rows are more than one chunk; 1,027 columns more than one strip.
  test.each([
    ...sizes.filter((N) => N > 0).flatMap((N) => [1, 3, 4, 5, 9].map((D) => [N, D])),
    [1030, 5],
    [2061, 3],
    [17, 1027],
  ] as [number, number][])("the moments of %d rows of %d columns are the twin's", (N, D) => {
    const random = seeded(53);
    core.reset();
    const rows = array.from(normals(N * D, random), (value) => 3 * value + 7);
    const mean = core.output(Float64Array, D);
    const m2 = core.output(Float64Array, D, { offset: 8 });
    const x = core.input(rows, { offset: type.bytes }).address;
    const work = core.work(exports.batchnorm_work_bytes(D)).address;
    exports[`batchnorm_moments_${suffix}`](mean.address, m2.address, x, work, N, D);
    core.checkGuards();
    const expected = columnStatistics(rows, [N, D]);
    const variance = numbers(m2.values()).map((sum) => sum / N);
    // Eight terms are summed in T, up to 2,061 in float64; a column's mean is near 7.
    expect(deviation(mean.values(), expected.mean, 7)).toBeLessThan(16 * type.epsilon);
    expect(deviation(variance, expected.variance)).toBeLessThan(16 * type.epsilon);
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, array, epsilon }) => {
  const runtime = createRuntimeSync();
  const random = seeded(54);
  const tensor = (data: ArrayLike<number>, shape: readonly number[] = [data.length]) =>
    runtime.tensor(array.from(data), shape, dtype);
  const draw = (...shape: number[]) =>
    tensor(
      normals(
        shape.reduce((a, b) => a * b, 1),
        random,
      ),
      shape,
    );
  type Param = BatchnormParam<typeof dtype>;
  // four float32 roundings; some tens of float64 terms
  const bound = dtype === "float32" ? 2.4e-7 : 1e-13;

  test.each(modes)("%s mode forward and backward are the plain twin's", (mode) => {
    for (const [N, D] of [
      [1, 1],
      [2, 9],
      [5, 3],
      [33, 17],
      [100, 4],
    ] as const) {
      const [x, gamma, beta, dout] = [draw(N, D), draw(D), draw(D), draw(N, D)];
      const runningVar = tensor(absolute(draw(D).data));
      const param: Param = { mode, eps: 1e-3, runningMean: draw(D), runningVar };
      const running = { mean: values(param.runningMean!), variance: values(runningVar) };
      const { out, cache } = batchnormForward(x, gamma, beta, param);
      const { dx, dgamma, dbeta } = batchnormBackward(dout, cache);
      expect([out.shape, dx.shape, dgamma.shape, dbeta.shape]).toEqual([[N, D], [N, D], [D], [D]]);

      const statistics = mode === "train" ? columnStatistics(x.data, [N, D]) : running;
      const expected = reference.batchnormForward(x.data, gamma.data, beta.data, statistics, 1e-3);
      const twin = [dout.data, x.data, gamma.data, statistics, 1e-3] as const;
      const gradients = reference.batchnormBackward(...twin, mode);
      const scale = termsOfDx(...twin);
      const kind = (name: string) => `batchnorm ${mode} ${dtype}: ${name}`;
      expect(track(kind("out"), deviation(out.data, expected))).toBeLessThan(bound);
      expect(track(kind("dx"), deviation(dx.data, gradients.dx, scale))).toBeLessThan(2 * bound);
      const dgammaError = deviation(dgamma.data, gradients.dgamma);
      expect(track(kind("dgamma"), dgammaError)).toBeLessThan(bound);
      expect(track(kind("dbeta"), deviation(dbeta.data, gradients.dbeta))).toBeLessThan(bound);
    }
  });

  test("training gives out the mean beta and the deviation |gamma|, whatever x has", () => {
    const [N, D] = [200, 6];
    const x = tensor(
      normals(N * D, random).map((v, i) => v * 10 ** (i % D) - 5),
      [N, D],
    );
    const [gamma, beta] = [draw(D), draw(D)];
    const { out } = batchnormForward(x, gamma, beta, { mode: "train", eps: 1e-12 });
    const { mean, variance } = columnStatistics(out.data, [N, D]);
    const deviations = variance.map(Math.sqrt);
    // Roundings of out's values, of a few units, and of x's mean of up to 5 deviations.
    expect(deviation(mean, beta.data, 1)).toBeLessThan(10 * epsilon);
    expect(deviation(deviations, absolute(gamma.data), 1)).toBeLessThan(
      dtype === "float32" ? 1e-6 : 1e-11,
    );
  });

  test("eps is 1e-5 and momentum 0.9 unless said", () => {
    const x = tensor([0, 2e-3], [2, 1]); // variance 1e-6, below eps
    const [gamma, beta] = [tensor([1]), tensor([0])];
    const param: Param = { mode: "train" };
    const { out } = batchnormForward(x, gamma, beta, param);
    const xNorm = 1e-3 / Math.sqrt(1e-6 + 1e-5);
    expect(deviation(out.data, [-xNorm, xNorm])).toBeLessThan(4 * epsilon); // a few roundings
    expect(deviation(param.runningMean!.data, [0.1 * 1e-3])).toBeLessThan(4 * epsilon);
    expect(deviation(param.runningVar!.data, [0.1 * 1e-6])).toBeLessThan(4 * epsilon);
  });

  test("a mean of a million deviations costs no digits but those that x itself has lost", () => {
    const [N, D] = [300, 5];
    const x = tensor(
      normals(N * D, random).map((v) => v + 1e6),
      [N, D],
    );
    const [gamma, beta, dout] = [draw(D), draw(D), draw(N, D)];
    const param: Param = { mode: "train", momentum: 0 };
    const { out, cache } = batchnormForward(x, gamma, beta, param);
    const { dx, dgamma } = batchnormBackward(dout, cache);
    const statistics = columnStatistics(x.data, [N, D]);
    const expected = reference.batchnormForward(x.data, gamma.data, beta.data, statistics, 1e-5);
    const twin = [dout.data, x.data, gamma.data, statistics, 1e-5] as const;
    const gradients = reference.batchnormBackward(...twin, "train");
    // The twin's own float64 mean is off by some 1e6 · 1.1e-16 · √300 = 2e-9 deviations.
    const kind = (name: string) => `batchnorm at mean 1e6 ${dtype}: ${name}`;
    const limit = dtype === "float32" ? 1e-7 : 1e-8;
    expect(track(kind("out"), deviation(out.data, expected))).toBeLessThan(limit);
    expect(track(kind("dx"), deviation(dx.data, gradients.dx))).toBeLessThan(limit);
    expect(track(kind("dgamma"), deviation(dgamma.data, gradients.dgamma))).toBeLessThan(limit);
    expect(deviation(param.runningVar!.data, statistics.variance)).toBeLessThan(limit);
  });

  test("a first row far from all others costs no digits", () => {
    const [N, D] = [100, 3];
    const x = draw(N, D);
    x.data.fill(1e8, 0, D);
    const [gamma, beta] = [draw(D), draw(D)];
    const { out } = batchnormForward(x, gamma, beta, { mode: "train" });
    const statistics = columnStatistics(x.data, [N, D]);
    const expected = reference.batchnormForward(x.data, gamma.data, beta.data, statistics, 1e-5);
    expect(deviation(out.data, expected)).toBeLessThan(bound);
  });

  test("finite values whose squares overflow have an infinite variance in float64, a finite one in float32", () => {
    const most = dtype === "float32" ? 1e38 : 1e200;
    const x = tensor([most, -most], [2, 1]);
    const param: Param = { mode: "train" };
    const { out } = batchnormForward(x, tensor([1]), tensor([7]), param);
    // NumPy in float64: sqrt(∞) divides everything to 0, and beta is left.
    expect(values(out)).toEqual(dtype === "float32" ? [8, 6] : [7, 7]);
    expect(values(param.runningVar!)).toEqual([Infinity]);
  });

  test("recalibrate refuses one tensor as both running values", () => {
    const both = tensor([0, 0]);
    const param: Param = { mode: "train", runningMean: both, runningVar: both };
    expect(() => recalibrate([tensor([1, 2, 3, 4], [2, 2])], param)).toThrow(AliasError);
    expect(values(both)).toEqual([0, 0]);
  });

  test("a constant column gives beta exactly, and finite gradients", () => {
    for (const constant of [0, 0.1, -7, 1e30, 3e38]) {
      for (const N of [1, 2, 7, 100]) {
        const x = tensor(new Array(2 * N).fill(constant), [N, 2]);
        const beta = tensor([0.3, -4]);
        const param: Param = { mode: "train", momentum: 0 };
        const { out, cache } = batchnormForward(x, tensor([2, -3]), beta, param);
        expect(values(out)).toEqual(new Array(N).fill(values(beta)).flat());
        // A single value moves nothing.
        const mean = N === 1 ? 0 : x.data[0];
        expect(values(param.runningMean!)).toEqual([mean, mean]);
        expect(values(param.runningVar!)).toEqual([0, 0]);
        const { dx, dgamma, dbeta } = batchnormBackward(draw(N, 2), cache);
        expect(values(dgamma)).toEqual([0, 0]);
        expect([...values(dx), ...values(dbeta)].every(Number.isFinite)).toBe(true);
      }
    }
  });

  test("a batch of one gives beta, no gradient for x and gamma, and leaves the running values", () => {
    const x = draw(1, 4);
    const beta = draw(4);
    const param: Param = { mode: "train", runningVar: runtime.ones([4], dtype) };
    const { out, cache } = batchnormForward(x, draw(4), beta, param);
    expect(values(out)).toEqual(values(beta));
    const dout = draw(1, 4);
    const { dx, dgamma, dbeta } = batchnormBackward(dout, cache);
    expect(values(dx).map(Math.abs)).toEqual([0, 0, 0, 0]);
    expect(values(dgamma).map(Math.abs)).toEqual([0, 0, 0, 0]);
    expect(values(dbeta)).toEqual(values(dout));
    expect(values(param.runningMean!)).toEqual([0, 0, 0, 0]);
    expect(values(param.runningVar!)).toEqual([1, 1, 1, 1]);
  });

  test("NaN and infinities in a column give what NumPy gives, in that column alone", () => {
    const x = tensor(
      [
        ...[Infinity, -Infinity, NaN, 1, 1, 1, Infinity, 1],
        ...[1, 1, 1, Infinity, -Infinity, NaN, -Infinity, 5],
        ...[2, 2, 2, 2, 2, 2, 0, 5],
      ],
      [3, 8],
    );
    const param: Param = { mode: "train" };
    const [gamma, beta] = [runtime.full([8], 2, dtype), runtime.full([8], 0.5, dtype)];
    const { out, cache } = batchnormForward(x, gamma, beta, param);
    const dout = tensor(
      [1, -1, 2].flatMap((sign) => [1, 2, 3, 4, 5, 6, 7, 8].map((value) => sign * value)),
      [3, 8],
    );
    const { dx, dgamma, dbeta } = batchnormBackward(dout, cache);
    // NumPy 1.24.2 on the formulas of batchnormForward and batchnormBackward.
    const lost = new Array(7).fill(NaN);
    const close = (actual: Tensor, expected: number[]) =>
      // All else is of a few units: float32 roundings, or the terms of a float64 sum.
      expect(deviation(actual.data, expected, 10)).toBeLessThan(dtype === "float32" ? 1e-6 : 1e-14);
    close(out, [
      ...[...lost, -2.3284231472789356],
      ...[...lost, 1.914211573639468],
      ...[...lost, 1.914211573639468],
    ]);
    close(param.runningMean!, [
      ...[Infinity, -Infinity, NaN, Infinity, -Infinity, NaN, NaN, 0.3666666666666666],
    ]);
    close(param.runningVar!, [...lost, 0.3555555555555555]);
    close(dbeta, [2, 4, 6, 8, 10, 12, 14, 16]);
    close(dgamma, [...lost, -5.656846294557871]);
    close(dx, [
      ...[...lost, 7.954917729204868e-6],
      ...[...lost, -12.727908140214074],
      ...[...lost, 12.727900185296345],
    ]);
  });

  test("running values are made where absent, kept as the same tensors, and outlive the scope", () => {
    const param: Param = { mode: "train" };
    const [N, D] = [5, 3];
    const batches = [draw(N, D), draw(N, D), draw(N, D)];
    const [gamma, beta] = [draw(D), draw(D)];
    let expected = { mean: [0, 0, 0], variance: [0, 0, 0] };
    let made: unknown[] = [];
    for (const [i, x] of batches.entries()) {
      runtime.scope(() => {
        batchnormForward(x, gamma, beta, param);
      });
      if (i === 0) made = [param.runningMean, param.runningVar];
      expect(param.runningMean).toBe(made[0]);
      expect(param.runningVar).toBe(made[1]);
      const batch = columnStatistics(x.data, [N, D]);
      expected = {
        mean: reference.movedRunning(expected.mean, batch.mean, 0.9, N),
        variance: reference.movedRunning(expected.variance, batch.variance, 0.9, N),
      };
      // float32 rounds what it stores each time.
      const limit = dtype === "float32" ? 3e-7 : 1e-14;
      expect(deviation(param.runningMean!.data, expected.mean)).toBeLessThan(limit);
      expect(deviation(param.runningVar!.data, expected.variance)).toBeLessThan(limit);
    }
    expect(param.runningMean!.shape).toEqual([D]);
    expect(param.runningMean!.dtype).toBe(dtype);
  });

  test("one running value that is there is used, and the other made", () => {
    const runningMean = tensor([10, 20]);
    const param: Param = { mode: "train", runningMean };
    batchnormForward(tensor([1, 2, 3, 4], [2, 2]), draw(2), draw(2), param);
    expect(param.runningMean).toBe(runningMean);
    expect(deviation(runningMean.data, [9.2, 18.3])).toBeLessThan(2 * epsilon);
    expect(deviation(param.runningVar!.data, [0.1, 0.1])).toBeLessThan(2 * epsilon);
  });

  test("with momentum 0 the running values are the last batch's", () => {
    const param: Param = { mode: "train", momentum: 0, runningMean: draw(3), runningVar: draw(3) };
    const x = draw(9, 3);
    batchnormForward(x, draw(3), draw(3), param);
    const { mean, variance } = columnStatistics(x.data, [9, 3]);
    expect(deviation(param.runningMean!.data, mean)).toBeLessThan(bound);
    expect(deviation(param.runningVar!.data, variance)).toBeLessThan(bound);
  });

  test("test mode leaves the running values as they are, and makes zeros where there are none", () => {
    const [x, gamma, beta] = [draw(4, 3), draw(3), draw(3)];
    const param: Param = { mode: "test", runningMean: draw(3), runningVar: tensor([1, 2, 3]) };
    const { runningMean, runningVar } = param;
    const before = [values(runningMean!), values(runningVar!)];
    const { cache } = batchnormForward(x, gamma, beta, param);
    batchnormBackward(draw(4, 3), cache);
    expect([param.runningMean, param.runningVar]).toEqual([runningMean, runningVar]);
    expect([values(runningMean!), values(runningVar!)]).toEqual(before);

    const fresh: Param = { mode: "test" };
    const { out } = batchnormForward(x, gamma, beta, fresh);
    expect([values(fresh.runningMean!), values(fresh.runningVar!)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    const none = { mean: [0, 0, 0], variance: [0, 0, 0] };
    const expected = reference.batchnormForward(x.data, gamma.data, beta.data, none, 1e-5);
    expect(deviation(out.data, expected)).toBeLessThan(bound);
  });

  test("in test mode out shares no data with what is read, and the running values, which are, may", () => {
    const runningVar = tensor([4]);
    const [x, gamma] = [tensor([5], [1, 1]), tensor([3])];
    const param: Param = { mode: "test", eps: 1e-300, runningMean: gamma, runningVar };
    // (5 − 3) / 2 · 3 + 4: gamma is the mean as well, and beta the variance.
    const { out } = batchnormForward(x, gamma, runningVar, param);
    expect(deviation(out.data, [7])).toBeLessThan(4 * epsilon);
    const apart = { ...param, runningMean: tensor([0]) };
    for (const [name, shared] of [
      ["x", x],
      ["gamma", gamma],
      ["beta", runningVar],
      ["bnParam.runningMean", apart.runningMean],
      ["bnParam.runningVar", tensor([1])],
    ] as const) {
      const given = name === "bnParam.runningVar" ? { ...apart, runningVar: shared } : apart;
      const call = () =>
        batchnormForward(x, gamma, runningVar, given, { out: shared.reshape([1, 1]) });
      expect(call).toThrow(AliasError);
      expect(call).toThrow(`batchnormForward: out shares its data with ${name}, and`);
    }
  });

  test("backward uses the mode and the statistics of its forward, whatever bnParam became since", () => {
    const [x, gamma, beta, dout] = [draw(6, 3), draw(3), draw(3), draw(6, 3)];
    const param: Param = { mode: "test", runningMean: draw(3), runningVar: tensor([1, 2, 3]) };
    const tested = batchnormForward(x, gamma, beta, param).cache;
    const before = values(batchnormBackward(dout, tested).dx);
    param.mode = "train";
    batchnormForward(draw(6, 3), gamma, beta, param);
    expect(tested.mode).toBe("test");
    expect(values(batchnormBackward(dout, tested).dx)).toEqual(before);
  });

  test("writes into destinations, over what they held", () => {
    const [x, gamma, beta, dout] = [draw(5, 3), draw(3), draw(3), draw(5, 3)];
    const given = (...shape: number[]) => runtime.full(shape, NaN, dtype);
    for (const mode of modes) {
      const plain = batchnormForward(x, gamma, beta, { mode });
      const expected = batchnormBackward(dout, plain.cache);
      const to = { out: given(5, 3), dx: given(5, 3), dgamma: given(3), dbeta: given(3) };
      const { out, cache } = batchnormForward(x, gamma, beta, { mode }, { out: to.out });
      const gradients = batchnormBackward(dout, cache, {
        dx: to.dx,
        dgamma: to.dgamma,
        dbeta: to.dbeta,
      });
      expect(out).toBe(to.out);
      expect(values(out)).toEqual(values(plain.out));
      for (const name of ["dx", "dgamma", "dbeta"] as const) {
        expect(gradients[name]).toBe(to[name]);
        expect(values(gradients[name])).toEqual(values(expected[name]));
      }
    }
  });

  test("leaves out a gradient that is not wanted, and gives the others as before", () => {
    const { cache } = batchnormForward(draw(5, 3), draw(3), draw(3), { mode: "train" });
    const dout = draw(5, 3);
    const full = batchnormBackward(dout, cache);
    for (const name of ["dx", "dgamma", "dbeta"] as const) {
      const { tensors } = runtime.memory;
      const partial: Partial<typeof full> = batchnormBackward(dout, cache, { [name]: false });
      expect(runtime.memory.tensors).toBe(tensors + 2);
      expect(partial[name]).toBeUndefined();
      for (const other of ["dx", "dgamma", "dbeta"] as const) {
        if (other !== name) expect(values(partial[other]!)).toEqual(values(full[other]));
      }
    }
    const none = batchnormBackward(dout, cache, { dx: false, dgamma: false, dbeta: false });
    expect(none).toEqual({ dx: undefined, dgamma: undefined, dbeta: undefined });
  });

  test("a cache serves any number of backward calls and keeps its operands until it is disposed", () => {
    const { bytesLive, tensors } = runtime.memory;
    const [x, gamma, beta, dout] = [draw(5, 3), draw(3), draw(3), draw(5, 3)];
    const param: Param = { mode: "train" };
    const { out, cache } = batchnormForward(x, gamma, beta, param);
    const first = batchnormBackward(dout, cache);
    for (const handle of [x, gamma, beta]) handle.dispose();
    const others = [runtime.full([5, 3], NaN, dtype), runtime.full([3], NaN, dtype)];
    const second = batchnormBackward(dout, cache);
    for (const name of ["dx", "dgamma", "dbeta"] as const) {
      expect(values(second[name])).toEqual(values(first[name]));
    }
    cache.dispose();
    cache.dispose();
    expect(() => batchnormBackward(dout, cache)).toThrow(DisposedError);
    const gradients = [...Object.values(first), ...Object.values(second)];
    const running = [param.runningMean!, param.runningVar!];
    for (const handle of [out, dout, ...gradients, ...others, ...running]) handle.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });

  test("an empty batch in test mode gives an empty out and dx, and zeros for dgamma and dbeta", () => {
    const { out, cache } = batchnormForward(draw(0, 3), draw(3), draw(3), { mode: "test" });
    expect([out.shape, values(out)]).toEqual([[0, 3], []]);
    const to = { dgamma: runtime.full([3], NaN, dtype), dbeta: runtime.full([3], NaN, dtype) };
    const { dx, dgamma, dbeta } = batchnormBackward(draw(0, 3), cache, to);
    expect([dx.shape, values(dx)]).toEqual([[0, 3], []]);
    expect([values(dgamma), values(dbeta)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });

  test("without features everything is empty", () => {
    for (const mode of modes) {
      const { out, cache } = batchnormForward(draw(4, 0), draw(0), draw(0), { mode });
      const { dx, dgamma, dbeta } = batchnormBackward(draw(4, 0), cache);
      expect([out, dx, dgamma, dbeta].map(({ shape }) => shape)).toEqual([
        [4, 0],
        [4, 0],
        [0],
        [0],
      ]);
    }
  });

  describe("recalibrate", () => {
    const statisticsOf = (batches: Tensor[], D: number) => {
      const all = batches.flatMap(values);
      return columnStatistics(all, [all.length / D, D]);
    };

    test("gives the statistics of all rows together, over uneven batches", () => {
      for (const D of [1, 2, 3, 8, 17]) {
        const batches = [7, 1, 33, 0, 2, 16].map((N) => draw(N, D));
        const param: Param = { mode: "train" };
        recalibrate(batches, param);
        const { mean, variance } = statisticsOf(batches, D);
        expect(deviation(param.runningMean!.data, mean)).toBeLessThan(bound);
        expect(deviation(param.runningVar!.data, variance)).toBeLessThan(bound);
        expect(param.mode).toBe("train");
      }
    });

    test("gives in one batch, an empty one before it, what it gives in many", () => {
      const x = draw(60, 3);
      const [whole, parts]: Param[] = [{ mode: "test" }, { mode: "test" }];
      recalibrate([draw(0, 3), x], whole!);
      recalibrate(
        [0, 1, 2].map((i) => tensor(x.data.slice(60 * i, 60 * i + 60), [20, 3])),
        parts!,
      );
      for (const name of ["runningMean", "runningVar"] as const) {
        expect(deviation(parts![name]!.data, whole![name]!.data)).toBeLessThan(2 * bound);
      }
    });

    test("does not depend on what the running values were, and writes into the same tensors", () => {
      const batches = [draw(5, 3), draw(9, 3)];
      const fresh: Param = { mode: "test" };
      recalibrate(batches, fresh);
      const runningMean = runtime.full([3], NaN, dtype);
      const runningVar = runtime.full([3], Infinity, dtype);
      const used: Param = { mode: "test", runningMean, runningVar };
      recalibrate(batches, used);
      expect([used.runningMean, used.runningVar]).toEqual([runningMean, runningVar]);
      expect(used.runningMean).toBe(runningMean);
      expect(used.runningVar).toBe(runningVar);
      expect(values(runningMean)).toEqual(values(fresh.runningMean!));
      expect(values(runningVar)).toEqual(values(fresh.runningVar!));
    });

    test("keeps its digits at a mean of a million deviations", () => {
      const batches = [50, 3, 70].map((N) =>
        tensor(
          normals(2 * N, random).map((v) => v + 1e6),
          [N, 2],
        ),
      );
      const param: Param = { mode: "train" };
      recalibrate(batches, param);
      const { mean, variance } = statisticsOf(batches, 2);
      expect(deviation(param.runningMean!.data, mean)).toBeLessThan(bound);
      // The twin's own mean is off by some 1e-9 deviations.
      const limit = dtype === "float32" ? 1e-7 : 1e-8;
      expect(deviation(param.runningVar!.data, variance)).toBeLessThan(limit);
    });

    test("takes batches that are made one at a time, and whose scope has ended when the next comes", () => {
      const sources = [4, 6, 5].map((N) => draw(N, 3));
      const { bytesLive, tensors } = runtime.memory;
      function* batches() {
        for (const source of sources) {
          const x = tensor(source.data, source.shape);
          yield x;
          x.dispose();
        }
      }
      const param: Param = { mode: "train" };
      runtime.scope(() => recalibrate(batches(), param));
      const { mean, variance } = statisticsOf(sources, 3);
      expect(deviation(param.runningMean!.data, mean)).toBeLessThan(bound);
      expect(deviation(param.runningVar!.data, variance)).toBeLessThan(bound);
      param.runningMean!.dispose();
      param.runningVar!.dispose();
      expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    });

    test("changes nothing and keeps nothing where a later batch is refused", () => {
      const other = dtype === "float32" ? "float64" : "float32";
      const gone = draw(4, 3);
      gone.dispose();
      const good = draw(5, 3);
      for (const [bad, error] of [
        [draw(4, 2), ShapeError],
        [draw(4), ShapeError],
        [runtime.zeros([4, 3], other), DTypeError],
        [gone, DisposedError],
        [[1, 2, 3], TypeError],
      ] as const) {
        const param: Param = { mode: "train", runningMean: tensor([1, 2, 3]) };
        const { bytesLive, tensors } = runtime.memory;
        const batches = [good, bad] as unknown as (typeof good)[];
        expect(() => recalibrate(batches, param)).toThrow(error);
        expect(values(param.runningMean!)).toEqual([1, 2, 3]);
        expect(param.runningVar).toBeUndefined();
        expect(runtime.memory).toMatchObject({ bytesLive, tensors });
      }
      const param: Param = { mode: "train" };
      expect(() => recalibrate([], param)).toThrow(RangeError);
      expect(() => recalibrate([draw(0, 3)], param)).toThrow(RangeError);
      expect(param).toEqual({ mode: "train" });
    });

    test("makes test mode give what training gives on the whole set as one batch", () => {
      const x = draw(40, 3);
      const [gamma, beta] = [draw(3), draw(3)];
      const param: Param = { mode: "test" };
      recalibrate([tensor(x.data.slice(0, 33), [11, 3]), tensor(x.data.slice(33), [29, 3])], param);
      const tested = batchnormForward(x, gamma, beta, param).out;
      const trained = batchnormForward(x, gamma, beta, { mode: "train" }).out;
      // The running values are rounded to the dtype, at a deviation near 1.
      expect(deviation(tested.data, trained.data)).toBeLessThan(dtype === "float32" ? 5e-7 : 1e-13);
    });
  });
});

test.each(modes)(
  "gives what PyTorch gives in %s mode, and this library's running values",
  (mode) => {
    const runtime = createRuntimeSync();
    const { batchnormTrain, batchnormTest } = golden("layers");
    const expected = mode === "train" ? batchnormTrain : batchnormTest;
    const of = (name: "x" | "gamma" | "beta" | "dout" | "runningMean" | "runningVar") =>
      fromGolden(runtime, expected[name]);
    const param: BatchnormParam<"float64"> = {
      mode,
      eps: expected.eps,
      momentum: batchnormTrain.momentum,
      runningMean: of("runningMean"),
      runningVar: of("runningVar"),
    };
    const { out, cache } = batchnormForward(of("x"), of("gamma"), of("beta"), param);
    const actual = { out, ...batchnormBackward(of("dout"), cache) };
    for (const name of ["out", "dx", "dgamma", "dbeta"] as const) {
      const error = goldenError(actual[name], expected[name]);
      expect(track(`batchnorm against PyTorch, ${mode}`, error)).toBeLessThan(GOLDEN_BOUND);
    }
    const after =
      mode === "train"
        ? [batchnormTrain.runningMeanAfter, batchnormTrain.runningVarAfter]
        : [expected.runningMean, expected.runningVar];
    expect(goldenError(param.runningMean!, after[0]!)).toBeLessThan(GOLDEN_BOUND);
    expect(goldenError(param.runningVar!, after[1]!)).toBeLessThan(GOLDEN_BOUND);
  },
);

describe("gradients", () => {
  const runtime = createRuntimeSync();
  const random = seeded(55);
  const draw = <D extends "float32" | "float64">(dtype: D, ...shape: number[]) =>
    runtime.tensor(
      normals(
        shape.reduce((a, b) => a * b, 1),
        random,
      ),
      shape,
      dtype,
    );

  test.each(modes)(
    "float64 agrees with central differences after %s mode: dx, dgamma and dbeta",
    (mode) => {
      for (const N of gradientSizes) {
        for (const D of gradientSizes) {
          runtime.scope(() => {
            const [x, gamma, beta] = [
              draw("float64", N, D),
              draw("float64", D),
              draw("float64", D),
            ];
            const dout = draw("float64", N, D);
            const runningMean = draw("float64", D);
            const runningVar = runtime.tensor(absolute(draw("float64", D).data), [D], "float64");
            const forward = () => {
              // Training moves the running values, and its result does not depend on them.
              const running = mode === "test" ? { runningMean, runningVar } : {};
              return batchnormForward(x, gamma, beta, { mode, eps: 1e-3, ...running });
            };
            const { dx, dgamma, dbeta } = batchnormBackward(dout, forward().cache);
            const numerical = (operand: typeof x, h?: number) =>
              numericalGradient(() => forward().out, operand, dout, h);
            // Linear in gamma and beta, and after test mode in x: a large step loses no accuracy.
            const numericalX = mode === "test" ? numerical(x, 1) : numerical(x);
            for (const [name, gradient, expected] of [
              ["dx", dx, numericalX],
              ["dgamma", dgamma, numerical(gamma, 1)],
              ["dbeta", dbeta, numerical(beta, 1)],
            ] as const) {
              const error = relativeError(gradient, expected);
              const kind = `batchnorm gradient ${name} float64, ${mode}`;
              expect(track(kind, error)).toBeLessThan(GRADIENT_BOUND);
            }
          });
        }
      }
    },
  );

  test.each(modes)("float32 is close to float64 on the same inputs after %s mode", (mode) => {
    for (const N of gradientSizes) {
      for (const D of gradientSizes) {
        runtime.scope(() => {
          const [x, gamma, beta] = [draw("float32", N, D), draw("float32", D), draw("float32", D)];
          const dout = draw("float32", N, D);
          const runningMean = draw("float32", D);
          const runningVar = runtime.tensor(absolute(draw("float32", D).data), [D], "float32");
          const param: BatchnormParam<"float32"> = { mode, runningMean, runningVar };
          const param64: BatchnormParam<"float64"> = {
            mode,
            runningMean: float64Of(runtime, runningMean),
            runningVar: float64Of(runtime, runningVar),
          };
          const [x64, gamma64, beta64] = [x, gamma, beta].map((each) => float64Of(runtime, each));
          const { cache } = batchnormForward(x, gamma, beta, param);
          const { cache: cache64 } = batchnormForward(x64!, gamma64!, beta64!, param64);
          const single = batchnormBackward(dout, cache);
          const double = batchnormBackward(float64Of(runtime, dout), cache64);
          for (const name of ["dx", "dgamma", "dbeta"] as const) {
            // Float32 sums of four rows whose terms cancel, and four roundings.
            const error = deviation(single[name].data, double[name].data);
            const kind = `batchnorm gradient ${name} float32, ${mode}`;
            expect(track(kind, error)).toBeLessThan(6e-7);
          }
        });
      }
    }
  });
});
