// What importers are given, before any of it is understood.

import { FormatError } from "lamella";
import { describe } from "../../runtime/errors.ts";

/** An object out of JSON, of which nothing is known yet. */
export type Settings = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Settings =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Returns bytes as a Uint8Array.
 * @param name the argument in the message of the TypeError for anything else
 */
export function bytesOf(operation: string, name: string, bytes: unknown): Uint8Array {
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  if (bytes instanceof Uint8Array) return bytes;
  throw new TypeError(
    `${operation}: ${name} must be a Uint8Array or an ArrayBuffer, got ${describe(bytes)}`,
  );
}

/**
 * Returns what a text of JSON says.
 * @param text null stands for bytes that are not UTF-8
 */
export function parseJson(operation: string, what: string, text: string | null): unknown {
  if (text === null) throw new FormatError(`${operation}: ${what} is not UTF-8`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${operation}: ${what} is not JSON: ${(error as Error).message}`);
  }
}
