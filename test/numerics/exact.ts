// Layers in whole numbers: a value v is the bigint v · 2⁵¹², so that sums are exact and nothing
// else is rounded where a float64 could tell.

import { type Exact, expExact, squareRoot, toExact, toFixed, ulpError } from "../math/oracle.ts";

const BITS = 512;
const WIDTH = BigInt(BITS);
export const ONE = 1n << WIDTH;

export const fixed = (value: number): bigint => toFixed(toExact(value), BITS);
export const fixedOf = (value: Exact): bigint => toFixed(value, BITS);
export const multiply = (a: bigint, b: bigint): bigint => (a * b) >> WIDTH;
export const divide = (a: bigint, b: bigint): bigint => (a << WIDTH) / b;
export const root = (a: bigint): bigint => squareRoot(a, BITS);
export const magnitude = (a: bigint): bigint => (a < 0n ? -a : a);
export const sum = (values: readonly bigint[]): bigint => values.reduce((a, b) => a + b, 0n);
export const exp = (x: number): bigint => fixedOf(expExact(x));

/** The nearest float64, for values up to 2⁵¹¹. */
export const approximate = (a: bigint): number => Number(a) / 2 ** BITS;

/**
 * log(a): float64's, and what is left of a beyond it as a series of terms each 1e-15 of the last.
 */
export function log(a: bigint): bigint {
  const first = Math.log(approximate(a));
  const rest = divide(a, exp(first)) - ONE;
  const square = multiply(rest, rest);
  return fixed(first) + rest - square / 2n + multiply(square, rest) / 3n;
}

/** |actual − exact| / scale; Infinity for what is no number. */
export function relative(actual: number, exact: bigint, scale: bigint): number {
  if (!Number.isFinite(actual)) return Infinity;
  const error = magnitude(fixed(actual) - exact);
  return error === 0n ? 0 : Number((error << 64n) / scale) / 2 ** 64;
}

/** |actual − exact| in units of the last place of exact. */
export const ulp = (actual: number, exact: bigint, dtype: "float32" | "float64"): number =>
  Number.isFinite(actual) ? ulpError(actual, { digits: exact, exponent: -BITS }, dtype) : Infinity;

/** Σ of float64 values to their last digit, however many they are (Neumaier, 1974). */
export function sumOf(n: number, term: (i: number) => number): number {
  let total = 0;
  let lost = 0;
  for (let i = 0; i < n; i++) {
    const value = term(i);
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return total + lost;
}
