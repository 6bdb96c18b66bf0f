import { describe, expect, test } from "vitest";
import { configurations, numbers, offsets, sizes } from "../layers/common.ts";
import { dtypes, openCore, seeded } from "../support/core.ts";
import { deviation } from "../support/reference.ts";

describe.each(configurations)("in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, epsilon } = type;
  const { exports } = core;
  const places = [
    ...offsets.map((offset) => () => ({ offset })),
    ...["x", "y"].map((last) => (name: string) => ({ last: name === last })),
  ];

  /** Calls fn with operands of every length at every address. */
  const each = (fn: (x: number[], y: number[], place: (name: string) => object) => void) => {
    const random = seeded(121);
    for (const n of sizes) {
      for (const place of places) {
        core.reset();
        const draw = () => numbers(array.from({ length: n }, () => 2 * random() - 1));
        fn(draw(), draw(), place);
        core.checkGuards();
      }
    }
  };

  test("axpy is y += alpha · x, and writes no other byte", () => {
    each((x, y, place) => {
      const yAt = core.inout(array.from(y), place("y"));
      const xAt = core.input(array.from(x), place("x")).address;
      exports[`axpy_${suffix}`](x.length, 0.3, xAt, yAt.address);
      const expected = y.map((value, i) => value + 0.3 * x[i]!);
      expect(deviation(yAt.values(), expected, 1)).toBeLessThan(2 * epsilon);
    });
  });

  test("scal is x = alpha · x, and writes no other byte", () => {
    each((x, _, place) => {
      const xAt = core.inout(array.from(x), place("x"));
      exports[`scal_${suffix}`](x.length, -0.3, xAt.address);
      const expected = x.map((value) => -0.3 * value);
      expect(deviation(xAt.values(), expected, 1)).toBeLessThan(epsilon);
    });
  });

  test("dot is Σ x · y in float64, and its result does not depend on addresses", () => {
    const results = new Map<number, number>();
    const random = seeded(122);
    const [x, y] = [0, 1].map(() => array.from({ length: 33 }, () => 2 * random() - 1));
    for (const n of sizes) {
      for (const place of places) {
        core.reset();
        const xAt = core.input(x!.slice(0, n), place("x")).address;
        const yAt = core.input(y!.slice(0, n), place("y")).address;
        const result = exports[`dot_${suffix}`](n, xAt, yAt);
        const twin = numbers(x!.slice(0, n)).reduce((sum, value, i) => sum + value * y![i]!, 0);
        expect(Math.abs(result - twin)).toBeLessThan(33 * 2 ** -53);
        expect(result).toBe(results.get(n) ?? result);
        results.set(n, result);
      }
    }
  });
});

describe.each(dtypes)("dot in $dtype", ({ array, suffix }) => {
  test("gives a million squares, which float32 would lose or overflow, to 1e-12", () => {
    const n = 1_000_003;
    const core = openCore("release", 16 * 1024 * 1024);
    const random = seeded(123);
    for (const scale of [1, 2 ** 70, 2 ** -70]) {
      core.reset();
      const x = array.from({ length: n }, () => scale * (1 + random()));
      const at = core.input(x).address;
      // Kahan's sum
      let [sum, lost] = [0, 0];
      for (const value of x) {
        const term = value * value - lost;
        const next = sum + term;
        lost = next - sum - term;
        sum = next;
      }
      expect(deviation([core.exports[`dot_${suffix}`](n, at, at)], [sum])).toBeLessThan(1e-12);
    }
  });
});
