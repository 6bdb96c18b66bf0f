// Whole numbers that callers set.

import { show } from "../runtime/errors.ts";

/**
 * Refuses by RangeError what is no number of which this holds.
 * @param what "in [0, 1]": what the number must be
 * @param call how a caller writes the number, which the message shows for what is none
 */
export function checkNumber(
  operation: string,
  name: string,
  value: unknown,
  isRight: (value: number) => boolean,
  what: string,
  call?: string,
): void {
  const isNumber = typeof value === "number";
  if (isNumber && isRight(value)) return;
  const advice = call && !isNumber ? `: write ${call}` : "";
  throw new RangeError(`${operation}: ${name} must be ${what}, got ${show(value)}${advice}`);
}

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
