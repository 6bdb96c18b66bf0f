// Names are getters rather than fields: where built-in prototypes are frozen, nobody can assign to
// an error's name.

/**
 * Shapes that do not fit each other, a rank that the operation does not take, or data whose length
 * is not its shape's product.
 */
export class ShapeError extends RangeError {
  override get name() {
    return "ShapeError";
  }
}

/** A destination that overlaps an operand of an operation that is not elementwise. */
export class AliasError extends RangeError {
  override get name() {
    return "AliasError";
  }
}

/** Operands of different dtypes, or of one that the operation does not take. */
export class DTypeError extends TypeError {
  override get name() {
    return "DTypeError";
  }
}

/** A tensor, cache or runtime that has been disposed. */
export class DisposedError extends Error {
  override get name() {
    return "DisposedError";
  }
}

/** Operands of different runtimes. */
export class RuntimeMismatchError extends Error {
  override get name() {
    return "RuntimeMismatchError";
  }
}

/**
 * A host that starts no workers, or one of a runtime's that has died: then the runtime cannot be
 * used any more.
 */
export class WorkerError extends Error {
  override get name() {
    return "WorkerError";
  }
}

/**
 * Bytes that are not what their format says: a SyntaxError, as JSON.parse throws for text that is
 * no JSON.
 */
export class FormatError extends SyntaxError {
  override get name() {
    return "FormatError";
  }
}

/**
 * A model of another library that has what this one cannot compute: operators, attributes or
 * versions. The message lists all of them with their places, and what is supported.
 */
export class UnsupportedError extends TypeError {
  override get name() {
    return "UnsupportedError";
  }
}

/** The memory cannot grow any more. Everything live stays usable. */
export class MemoryError extends Error {
  override get name() {
    return "MemoryError";
  }

  constructor(
    message: string,
    /** Bytes that were asked for. */
    readonly bytesRequested: number,
    /** Bytes in use when they were. */
    readonly bytesLive: number,
  ) {
    super(message);
  }
}

/**
 * Throws an error again that does not have this name, so that no fault of another kind passes for
 * it. The name is the same in every realm, which the class is not.
 */
export function rethrowUnless(name: string, error: unknown): void {
  if ((error as Error | null)?.name !== name) throw error;
}

/** A text in a message, no longer than a line however long a file or a caller made it. */
export function cut(text: string, most = 60): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** The same in quotes, with what cannot be seen escaped. */
export function quote(text: string): string {
  return JSON.stringify(cut(text));
}

/**
 * A value in a message: strings in quotes, so that "1" is not taken for 1. No value makes it throw,
 * or long.
 */
export function show(value: unknown): string {
  return typeof value === "string" ? quote(value) : textOf(value);
}

/**
 * The same without quotes; a list's first values, with nothing for what is not there; of other
 * objects the kind.
 */
export function textOf(value: unknown, levels = 3): string {
  if (typeof value === "bigint" && value !== BigInt.asIntN(64, value)) return "bigint";
  if (typeof value === "function") return "a function";
  const kind = describe(value);
  if (value === null || typeof value !== "object") return cut(String(value));
  if (kind !== "Array" || levels === 0) return kind;
  try {
    const list = (value as unknown[]).slice(0, MOST_VALUES);
    const texts = Array.from(list, (part) => textOf(part ?? "", levels - 1));
    if ((value as unknown[]).length > MOST_VALUES) texts.push("…");
    return cut(`[${texts}]`, 300);
  } catch {
    return kind; // a getter of the caller's
  }
}

const MOST_VALUES = 8;

/** What a value is, for a message that says what was given. No value makes it throw. */
export function describe(value: unknown): string {
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  try {
    if (typeof (value as { then?: unknown }).then === "function") return "a Promise: await it";
    return cut(Object.prototype.toString.call(value).slice(8, -1));
  } catch {
    return "an object that throws when it is read"; // a proxy or a getter
  }
}
