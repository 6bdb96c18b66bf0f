import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  DisposedError,
  type DropoutParam,
  dropoutBackward,
  dropoutForward,
  numericalGradient,
  relativeError,
} from "../../src/index.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";
import { dtypes, openCore, seeded } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import {
  configurations,
  float64Of,
  GRADIENT_BOUND,
  gradientSizes,
  numbers,
  offsets,
  reportErrors,
  sizes,
  track,
  values,
} from "./common.ts";

const { deviation, normals, product } = reference;

reportErrors();

const inner = openCore("test");

/**
 * The draws of the runtime's own generator: every 4,096 of them come in turn from four xoshiro128+
 * generators, whose states are the lanes of four blocks of Philox. test/random tries Philox itself.
 */
function streamDraws(n: number, key: number, counterLow: number, counterHigh: number): number[] {
  const rotate = (x: number, bits: number) => (x << bits) | (x >>> (32 - bits));
  const draws: number[] = [];
  for (let chunk = 0; draws.length < n; chunk++) {
    inner.reset();
    const counter = BigInt(counterHigh) * 2n ** 32n + BigInt(counterLow) + BigInt(4 * chunk);
    const [low, high] = [Number(counter & 0xffffffffn), Number((counter >> 32n) & 0xffffffffn)];
    const out = inner.output(Uint32Array, 16);
    inner.exports.philox4x32x4(out.address, key, 0, low, high);
    const words = out.values();
    const states = [0, 1, 2, 3].map((lane) => [0, 4, 8, 12].map((word) => words[word + lane]!));
    for (let i = 0; i < 4096; i++) {
      const s = states[i % 4]!;
      draws.push(((s[0]! + s[3]!) | 0) / 2 ** 32 + 0.5); // words are signed
      const t = s[1]! << 9;
      s[2]! ^= s[0]!;
      s[3]! ^= s[1]!;
      s[1]! ^= s[2]!;
      s[0]! ^= s[3]!;
      s[2]! ^= t;
      s[3] = rotate(s[3]!, 11);
    }
  }
  return draws.slice(0, n);
}

/** np.random.seed(seed); np.random.rand(n). test/random tries it against NumPy. */
function legacyDraws(n: number, seed: number): number[] {
  inner.reset();
  const state = inner.work(inner.exports.mt19937_state_bytes());
  const out = inner.output(Float64Array, n);
  inner.exports.mt19937_seed(state.address, seed);
  inner.exports.mt19937_rand(out.address, state.address, n);
  return numbers(out.values());
}

describe.each(configurations)("the kernel in $dtype, $build core", ({ core, type }) => {
  const { array, suffix } = type;
  const { exports } = core;

  /**
   * Compares a forward call and its backward with the twin on the same draws, in and out of place.
   */
  function check(
    n: number,
    p: number,
    draws: number[],
    workBytes: number,
    place: (name: string) => { offset?: number; last?: boolean },
    forward: (out: number, mask: number, x: number, work: number) => void,
  ): void {
    const random = seeded(61 + n);
    const [x, dout] = [array.from(normals(n, random)), array.from(normals(n, random))];
    const expected = array.from(reference.dropoutMask(draws, p));
    for (const inPlace of [false, true]) {
      core.reset();
      const xAt = inPlace ? core.inout(x, place("x")) : core.input(x, place("x"));
      const doutAt = inPlace ? core.inout(dout, place("dout")) : core.input(dout, place("dout"));
      const mask = core.output(array, n, place("mask"));
      const out = inPlace ? xAt : core.output(array, n, place("out"));
      const dx = inPlace ? doutAt : core.output(array, n, place("dx"));
      const work = core.work(workBytes, place("work"));
      forward(out.address, mask.address, xAt.address, work.address);
      exports[`dropout_backward_${suffix}`](dx.address, doutAt.address, mask.address, n);
      core.checkGuards();
      expect(mask.values()).toEqual(expected);
      // A product of two float32 is exact in float64 and then rounded once.
      expect(out.values()).toEqual(array.from(product(x, expected)));
      expect(dx.values()).toEqual(array.from(product(dout, expected)));
    }
  }

  const places = [
    ...offsets.map((offset) => () => ({ offset })),
    ...["x", "dout", "mask", "out", "dx", "work"].map((last) => (name: string) => ({
      last: name === last,
    })),
  ];

  test("a seed gives the twin's mask on NumPy's draws, at any length and address", () => {
    const bytes = exports.dropout_seeded_work_bytes();
    for (const n of sizes) {
      for (const [i, place] of places.entries()) {
        const [p, seed] = [0.3, 231 + i];
        check(n, p, legacyDraws(n, seed), bytes, place, (out, mask, x, work) =>
          exports[`dropout_forward_seeded_${suffix}`](out, mask, x, work, n, p, seed),
        );
      }
    }
  });

  test("a key and a counter give the twin's mask on the stream's draws, at any length and address", () => {
    const bytes = exports.dropout_work_bytes();
    for (const n of [...sizes, 4095, 4096, 4099]) {
      for (const place of places) {
        for (const [p, key, low, high] of [
          [0.3, 5, 0, 0],
          [0.75, 0xffffffff, 0xfffffffc, 7], // the counter's lower half overflows
        ] as const) {
          check(n, p, streamDraws(n, key, low, high), bytes, place, (out, mask, x, work) =>
            exports[`dropout_forward_${suffix}`](out, mask, x, work, n, p, key, low, high),
          );
        }
      }
    }
  });
});

