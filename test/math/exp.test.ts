import { describe, expect, test } from "vitest";
import golden from "../golden/math.json" with { type: "json" };
import { dtypes, type Floats, openCore, seeded, testBuilds } from "../support/core.ts";
import { expExact, ulpError } from "./oracle.ts";

// What assembly/math/exp.ts states. Measured: 1.025 over every float32, 0.965 over 4 million
// float64.
const STATED_ULP = 1.1;
// What the layers count on.
const HARD_ULP = 2;

const cores = testBuilds.map((build) => ({ build, core: openCore(build) }));
const strict = openCore("test");

function exp<A extends Floats>(x: A, core = strict): A {
  core.reset();
  const single = x instanceof Float32Array;
  const input = core.input(x);
  const out = core.output<Floats>(single ? Float32Array : Float64Array, x.length);
  core.exports[single ? "exp_f32" : "exp_f64"](out.address, input.address, x.length);
  core.checkGuards();
  return out.values() as A;
}

const parts = new Uint32Array(2);
const whole = new Float64Array(parts.buffer);

/** A float32's error against exp in float64, in units of the last place in float32. */
function ulpError32(actual: number, exact: number): number {
  // The largest number and half a unit: from there on ∞ is the rounded result.
  if (actual === Infinity && exact >= 2 ** 128 - 2 ** 103) return 0;
  whole[0] = exact;
  const exponent = Math.max((parts[1]! >>> 20) - 1023, -126);
  return Math.abs((actual === Infinity ? 2 ** 128 : actual) - exact) / 2 ** (exponent - 23);
}

function worst32(x: Float32Array, core: typeof strict): number {
  const actual = exp(x, core);
  let worst = 0;
  for (let i = 0; i < x.length; i++) {
    // Math.exp is within one unit of float64, 2⁻²⁹ of a unit of float32.
    const error = ulpError32(actual[i]!, Math.exp(x[i]!));
    if (!(error <= worst)) worst = error; // takes a NaN too
  }
  return worst;
}

function worst64(x: Float64Array, core: typeof strict): { error: number; x: number } {
  const actual = exp(x, core);
  let worst = { error: 0, x: 0 };
  for (let i = 0; i < x.length; i++) {
    const error = ulpError(actual[i]!, expExact(x[i]!));
    if (!(error <= worst.error)) worst = { error, x: x[i]! };
  }
  return worst;
}

describe.each(cores)("exp in float32 is within its bound, $build core", ({ core }) => {
  function check(x: Float32Array) {
    const worst = worst32(x, core);
    expect(worst).toBeLessThanOrEqual(HARD_ULP);
    expect(worst).toBeLessThanOrEqual(STATED_ULP);
  }

  test("at a million even steps from below the least subnormal result to above the largest", () => {
    const n = 1 << 20;
    check(Float32Array.from({ length: n }, (_, i) => -104 + (193 * i) / (n - 1)));
  });

  test("at every 2 000th float32 of the range, so at all magnitudes of x", () => {
    const words = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;
    for (const [from, to] of [
      [words(0), words(89)],
      [words(-0), words(-104)],
    ] as const) {
      const x = new Uint32Array(Math.floor((to - from) / 2000) + 1);
      check(new Float32Array(x.map((_, i) => from + 2000 * i).buffer));
    }
  });

  test("where results are subnormal, rounded once", () => {
    const n = 1 << 17;
    const x = Float32Array.from({ length: n }, (_, i) => -103.98 + (16.7 * i) / n);
    check(x);
    const results = exp(x, core);
    expect(results.some((value) => value > 0 && value < 2 ** -140)).toBe(true);
  });

  test("around the middles between multiples of ln 2, where the remainder is largest", () => {
    const x = [];
    for (let k = -150; k <= 128; k++) {
      for (let step = -200; step <= 200; step++) {
        x.push((k + 0.5) * Math.LN2 * (1 + step * 2 ** -24));
      }
    }
    check(Float32Array.from(x));
  });
});

describe.each(cores)("exp in float64 is within its bound, $build core", ({ core }) => {
  const random = seeded(1);
  const n = 20_000;
  const k = () => Math.floor(2098 * random()) - 1075;

  function check(x: Float64Array) {
    const worst = worst64(x, core);
    expect(worst.error, `at ${worst.x}`).toBeLessThanOrEqual(HARD_ULP);
    expect(worst.error, `at ${worst.x}`).toBeLessThanOrEqual(STATED_ULP);
  }

  test("at the golden points, which lie at the borders of its steps and of its range", () => {
    const { x, overflows, underflows } = golden.exp;
    check(Float64Array.of(...x, ...overflows, ...underflows));
  });

  test.each([
    ["over the whole range", () => -746 + 1456 * random()],
    ["around 0, at all magnitudes of x", () => (random() - 0.5) * 2 ** (-60 * random())],
    ["where results are subnormal, rounded once", () => -745.2 + 36.9 * random()],
    [
      "around the middles between multiples of ln 2, where the remainder is largest",
      () => (k() + 0.5 + 0.02 * (random() - 0.5)) * Math.LN2,
    ],
    ["around the border to ∞", () => 709.782712893384 * (1 + (random() - 0.5) * 1e-13)],
    ["around the border to 0", () => -745.1332191019412 * (1 + (random() - 0.5) * 1e-13)],
  ])("%s", (_, draw) => {
    check(Float64Array.from({ length: n }, draw));
  });
});

const configurations = cores.flatMap((each) => dtypes.map((type) => ({ ...each, ...type })));

describe.each(configurations)("exp in $dtype, $build core", ({ core, array, suffix, bytes }) => {
  test("gives 1 at both zeros, 0 at −∞, ∞ at ∞ and NaN at NaN, in every lane", () => {
    const expOfOne = exp(array.of(1), core)[0]!;
    for (const [x, expected] of [
      [0, 1],
      [-0, 1],
      [-Infinity, 0],
      [Infinity, Infinity],
      [NaN, NaN],
      [-1e30, 0],
      [1e30, Infinity],
      [bytes === 4 ? 88.72284 : 709.79, Infinity],
      [bytes === 4 ? -103.98 : -745.14, 0],
    ] as const) {
      for (let lane = 0; lane < 4; lane++) {
        const values = Array(4).fill(1);
        const results = Array(4).fill(expOfOne);
        values[lane] = x;
        results[lane] = expected;
        expect(Array.from(exp(array.from(values), core)), `exp(${x})`).toEqual(results);
      }
    }
  });

  test("gives the same bits in every lane, for every length, at every address", () => {
    const random = seeded(2);
    const x = Array.from({ length: 9 }, () => -110 + 210 * random());
    const alone = x.map((value) => exp(array.of(value), core)[0]!);
    for (let n = 0; n <= 9; n++) {
      for (const offset of [0, bytes, 2 * bytes]) {
        core.reset();
        const input = core.input(array.from(x.slice(0, n)), { offset });
        const out = core.output(array, n, { offset });
        core.exports[`exp_${suffix}` as const](out.address, input.address, n);
        core.checkGuards();
        expect(Array.from(out.values())).toEqual(alone.slice(0, n));
      }
    }
  });
});
