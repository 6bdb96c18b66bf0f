// The draws themselves are tried on the kernels, in test/random/mt19937.test.ts.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  DisposedError,
  MemoryError,
  type Random,
  ShapeError,
} from "../../src/index.ts";
import type { LegacyRandom } from "../../src/tensor/random.ts";
import golden from "../golden/random.json" with { type: "json" };

const runtime = createRuntimeSync();

function values(tensor: { data: ArrayLike<number> }): number[] {
  return Array.from(tensor.data);
}

/** randn takes a logarithm, whose last bit may differ from the C library's; see test/random. */
function expectNormals(actual: number[], expected: number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(4 * 2 ** -53 * Math.abs(value));
  }
}

describe.each(golden.seeds)("seed $seed gives what NumPy's RandomState gives", (expected) => {
  const open = () => runtime.random(expected.seed);

  test("by rand, randn, randint and permutation", () => {
    expect(values(open().rand(7))).toEqual(expected.rand);
    expectNormals(values(open().randn(7)), expected.randn);
    expect(values(open().randint(10, null, [12]))).toEqual(expected.randint10);
    expect(values(open().randint(0, 10, 12))).toEqual(expected.randint10);
    expect(values(open().randint(-5, 1000, [8]))).toEqual(expected.randintSigned);
    expect(values(open().randint(2 ** 31 - 1, undefined, 5))).toEqual(expected.randintWide);
    expect(values(open().permutation(20))).toEqual(expected.permutation);
  });

  test("by calls after one another, the second value of a normal pair among them", () => {
    const random = open();
    expectNormals(values(random.randn(7)), expected.randn);
    expectNormals(values(random.randn(4)), expected.randnThen);
    expect(values(random.rand(3))).toEqual(expected.randThen);

    const mixed = open();
    for (const { call, args, values: numpy } of expected.mixed) {
      const [a, b, c] = args as [number, number, number];
      if (call === "rand") expect(values(mixed.rand(a))).toEqual(numpy);
      else if (call === "randn") expectNormals(values(mixed.randn(a)), numpy);
      else if (call === "randint") expect(values(mixed.randint(a, b, [c]))).toEqual(numpy);
      else expect(values(mixed.permutation(a))).toEqual(numpy);
    }
  });
});

test("100 000 draws of a kind are NumPy's, in any shape of that size", () => {
  const { large } = golden;
  const sha256 = (data: Float64Array | Int32Array) =>
    createHash("sha256")
      .update(Uint8Array.from(new Uint8Array(data.slice().buffer)))
      .digest("hex");
  for (const shape of [[100_000], [100, 10, 100]]) {
    runtime.scope(() => {
      const { data } = runtime.random(large.seed).rand(shape);
      expect(sha256(data)).toBe(large.rand100000Float64Sha256);
      const whole = runtime.random(large.seed).randint(0, 1000, shape);
      expect(sha256(whole.data)).toBe(large.randint1000x100000Int32Sha256);
    });
  }
  const order = runtime.random(large.seed).permutation(10_000);
  expect(sha256(order.data)).toBe(large.permutation10000Int32Sha256);
});

test("randint takes all 32 bits, and stays between its bounds wherever they lie", () => {
  const random = runtime.random(2);
  const all = values(random.randint(-(2 ** 31), 2 ** 31, 100));
  expect(all.some((value) => value < -(2 ** 30))).toBe(true);
  expect(all.some((value) => value > 2 ** 30)).toBe(true);
  const few = values(random.randint(100, 103, 100));
  expect(new Set(few)).toEqual(new Set([100, 101, 102]));
});