describe.each(dtypes)("the facade in $dtype", ({ dtype, array }) => {
  const runtime = createRuntimeSync();
  const random = seeded(62);
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
  const round = (data: readonly number[]) => numbers(array.from(data));

  test("training multiplies by a mask of 0 and 1 / (1 − p), and backward by the same one", () => {
    for (const shape of [[], [5], [3, 7], [2, 3, 4, 5], [3, 0], [0]]) {
      for (const seed of [undefined, 3]) {
        const [x, dout] = [draw(...shape), draw(...shape)];
        const { out, cache } = dropoutForward(x, { p: 0.4, mode: "train", seed });
        const mask = cache.mask!;
        const dx = dropoutBackward(dout, cache);
        for (const { shape: own, dtype: type } of [out, mask, dx]) {
          expect([own, type]).toEqual([shape, dtype]);
        }
        const scale = round([1 / 0.6])[0]!;
        expect(values(mask).every((value) => value === 0 || value === scale)).toBe(true);
        expect(values(out)).toEqual(round(product(x.data, mask.data)));
        expect(values(dx)).toEqual(round(product(dout.data, mask.data)));
      }
    }
  });

  test("a seed gives the same mask whatever was drawn before and whatever the runtime's seed", () => {
    const param: DropoutParam = { p: 0.5, mode: "train", seed: 4294967295 };
    const x = draw(7, 9);
    const expected = round(reference.dropoutMask(legacyDraws(63, 4294967295), 0.5));
    const other = createRuntimeSync({ seed: 99 });
    for (const each of [x, x, other.tensor(values(x), [7, 9], dtype)]) {
      expect(values(dropoutForward(each, param).cache.mask!)).toEqual(expected);
      dropoutForward(each, { p: 0.5, mode: "train" });
    }
  });

  test.each(golden("random").dropout)(
    "seed $seed and p $p give NumPy's mask, bit for bit",
    (numpy) => {
      const { seed, p, shape, scale, keep } = numpy;
      const { cache } = dropoutForward(runtime.ones(shape, dtype), { p, mode: "train", seed });
      const expected = round([...keep].map((digit) => Number(digit) * scale));
      expect(values(cache.mask!)).toEqual(expected);
    },
  );

  test("another seed gives another mask", () => {
    const x = draw(100);
    const masks = [0, 1, 2].map((seed) =>
      values(dropoutForward(x, { p: 0.5, mode: "train", seed }).cache.mask!).join(),
    );
    expect(new Set(masks).size).toBe(3);
  });

  test("without a seed the masks follow the runtime's, one part of its stream after the other", () => {
    const run = (seed: number, lengths: number[]) => {
      const own = createRuntimeSync({ seed });
      return lengths.map((n) => {
        const x = own.ones([n], dtype);
        return values(dropoutForward(x, { p: 0.5, mode: "train" }).cache.mask!);
      });
    };
    const lengths = [33, 4097, 0, 5];
    const masks = run(7, lengths);
    expect(run(7, lengths)).toEqual(masks);
    expect(masks[1]!.slice(0, 33)).not.toEqual(masks[0]);
    expect(run(8, lengths)[0]).not.toEqual(masks[0]);
    // Every 4,096 elements use four blocks; the next call begins after them.
    const counters = [0, 4, 12, 12];
    for (const [i, n] of lengths.entries()) {
      expect(masks[i]).toEqual(reference.dropoutMask(streamDraws(n, 7, counters[i]!, 0), 0.5));
    }
  });

  test("without a seed there is no room taken for the state of NumPy's generator", () => {
    const own = createRuntimeSync() as LamellaRuntime;
    dropoutForward(own.ones([4], dtype), { p: 0.5, mode: "train" });
    expect(own.memory.bytesPeak).toBeLessThan(own.core.exports.dropout_seeded_work_bytes());
  });

  test("the share of dropped values is p, within 5 standard deviations", () => {
    const n = 100_000;
    const x = runtime.ones([n], dtype);
    for (const p of [0.01, 0.1, 0.5, 0.9, 0.999]) {
      for (const seed of [undefined, 1, 2]) {
        runtime.scope(() => {
          const { out } = dropoutForward(x, { p, mode: "train", seed });
          const dropped = values(out).filter((value) => value === 0).length;
          expect(Math.abs(dropped - n * p)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)));
        });
      }
    }
  });

  test("a mask returned alone from a scope lives, and its cache with it", () => {
    const before = runtime.memory.tensors;
    const mask = runtime.scope(
      () =>
        dropoutForward(runtime.ones([4], dtype), { p: 0.5, mode: "train", seed: 0 }).cache.mask!,
    );
    expect(values(mask)).toEqual([2, 2, 2, 2]);
    mask.dispose();
    expect(runtime.memory.tensors).toBe(before);
  });

  test("p = 0 keeps all values as they are, with a mask of ones", () => {
    for (const seed of [undefined, 5]) {
      const x = draw(1000);
      const { out, cache } = dropoutForward(x, { p: 0, mode: "train", seed });
      expect(values(cache.mask!)).toEqual(new Array(1000).fill(1));
      expect(values(out)).toEqual(values(x));
    }
  });

  test("p next to 1 drops nearly all and keeps no infinity", () => {
    const p = 1 - 2 ** -53;
    for (const seed of [undefined, 5]) {
      const { out, cache } = dropoutForward(draw(1000), { p, mode: "train", seed });
      expect(values(cache.mask!).filter((value) => value !== 0).length).toBeLessThan(2);
      expect(values(out).every(Number.isFinite)).toBe(true);
    }
  });

  test("a dropped NaN or infinity is NaN, as 0 · NaN and 0 · ∞ are in NumPy", () => {
    for (const special of [NaN, Infinity, -Infinity]) {
      const x = runtime.full([40], special, dtype);
      const { out, cache } = dropoutForward(x, { p: 0.5, mode: "train", seed: 6 });
      const mask = values(cache.mask!);
      expect(values(out)).toEqual(mask.map((value) => (value === 0 ? NaN : special)));
      expect(values(dropoutBackward(x, cache))).toEqual(values(out));
      expect(mask).toContain(0);
    }
  });

  test("writes into destinations, over what they held, x and dout themselves among them", () => {
    const param: DropoutParam = { p: 0.5, mode: "train", seed: 8 };
    const [x, dout] = [draw(5, 7), draw(5, 7)];
    const plain = dropoutForward(x, param);
    const expected = values(dropoutBackward(dout, plain.cache));
    const out = runtime.full([5, 7], NaN, dtype);
    const dx = runtime.full([5, 7], NaN, dtype);
    const result = dropoutForward(x, param, { out });
    expect(result.out).toBe(out);
    expect(values(out)).toEqual(values(plain.out));
    expect(dropoutBackward(dout, result.cache, { dx })).toBe(dx);
    expect(values(dx)).toEqual(expected);

    const inPlace = dropoutForward(x, param, { out: x });
    expect(inPlace.out).toBe(x);
    expect(values(x)).toEqual(values(plain.out));
    expect(dropoutBackward(dout, inPlace.cache, { dx: dout })).toBe(dout);
    expect(values(dout)).toEqual(expected);
  });

  test("test mode gives x's own data under another handle, without a copy and without a mask", () => {
    const x = draw(3, 5);
    const before = values(x);
    const { bytesLive } = runtime.memory;
    const { out, cache } = dropoutForward(x, { p: 0.5, mode: "test", seed: 1 });
    expect(runtime.memory.bytesLive).toBe(bytesLive);
    expect(cache.mask).toBeNull();
    expect(out).not.toBe(x);
    expect(out.shape).toEqual([3, 5]);
    expect(values(out)).toEqual(before);
    out.data[0] = 42;
    expect(x.data[0]).toBe(42);
    x.dispose();
    expect(out.data[0]).toBe(42);
    expect(values(out).slice(1)).toEqual(before.slice(1));
  });

  test("after test mode, disposing out leaves x as it is", () => {
    const x = draw(4);
    const before = values(x);
    const { out } = dropoutForward(x, { p: 0.5, mode: "test" });
    out.dispose();
    runtime.full([4], NaN, dtype); // would take x's place, had it been freed
    expect(values(x)).toEqual(before);
  });

  test("after test mode, backward gives dout's own data under another handle", () => {
    const { cache } = dropoutForward(draw(2, 3), { p: 0.5, mode: "test" });
    const dout = draw(2, 3);
    const dx = dropoutBackward(dout, cache);
    expect(dx).not.toBe(dout);
    dx.data[1] = 7;
    expect(dout.data[1]).toBe(7);
    dout.dispose();
    expect(dx.data[1]).toBe(7);
    expect(dropoutBackward(draw(2, 3), cache).shape).toEqual([2, 3]);
  });

  test("in test mode a destination gets a copy, and x and dout themselves serve", () => {
    const [x, dout] = [draw(6), draw(6)];
    const out = runtime.full([6], NaN, dtype);
    const result = dropoutForward(x, { p: 0.5, mode: "test" }, { out });
    expect(result.out).toBe(out);
    expect(values(out)).toEqual(values(x));
    out.data[0] = 42;
    expect(x.data[0]).not.toBe(42);
    const dx = runtime.full([6], NaN, dtype);
    expect(dropoutBackward(dout, result.cache, { dx })).toBe(dx);
    expect(values(dx)).toEqual(values(dout));
    expect(dropoutForward(x, { p: 0.5, mode: "test" }, { out: x }).out).toBe(x);
    expect(dropoutBackward(dout, result.cache, { dx: dout })).toBe(dout);
  });

  test("test mode draws nothing from the runtime's stream", () => {
    const [a, b] = [createRuntimeSync(), createRuntimeSync()];
    const mask = (own: typeof a) =>
      values(dropoutForward(own.ones([50], dtype), { p: 0.5, mode: "train" }).cache.mask!);
    dropoutForward(a.ones([50], dtype), { p: 0.5, mode: "test" });
    expect(mask(a)).toEqual(mask(b));
  });

  test("a cache keeps the parameters and the mask of its forward, whatever the caller's become", () => {
    const param: DropoutParam = { p: 0.5, mode: "train", seed: 3 };
    const { cache } = dropoutForward(draw(20), param);
    const dout = draw(20);
    const before = values(dropoutBackward(dout, cache));
    param.mode = "test";
    param.p = 0.9;
    expect(cache.dropoutParam).toEqual({ p: 0.5, mode: "train", seed: 3 });
    expect(values(dropoutBackward(dout, cache))).toEqual(before);
    expect(values(dropoutBackward(dout, cache))).toEqual(before);
  });

  test("a disposed cache is refused, and everything it held is free", () => {
    for (const mode of ["train", "test"] as const) {
      const { bytesLive, tensors } = runtime.memory;
      const [x, dout] = [draw(9), draw(9)];
      const { out, cache } = dropoutForward(x, { p: 0.5, mode });
      const mask = cache.mask && values(cache.mask);
      x.dispose();
      const dx = dropoutBackward(dout, cache);
      expect(values(dx)).toEqual(mask ? round(product(dout.data, mask)) : values(dout));
      cache.dispose();
      cache.dispose();
      expect(() => dropoutBackward(dout, cache)).toThrow(DisposedError);
      for (const handle of [out, dout, dx]) handle.dispose();
      expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    }
  });
});

