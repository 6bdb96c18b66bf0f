// Whole numbers that callers set.

import { show } from "../runtime/errors.ts";

/** A whole number from 1 up, or RangeError. */
export function checkCount(operation: string, name: string, value: unknown): number {
  if (!(Number.isInteger(value) && (value as number) > 0)) {
    throw new RangeError(
      `${operation}: ${name} must be a whole number from 1 up, got ${show(value)}`,
    );
  }
  return value as number;
}

/** A seed that is a whole number in [0, 2³²), or RangeError. */
export function checkSeed(operation: string, seed: unknown): number {
  if (!(Number.isInteger(seed) && (seed as number) >= 0 && (seed as number) < 2 ** 32)) {
    throw new RangeError(
      `${operation}: seed must be a whole number in [0, 4294967296), got ${show(seed)}`,
    );
  }
  return seed as number;
}

/** "1,234,567" */
export function grouped(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}
