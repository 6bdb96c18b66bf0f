import { expect, test } from "vitest";
import golden from "../golden/math.json" with { type: "json" };
import { seeded } from "../support/core.ts";
import { type Exact, expExact, logExact, toExact, ulpError } from "./oracle.ts";

/** a / b − 1 */
function ratio(a: Exact, b: Exact): number {
  const shift = BigInt(a.exponent - b.exponent + 300);
  return Number((a.digits << shift) / b.digits - (1n << 300n)) / 2 ** 300;
}

test("the oracle agrees with Python's decimal at 500 digits", () => {
  for (const [exact, { x, hi, loUlp }] of [
    [expExact, golden.exp],
    [logExact, golden.log],
  ] as const) {
    for (const [i, value] of x.entries()) {
      // hi is the correctly rounded result, and loUlp what is missing from it in hi's own units:
      // those of the exact result are half as large where hi is a power of two just above it.
      const [rounded, missing] = [hi[i]!, loUlp[i]!];
      const { digits, exponent } = toExact(Math.abs(rounded));
      const halved = digits === 2n ** 52n && exponent > -1074 && rounded * missing < 0;
      const expected = Math.abs(missing) * (halved ? 2 : 1);
      const error = ulpError(rounded, exact(value));
      expect(Math.abs(error - expected), `at ${value}`).toBeLessThan(1e-12);
    }
  }
});

test("the oracle's exp turns sums into products to 60 digits", () => {
  const random = seeded(5);
  for (let i = 0; i < 200; i++) {
    const a = Math.fround(300 * random() - 150);
    const b = Math.fround(300 * random() - 150); // a + b is exact in float64
    const [ea, eb] = [expExact(a), expExact(b)];
    const product = { digits: ea.digits * eb.digits, exponent: ea.exponent + eb.exponent };
    expect(Math.abs(ratio(product, expExact(a + b)))).toBeLessThan(1e-60);
  }
});

test("the oracle's log turns products into sums to 60 digits", () => {
  const random = seeded(6);
  for (let i = 0; i < 200; i++) {
    const a = Math.fround(2 + 1000 * random());
    const b = Math.fround(2 + 1000 * random()); // a · b is exact in float64
    const [la, lb] = [logExact(a), logExact(b)];
    const sum = { digits: la.digits + lb.digits, exponent: la.exponent };
    expect(Math.abs(ratio(sum, logExact(a * b)))).toBeLessThan(1e-60);
  }
});

test("a unit in the last place is counted as 1, halfway as ½, subnormal numbers included", () => {
  for (const x of [1, 1.5, 1e300, 2 ** -1022, 3 * 2 ** -1074]) {
    const unit = x < 2 ** -1021 ? 2 ** -1074 : 2 ** (Math.floor(Math.log2(x)) - 52);
    expect(ulpError(x + unit, toExact(x))).toBe(1);
    expect(ulpError(x, toExact(x))).toBe(0);
    const { digits, exponent } = toExact(x);
    expect(ulpError(x, { digits: 2n * digits + 1n, exponent: exponent - 1 })).toBe(0.5);
  }
  expect(ulpError(Infinity, toExact(Number.MAX_VALUE))).toBe(1);
  expect(ulpError(Infinity, { digits: 1n, exponent: 1024 })).toBe(0);
});