test("without a seed float32 and float64 drop the same places", () => {
  const [single, double] = dtypes.map(({ dtype }) => {
    const runtime = createRuntimeSync({ seed: 12 });
    const { out } = dropoutForward(runtime.ones([77], dtype), { p: 0.3, mode: "train" });
    return values(out).map((value) => value === 0);
  });
  expect(single).toEqual(double);
});

describe("gradients", () => {
  const runtime = createRuntimeSync();
  const random = seeded(63);

  test.each([
    { p: 0.4, mode: "train", seed: 9 },
    { p: 0, mode: "train", seed: 9 },
    { p: 0.4, mode: "test" },
  ] as const)("float64 agrees with central differences for %o", (param) => {
    for (const N of gradientSizes) {
      for (const D of gradientSizes) {
        runtime.scope(() => {
          const x = runtime.tensor(normals(N * D, random), [N, D], "float64");
          const dout = runtime.tensor(normals(N * D, random), [N, D], "float64");
          const dx = dropoutBackward(dout, dropoutForward(x, param).cache);
          // Linear: a large step loses no accuracy, and rounding weighs less in it.
          const expected = numericalGradient((x) => dropoutForward(x, param).out, x, dout, 1);
          const error = track(
            `dropout gradient dx float64, ${param.mode}`,
            relativeError(dx, expected),
          );
          expect(error).toBeLessThan(GRADIENT_BOUND);
        });
      }
    }
  });

  test("float32 is close to float64 on the same inputs", () => {
    for (const N of gradientSizes) {
      runtime.scope(() => {
        const param = { p: 0.4, mode: "train", seed: 9 } as const;
        const x = runtime.tensor(normals(N * 9, random), [N, 9], "float32");
        const dout = runtime.tensor(normals(N * 9, random), [N, 9], "float32");
        const dx = dropoutBackward(dout, dropoutForward(x, param).cache);
        const { cache } = dropoutForward(float64Of(runtime, x), param);
        const dx64 = dropoutBackward(float64Of(runtime, dout), cache);
        // The scale is rounded to float32, and the product.
        const error = track("dropout gradient dx float32", deviation(dx.data, dx64.data));
        expect(error).toBeLessThan(1.2e-7);
      });
    }
  });
});