describe("the shape", () => {
  const random = runtime.random(1);

  test("is told by lengths or by one array, and is () where nothing is said", () => {
    for (const draw of ["rand", "randn"] as const) {
      const tensors = [
        random[draw](2, 3),
        random[draw]([2, 3]),
        random[draw](Object.freeze([2, 3])),
      ];
      for (const { shape, size, dtype } of tensors) {
        expect([shape, size, dtype]).toEqual([[2, 3], 6, "float64"]);
      }
      for (const { shape, size } of [random[draw](), random[draw]([])]) {
        expect([shape, size]).toEqual([[], 1]);
      }
      expect(random[draw](3, 0).size).toBe(0);
      expect(random[draw](4).shape).toEqual([4]);
    }
    const whole = [
      [random.randint(5), []],
      [random.randint(1, 5), []],
      [random.randint(5, null, 3), [3]],
      [random.randint(0, 5, [2, 3]), [2, 3]],
      [random.randint(0, 5, 0), [0]],
      [random.randint(0, 5, []), []],
    ] as const;
    for (const [{ shape, dtype }, expected] of whole) {
      expect([shape, dtype]).toEqual([expected, "int32"]);
    }
    const { shape, dtype } = random.permutation(4);
    expect([shape, dtype]).toEqual([[4], "int32"]);
    expect(random.permutation(0).shape).toEqual([0]);
  });

  test.each([[-1], [1.5], [NaN], ["2"], [[2, -1]], [[2, [3]]], [null]])(
    "%j is a ShapeError that names the call",
    (...lengths) => {
      const before = runtime.memory;
      for (const draw of ["rand", "randn"] as const) {
        const call = () => random[draw](...(lengths as number[]));
        expect(call).toThrow(ShapeError);
        expect(call).toThrow(new RegExp(`^${draw}: shape must hold whole numbers from 0 up`));
      }
      const call = () => random.randint(0, 2, lengths as number[]);
      if (!Array.isArray(lengths[0])) expect(call).toThrow(ShapeError);
      expect(runtime.memory).toEqual(before);
    },
  );

  test("of an array and further lengths is a ShapeError, rather than half of it ignored", () => {
    const call = () => random.rand(...([[2], 3] as unknown as [number, number]));
    expect(call).toThrow(ShapeError);
  });
});

describe("refused is", () => {
  const random = runtime.random(1);

  test.each([-1, 2 ** 32, 0.5, NaN, "1", null, undefined])(
    "the seed %o, as a RangeError",
    (seed) => {
      const call = () => runtime.random(seed as number);
      expect(call).toThrow(RangeError);
      const shown = typeof seed === "string" ? `"${seed}"` : seed;
      expect(call).toThrow(`random: seed must be a whole number in [0, 4294967296), got ${shown}`);
    },
  );

  test.each([
    [0, undefined],
    [-1, null],
    [5, 5],
    [5, 4],
    [-(2 ** 31) - 1, 0],
    [0, 2 ** 31 + 1],
    [2 ** 40, undefined],
  ])("randint from %o to %o, as a RangeError with both", (low, high) => {
    const call = () => random.randint(low, high);
    expect(call).toThrow(RangeError);
    expect(call).toThrow(/^randint: expected -2147483648 <= low < high <= 2147483648, got low /);
  });

  test.each([
    [0.5, undefined],
    [0, 1.5],
    [NaN, 3],
    [0, Infinity],
    ["1", undefined],
    [undefined, undefined],
  ])("randint from %o to %o, no whole numbers, as a RangeError", (low, high) => {
    const call = () => random.randint(low as number, high as number);
    expect(call).toThrow(RangeError);
    expect(call).toThrow(/^randint: low and high must be whole numbers, got /);
  });

  test.each([-1, 1.5, NaN, 2 ** 31, "3", undefined])("permutation of %o, as a RangeError", (n) => {
    const call = () => random.permutation(n as number);
    expect(call).toThrow(RangeError);
    expect(call).toThrow(`permutation: n must be a whole number in [0, 2147483648), got ${n}`);
  });

  test("a call on a disposed runtime's generator", () => {
    const own = createRuntimeSync();
    const generator = own.random(1);
    own.dispose();
    expect(() => generator.rand(1)).toThrow(DisposedError);
    expect(() => own.random(1)).toThrow(DisposedError);
  });

  test("and nothing of it moves the stream", () => {
    const [a, b] = [runtime.random(4), runtime.random(4)];
    for (const wrong of [
      () => a.rand(-1),
      () => a.randn(0.5),
      () => a.randint(0),
      () => a.permutation(-1),
    ]) {
      expect(wrong).toThrow();
    }
    expect(values(a.rand(3))).toEqual(values(b.rand(3)));
  });
});

