// The blocking of the products at large sizes is tried in test/blas/gemm.test.ts.

import { describe, expect, test } from "vitest";
import {
  AliasError,
  affineBackward,
  affineForward,
  createRuntimeSync,
  DisposedError,
  dropoutForward,
  numericalGradient,
  relativeError,
  reluBackward,
  reluForward,
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
  offsets,
  reportErrors,
  sizes,
  track,
  values,
} from "./common.ts";

const { absolute, deviation, normals } = reference;

reportErrors();

type Sizes = readonly [N: number, D: number, M: number];
type Operands = Record<"x" | "w" | "b" | "dout", reference.Numbers>;

/**
 * The largest errors of out, dx, dw and db against the plain twin, each relative to the same sum
 * with all terms taken positive. Where terms cancel, a sum's rounding errors stay proportional to
 * that, and not to what is left.
 */
function errors(
  actual: Record<"out" | "dx" | "dw" | "db", reference.Numbers>,
  { x, w, b, dout }: Operands,
  sizes: Sizes,
): Record<"out" | "dx" | "dw" | "db", number> {
  const out = reference.affineForward(x, w, b, sizes);
  const { dx, dw, db } = reference.affineBackward(dout, x, w, sizes);
  const [x1, w1, b1, dout1] = [x, w, b, dout].map(absolute);
  const terms = reference.affineBackward(dout1!, x1!, w1!, sizes);
  return {
    out: deviation(actual.out, out, reference.affineForward(x1!, w1!, b1!, sizes)),
    dx: deviation(actual.dx, dx, terms.dx),
    dw: deviation(actual.dw, dw, terms.dw),
    db: deviation(actual.db, db, terms.db),
  };
}

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, epsilon } = type;
  const { exports } = core;

  test("is the plain twin around vectors and tiles, at any address, and writes no other byte", () => {
    const random = seeded(41);
    const pick = <T>(list: readonly T[]) => list[Math.floor(list.length * random())]!;
    for (let i = 0; i < 250; i++) {
      core.reset();
      const [N, D, M] = [pick(sizes), pick(sizes), pick(sizes)];
      const draw = (n: number) => array.from(normals(n, random));
      const operands = { x: draw(N * D), w: draw(D * M), b: draw(M), dout: draw(N * M) };
      const at = () => ({ offset: pick(offsets) });
      const x = core.input(operands.x, at()).address;
      const w = core.input(operands.w, at()).address;
      const b = core.input(operands.b, at()).address;
      const dout = core.input(operands.dout, at()).address;
      const bytes = Math.max(
        exports[`affine_forward_work_bytes_${suffix}`](N, D, M),
        exports[`affine_backward_work_bytes_${suffix}`](N, D, M),
      );
      const work = core.work(bytes, at()).address;
      const out = core.output(array, N * M, at());
      const [dx, dw, db] = [N * D, D * M, M].map((n) => core.output(array, n, at()));
      exports[`affine_forward_${suffix}`](out.address, x, w, b, work, N, D, M);
      exports[`affine_backward_${suffix}`](
        ...([dx!.address, dw!.address, db!.address] as const),
        ...([dout, x, w, work, N, D, M] as const),
      );
      core.checkGuards();
      const actual = {
        out: out.values(),
        dx: dx!.values(),
        dw: dw!.values(),
        db: db!.values(),
      };
      // Each product and each sum rounds by half an epsilon of what is summed so far; the same
      // again for the twin, and for the bias.
      const bound = (Math.max(N, D, M) + 2) * epsilon;
      for (const error of Object.values(errors(actual, operands, [N, D, M]))) {
        expect(error).toBeLessThan(bound);
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, array, epsilon }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: ArrayLike<number>, shape: readonly number[] = [data.length]) =>
    runtime.tensor(array.from(data), shape, dtype);
  const random = seeded(42);
  const draw = (...shape: number[]) =>
    tensor(
      normals(
        shape.reduce((a, b) => a * b, 1),
        random,
      ),
      shape,
    );

  /** 2 examples of 3 features, 2 outputs, in whole numbers. */
  const small = () => ({
    x: tensor([1, 2, 3, 4, 5, 6], [2, 3]),
    w: tensor([1, 4, 2, 5, 3, 6], [3, 2]),
    b: tensor([10, 20]),
    dout: tensor([1, -1, 2, 3], [2, 2]),
  });
  const expected = {
    out: [24, 52, 42, 97],
    dx: [-3, -3, -3, 14, 19, 24],
    dw: [9, 11, 12, 13, 15, 15],
    db: [3, 2],
  };

  test("gives what the formula gives", () => {
    const { x, w, b, dout } = small();
    const { out, cache } = affineForward(x, w, b);
    const { dx, dw, db } = affineBackward(dout, cache);
    expect([out.shape, dx.shape, dw.shape, db.shape]).toEqual([[2, 2], [2, 3], [3, 2], [2]]);
    expect(values(out)).toEqual(expected.out);
    expect(values(dx)).toEqual(expected.dx);
    expect(values(dw)).toEqual(expected.dw);
    expect(values(db)).toEqual(expected.db);
  });

  test("flattens an example of any shape, and gives dx in x's own", () => {
    for (const shape of [
      [3, 8],
      [3, 2, 4],
      [3, 2, 2, 2],
      [3, 1, 8, 1, 1],
    ]) {
      const [x, w, b] = [draw(...shape), draw(8, 5), draw(5)];
      const { out, cache } = affineForward(x, w, b);
      const dout = draw(3, 5);
      const { dx, dw, db } = affineBackward(dout, cache);
      expect([out.shape, dx.shape]).toEqual([[3, 5], shape]);
      const actual = { out: out.data, dx: dx.data, dw: dw.data, db: db.data };
      const operands = { x: x.data, w: w.data, b: b.data, dout: dout.data };
      for (const error of Object.values(errors(actual, operands, [3, 8, 5]))) {
        expect(error).toBeLessThan(10 * epsilon); // 8 terms and the bias
      }
    }
  });

  /** Each of out, dx, dw and db once as sums of this many terms. */
  function longSums(terms: number, values: (n: number) => number[]) {
    const all = { out: 0, dx: 0, dw: 0, db: 0 };
    for (const sizes of [
      [5, terms, 9],
      [5, 9, terms],
      [terms, 5, 9],
    ] as const) {
      runtime.scope(() => {
        const [N, D, M] = sizes;
        const x = tensor(values(N * D), [N, D]);
        const [w, b] = [tensor(values(D * M), [D, M]), tensor(values(M))];
        const dout = tensor(values(N * M), [N, M]);
        const { out, cache } = affineForward(x, w, b);
        const { dx, dw, db } = affineBackward(dout, cache);
        const actual = { out: out.data, dx: dx.data, dw: dw.data, db: db.data };
        const operands = { x: x.data, w: w.data, b: b.data, dout: dout.data };
        const found = errors(actual, operands, sizes);
        for (const name of ["out", "dx", "dw", "db"] as const) {
          all[name] = Math.max(all[name], found[name]);
        }
      });
    }
    return all;
  }
  // float32: what the library promises up to 4,096 terms. float64: the twin's own 4,096 roundings
  // of 1.1e-16, of both signs, and ours.
  const bound = dtype === "float32" ? 1e-5 : 1e-13;

  test(`sums of 4,096 normal terms are within ${bound} of the sum of their magnitudes`, () => {
    for (const [name, error] of Object.entries(longSums(4096, (n) => normals(n, random)))) {
      expect(track(`affine forward and backward ${dtype}: ${name}, normal`, error)).toBeLessThan(
        bound,
      );
    }
  });

  // All terms of one sign: the sum of the magnitudes is the result itself.
  test(`every sum of 4,096 positive terms is within ${bound} of itself`, () => {
    const positive = (n: number) => Array.from({ length: n }, () => 0.1 + random());
    for (const [name, error] of Object.entries(longSums(4096, positive))) {
      expect(track(`affine forward and backward ${dtype}: ${name}, positive`, error)).toBeLessThan(
        bound,
      );
    }
  });

  test(`every sum of 4,096 equal terms, whose roundings add up, is within ${bound} of itself`, () => {
    for (const value of [0.1, 1 / 3, 0.7, 0.9]) {
      const equal = (n: number) => new Array(n).fill(value);
      // The twin adds one by one, so its own roundings of equal terms add up as well: 4,096 ·
      // 1.1e-16.
      const limit = dtype === "float32" ? bound : 5e-13;
      for (const [name, error] of Object.entries(longSums(4096, equal))) {
        expect(track(`affine forward and backward ${dtype}: ${name}, equal`, error)).toBeLessThan(
          limit,
        );
      }
    }
  });

  test("writes into destinations, over what they held", () => {
    const { x, w, b, dout } = small();
    const given = (...shape: number[]) => runtime.full(shape, NaN, dtype);
    const to = { out: given(2, 2), dx: given(2, 3), dw: given(3, 2), db: given(2) };
    const { bytesLive } = runtime.memory;
    const { out, cache } = affineForward(x, w, b, { out: to.out });
    const { dx, dw, db } = affineBackward(dout, cache, { dx: to.dx, dw: to.dw, db: to.db });
    expect(runtime.memory.bytesLive).toBe(bytesLive);
    expect(out).toBe(to.out);
    expect(dx).toBe(to.dx);
    expect(dw).toBe(to.dw);
    expect(db).toBe(to.db);
    expect(values(out)).toEqual(expected.out);
    expect(values(dx)).toEqual(expected.dx);
    expect(values(dw)).toEqual(expected.dw);
    expect(values(db)).toEqual(expected.db);
  });

  test("with ReLU is affine and ReLU one after the other, to the bit, forward and backward", () => {
    for (const [N, D, M] of [
      [1, 5, 3],
      [2, 300, 17],
      [7, 9, 11],
      [33, 20, 40],
    ] as const) {
      const [x, w, b, dout] = [draw(N, D), draw(D, M), draw(M), draw(N, M)];
      const plain = affineForward(x, w, b);
      const relu = reluForward(plain.out);
      const fused = affineForward(x, w, b, { activation: "relu" });
      expect(values(fused.out)).toEqual(values(relu.out));
      expect(values(fused.out)).toContain(0);
      const before = values(dout);
      const expected = affineBackward(reluBackward(dout, relu.cache), plain.cache);
      for (let round = 0; round < 2; round++) {
        const actual = affineBackward(dout, fused.cache);
        for (const name of ["dx", "dw", "db"] as const) {
          expect(values(actual[name])).toEqual(values(expected[name]));
        }
      }
      expect(values(dout)).toEqual(before);
    }
  });

  test("with ReLU and dropout in place after it passes no gradient where either gave 0", () => {
    const [x, w, b, dout] = [draw(8, 5), draw(5, 12), draw(12), draw(8, 12)];
    const apart = affineForward(x, w, b);
    const relu = reluForward(apart.out);
    const fused = affineForward(x, w, b, { activation: "relu" });
    dropoutForward(fused.out, { p: 0.5, mode: "train", seed: 3 }, { out: fused.out });
    const kept = dout.data.map((value, i) => (fused.out.data[i]! > 0 ? value : 0));
    const expected = affineBackward(reluBackward(tensor(kept, [8, 12]), relu.cache), apart.cache);
    const actual = affineBackward(tensor(kept, [8, 12]), fused.cache);
    expect(values(actual.dw)).toEqual(values(expected.dw));
  });

  test("with ReLU holds its out, which no gradient may overwrite, and lets it go with the cache", () => {
    const { bytesLive, tensors } = runtime.memory;
    const [x, w, b] = [draw(3, 4), draw(4, 4), draw(4)];
    const out = runtime.zeros([3, 4], dtype);
    const { cache } = affineForward(x, w, b, { out, activation: "relu" });
    const dout = draw(3, 4);
    expect(() => affineBackward(dout, cache, { dx: out })).toThrow(AliasError);
    expect(() => affineBackward(dout, cache, { dx: out })).toThrow("the cache's out");
    const before = values(affineBackward(dout, cache).dw);
    const live = runtime.memory.bytesLive;
    out.dispose();
    expect(runtime.memory.bytesLive).toBe(live);
    expect(values(affineBackward(dout, cache).dw)).toEqual(before);
    expect(runtime.memory.bytesLive).toBeGreaterThan(bytesLive);
    cache.dispose();
    for (const handle of [x, w, b, dout]) handle.dispose();
    // What is left are the two times three gradients.
    expect(runtime.memory.tensors).toBe(tensors + 6);
  });

  test.each(["ReLU", "tanh", "", null, true])("refuses the activation %j", (activation) => {
    const { x, w, b } = small();
    const { bytesLive, tensors } = runtime.memory;
    const call = () => affineForward(x, w, b, { activation: activation as "relu" });
    expect(call).toThrow(RangeError);
    const shown = typeof activation === "string" ? `"${activation}"` : activation;
    expect(call).toThrow(`affineForward: activation must be "relu", got ${shown}`);
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });

  test("leaves out a gradient that is not wanted, and gives the others as before", () => {
    const { x, w, b, dout } = small();
    const { cache } = affineForward(x, w, b);
    const { tensors } = runtime.memory;
    const noX = affineBackward(dout, cache, { dx: false });
    expect(runtime.memory.tensors).toBe(tensors + 2);
    expect(noX.dx).toBeUndefined();
    expect([values(noX.dw), values(noX.db)]).toEqual([expected.dw, expected.db]);
    const noW = affineBackward(dout, cache, { dw: false });
    expect(noW.dw).toBeUndefined();
    expect([values(noW.dx), values(noW.db)]).toEqual([expected.dx, expected.db]);
    const noB = affineBackward(dout, cache, { db: false });
    expect(noB.db).toBeUndefined();
    expect([values(noB.dx), values(noB.dw)]).toEqual([expected.dx, expected.dw]);
    const none = affineBackward(dout, cache, { dx: false, dw: false, db: false });
    expect(none).toEqual({ dx: undefined, dw: undefined, db: undefined });
  });

  test("a cache serves any number of backward calls, with the same bits each time", () => {
    const { cache } = affineForward(draw(9, 17), draw(17, 5), draw(5));
    const dout = draw(9, 5);
    const [first, second] = [affineBackward(dout, cache), affineBackward(dout, cache)];
    for (const name of ["dx", "dw", "db"] as const) {
      expect(values(second[name])).toEqual(values(first[name]));
    }
    const doubled = affineBackward(
      tensor(
        values(dout).map((d) => 2 * d),
        [9, 5],
      ),
      cache,
    );
    expect(values(doubled.db)).toEqual(values(first.db).map((d) => 2 * d));
  });

  test("a cache keeps its operands after they are disposed, and lets them go when it is itself", () => {
    const { bytesLive, tensors } = runtime.memory;
    const { x, w, b, dout } = small();
    const { out, cache } = affineForward(x, w, b);
    for (const handle of [x, w, b]) handle.dispose();
    const others = small(); // take their places, had they been freed
    for (const handle of Object.values(others)) handle.data.fill(NaN);
    const gradients = affineBackward(dout, cache);
    expect(values(gradients.dx)).toEqual(expected.dx);
    expect(values(gradients.dw)).toEqual(expected.dw);
    cache.dispose();
    cache.dispose();
    expect(() => affineBackward(dout, cache)).toThrow(DisposedError);
    for (const handle of [out, dout, ...Object.values(gradients), ...Object.values(others)]) {
      handle.dispose();
    }
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });

  test("a cache's operands are those of the forward call, by reference", () => {
    const { x, w, b } = small();
    const { cache } = affineForward(x, w, b);
    x.data[0] = 7;
    expect(cache.x.data[0]).toBe(7);
    expect([cache.w.shape, cache.b.shape]).toEqual([w.shape, b.shape]);
  });

  test("an empty batch gives an empty out and dx, and zeros for dw and db", () => {
    for (const shape of [
      [0, 6],
      [0, 2, 3],
    ]) {
      const { out, cache } = affineForward(draw(...shape), draw(6, 4), draw(4));
      expect([out.shape, values(out)]).toEqual([[0, 4], []]);
      const to = { dw: runtime.full([6, 4], NaN, dtype), db: runtime.full([4], NaN, dtype) };
      const { dx, dw, db } = affineBackward(draw(0, 4), cache, to);
      expect([dx.shape, values(dx)]).toEqual([shape, []]);
      expect(values(dw)).toEqual(new Array(24).fill(0));
      expect(values(db)).toEqual(new Array(4).fill(0));
    }
  });

  test("without features every row of out is the bias", () => {
    const b = draw(5);
    const { out, cache } = affineForward(draw(3, 0), draw(0, 5), b);
    expect(values(out)).toEqual([...b.data, ...b.data, ...b.data]);
    const dout = tensor(new Array(15).fill(2), [3, 5]);
    const { dx, dw, db } = affineBackward(dout, cache);
    expect([dx.shape, dw.shape]).toEqual([
      [3, 0],
      [0, 5],
    ]);
    expect(values(db)).toEqual([6, 6, 6, 6, 6]);
  });

  test("without outputs dx is zero", () => {
    const { out, cache } = affineForward(draw(3, 4), draw(4, 0), draw(0));
    expect(out.shape).toEqual([3, 0]);
    const to = { dx: runtime.full([3, 4], NaN, dtype) };
    const { dx, dw, db } = affineBackward(draw(3, 0), cache, to);
    expect(values(dx)).toEqual(new Array(12).fill(0));
    expect([dw.shape, db.shape]).toEqual([[4, 0], [0]]);
  });

  test("NaN and infinities go where the sums take them, and nowhere else", () => {
    const { w, b, dout } = small();
    const x = tensor([1, Infinity, 3, NaN, 5, 6, 1, 2, 3], [3, 3]);
    w.data[2] = 0; // 0 · ∞ is NaN
    const { out, cache } = affineForward(x, w, b);
    expect(values(out)).toEqual([NaN, Infinity, NaN, NaN, 1 + 9 + 10, 4 + 10 + 18 + 20]);
    dout.dispose();
    const { dx, dw, db } = affineBackward(tensor([1, 0, 0, 1, Infinity, 0], [3, 2]), cache);
    expect(values(db)).toEqual([Infinity, 1]);
    expect(values(dw)).toEqual([NaN, NaN, Infinity, NaN, Infinity, 6]);
    expect(values(dx).slice(0, 6)).toEqual([1, 0, 3, 4, 5, 6]);
    expect(values(dx).slice(6)).toEqual([Infinity, NaN, Infinity]);
  });
});

