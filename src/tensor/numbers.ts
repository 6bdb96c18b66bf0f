// The numbers that callers set: in the functions of layers, in the layers of models, in trainings.

import { show } from "../runtime/errors.ts";

/** The values that a setting may have: numbers, where no other type is named. */
export interface Range {
  /** "a number from 0 up", for messages. */
  readonly expected: string;
  readonly type?: "number" | "boolean";
  holds(value: number): boolean;
}

/** Returns a setting that is no single number as a file keeps it; refuses what it may not be. */
export type Reader = (operation: string, name: string, value: unknown) => unknown;

/** What a setting may be, and its value where none is given; without that it has to be given. */
export type Setting = readonly [allowed: Range | Reader, fallback?: unknown];

export const count: Range = {
  expected: "a whole number from 1 up",
  holds: (value) => Number.isInteger(value) && value > 0,
};
export const wholeNumber: Range = {
  expected: "a whole number",
  holds: (value) => Number.isInteger(value),
};
export const seed: Range = {
  expected: "a whole number in [0, 4294967296)",
  holds: (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32,
};
export const probability: Range = {
  expected: "in [0, 1)",
  holds: (value) => value >= 0 && value < 1,
};
export const weight: Range = { expected: "in [0, 1]", holds: (value) => value >= 0 && value <= 1 };
export const positive: Range = { expected: "above 0", holds: (value) => value > 0 };
export const aboveZero: Range = {
  expected: "a number above 0",
  holds: (value) => value > 0 && value < Infinity,
};
export const fromZero: Range = {
  expected: "a number from 0 up",
  holds: (value) => value >= 0 && value < Infinity,
};
export const finite: Range = {
  expected: "a finite number",
  holds: (value) => Number.isFinite(value),
};
export const flag: Range = { expected: "true or false", type: "boolean", holds: () => true };

const isIn = ({ type = "number", holds }: Range, value: unknown): boolean =>
  typeof value === type && holds(value as number);

/**
 * Returns the value if it is in the range, and throws a RangeError if not.
 * @param call how a caller writes the number, which the message shows for what is none
 */
export function checkRange<T>(
  operation: string,
  name: string,
  range: Range,
  value: T,
  call?: string,
): T {
  if (isIn(range, value)) return value;
  const advice = call && typeof value !== "number" ? `: write ${call}` : "";
  throw new RangeError(
    `${operation}: ${name} must be ${range.expected}, got ${show(value)}${advice}`,
  );
}

/** Returns a setting as its record has it; refuses what it may not be. */
export const readSetting = (
  operation: string,
  name: string,
  [allowed]: Setting,
  value: unknown,
): unknown =>
  typeof allowed === "function"
    ? allowed(operation, name, value)
    : checkRange(operation, name, allowed, value);

/** A whole number from 1 up, or RangeError. */
export const checkCount = (operation: string, name: string, value: unknown) =>
  checkRange(operation, name, count, value as number);

/** A seed that is a whole number in [0, 2³²), or RangeError. */
export const checkSeed = (operation: string, value: unknown) =>
  checkRange(operation, "seed", seed, value as number);

/** "1,234,567" */
export function grouped(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}