describe("a generator", () => {
  const draws = (random: Random) => [
    ...values(random.rand(3)),
    ...values(random.randn(3)),
    ...values(random.randint(0, 100, [3])),
    ...values(random.permutation(5)),
  ];

  test("is not disturbed by another one, nor by calls that draw by themselves", () => {
    const alone = [runtime.random(1), runtime.random(2)].map((random) => [
      ...draws(random),
      ...draws(random),
    ]);
    const [a, b] = [runtime.random(1), runtime.random(2)];
    const mixed: [number[], number[]] = [[], []];
    for (let i = 0; i < 2; i++) {
      mixed[0].push(...draws(a));
      createRuntimeSync({ seed: 1 }).random(1).rand(10);
      mixed[1].push(...draws(b));
    }
    expect(mixed).toEqual(alone);
  });

  test("is the same in every runtime, whatever its seed", () => {
    const [a, b] = [runtime, createRuntimeSync({ seed: 7 })].map((each) => draws(each.random(3)));
    expect(b).toEqual(a);
  });

  test("keeps no memory between its calls", () => {
    const own = createRuntimeSync();
    const generators = [1, 2, 3].map((seed) => own.random(seed));
    expect(own.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
    own.scope(() => {
      for (const generator of generators) draws(generator);
    });
    expect(own.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
    generators[0]!.rand(4).dispose();
    expect(own.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
  });

  test("goes on where it was when the memory grew, and when it ran out", () => {
    const own = createRuntimeSync({ initialMemory: 65536, maxMemory: 65536 * 4 });
    const expected = values(runtime.random(5).rand(20_004)).slice(-4);
    const generator = own.random(5);
    own.scope(() => generator.rand(20_000));
    own.scope(() => {
      const before = own.memory.bytesLive;
      expect(() => generator.rand(100_000)).toThrow(MemoryError);
      expect(own.memory.bytesLive).toBe(before);
    });
    expect(values(generator.rand(4))).toEqual(expected);
  });
});

describe("the state of a generator", () => {
  const open = (seed = 0) => runtime.random(seed) as LegacyRandom;
  /** The next n words of 32 bits, as whole numbers with a sign. */
  const words = (random: Random, n: number) => values(random.randint(-(2 ** 31), 2 ** 31, [n]));
  /** It ends with the position in its 624 words, a flag, and a float64. */
  const positionOf = ({ state }: LegacyRandom) => new DataView(state.buffer).getUint32(2496, true);
  const at = (position: number) => {
    const state = open().state.slice();
    new DataView(state.buffer).setUint32(2496, position, true);
    return state;
  };

  test.each([
    [0, 624], // seeded, with nothing drawn
    [1, 1],
    [623, 623],
    [624, 624],
    [625, 1],
  ])("after %i words goes on in another generator", (drawn, position) => {
    const [from, to] = [open(3), open(4)];
    words(from, drawn);
    expect(positionOf(from)).toBe(position);
    to.restore("test", from.state);
    expect(words(to, 1300)).toEqual(words(from, 1300));
  });

  test("has the second value of a normal pair", () => {
    const [from, to] = [open(3), open(4)];
    from.randn();
    to.restore("test", from.state);
    expect(values(to.randn(4))).toEqual(values(from.randn(4)));
  });

  test("at the first word gives its words again", () => {
    const random = open(3);
    const drawn = words(random, 624);
    const state = random.state.slice();
    new DataView(state.buffer).setUint32(2496, 0, true);
    random.restore("test", state);
    expect(words(random, 624)).toEqual(drawn);
  });

  test("is a copy: neither generator moves the other", () => {
    const [from, to] = [open(3), open(4)];
    to.restore("test", from.state);
    words(to, 5);
    expect(words(from, 5)).toEqual(words(open(3), 5));
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["without a position", new Uint8Array(2496)],
    ["with its position alone behind the words", new Uint8Array(2500)],
    ["a byte too few", new Uint8Array(2511)],
    ["a byte too many", new Uint8Array(2513)],
    ["one word beyond the last", at(625)],
    ["as far beyond it as a word counts", at(2 ** 32 - 1)],
  ])("of another form is a RangeError, and the generator stays where it was: %s", (_, state) => {
    const random = open(3);
    words(random, 5);
    expect(() => random.restore("test", state)).toThrow(
      new RangeError("test: not the state of a generator"),
    );
    expect(words(random, 5)).toEqual(words(open(3), 10).slice(5));
  });
});