test("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { x, w, b, dout, ...expected } = golden("layers").affine;
  const [x1, w1, b1, dout1] = [x, w, b, dout].map((array) => fromGolden(runtime, array));
  const { out, cache } = affineForward(x1!, w1!, b1!);
  const actual = { out, ...affineBackward(dout1!, cache) };
  for (const name of ["out", "dx", "dw", "db"] as const) {
    const error = track("affine against PyTorch", goldenError(actual[name], expected[name]));
    expect(error).toBeLessThan(GOLDEN_BOUND);
  }
});

describe("gradients", () => {
  const runtime = createRuntimeSync();
  const random = seeded(43);
  const draw = <D extends "float32" | "float64">(dtype: D, ...shape: number[]) =>
    runtime.tensor(
      normals(
        shape.reduce((a, b) => a * b, 1),
        random,
      ),
      shape,
      dtype,
    );

  test("float64 agrees with central differences: dx, dw and db", () => {
    for (const N of gradientSizes) {
      for (const D of gradientSizes) {
        for (const M of gradientSizes) {
          runtime.scope(() => {
            const [x, w, b] = [draw("float64", N, D), draw("float64", D, M), draw("float64", M)];
            const dout = draw("float64", N, M);
            const { dx, dw, db } = affineBackward(dout, affineForward(x, w, b).cache);
            // Linear: a large step loses no accuracy, and rounding weighs less in it.
            const numerical = (operand: typeof x) =>
              numericalGradient(() => affineForward(x, w, b).out, operand, dout, 1);
            for (const [name, gradient, operand] of [
              ["dx", dx, x],
              ["dw", dw, w],
              ["db", db, b],
            ] as const) {
              const error = relativeError(gradient, numerical(operand));
              expect(track(`affine gradient ${name} float64`, error)).toBeLessThan(GRADIENT_BOUND);
            }
          });
        }
      }
    }
  });

  test("float64 agrees with central differences with ReLU, away from its corner", () => {
    runtime.scope(() => {
      const [x, w, b] = [draw("float64", 9, 13), draw("float64", 13, 17), draw("float64", 17)];
      const dout = draw("float64", 9, 17);
      const forward = () => affineForward(x, w, b, { activation: "relu" });
      const sums = affineForward(x, w, b).out.data;
      expect(Math.min(...sums.map(Math.abs))).toBeGreaterThan(1e-4);
      const gradients = affineBackward(dout, forward().cache);
      for (const [name, operand] of [
        ["dx", x],
        ["dw", w],
        ["db", b],
      ] as const) {
        const numerical = numericalGradient(() => forward().out, operand, dout, 1e-5);
        expect(relativeError(gradients[name], numerical)).toBeLessThan(GRADIENT_BOUND);
      }
    });
  });

  test("float64 agrees with central differences for an x of rank 4", () => {
    runtime.scope(() => {
      const [x, w, b] = [draw("float64", 3, 2, 1, 2), draw("float64", 4, 5), draw("float64", 5)];
      const dout = draw("float64", 3, 5);
      const { dx } = affineBackward(dout, affineForward(x, w, b).cache);
      const numerical = numericalGradient((x) => affineForward(x, w, b).out, x, dout, 1);
      const error = relativeError(dx, numerical);
      expect(track("affine gradient dx float64", error)).toBeLessThan(GRADIENT_BOUND);
    });
  });

  test("float32 is close to float64 on the same inputs", () => {
    for (const N of gradientSizes) {
      for (const D of gradientSizes) {
        runtime.scope(() => {
          const M = 12 - D;
          const [x, w, b] = [draw("float32", N, D), draw("float32", D, M), draw("float32", M)];
          const dout = draw("float32", N, M);
          const single = affineBackward(dout, affineForward(x, w, b).cache);
          const [x64, w64, b64] = [x, w, b].map((operand) => float64Of(runtime, operand));
          const { cache } = affineForward(x64!, w64!, b64!);
          const double = affineBackward(float64Of(runtime, dout), cache);
          for (const name of ["dx", "dw", "db"] as const) {
            // Of the largest element; up to 11 products and sums, each rounded by 6e-8 of what is
            // summed.
            const error = deviation(single[name].data, double[name].data);
            expect(track(`affine gradient ${name} float32`, error)).toBeLessThan(1e-6);
          }
        });
      }
    }
  });
});
