// Names are getters rather than fields: where built-in prototypes are frozen, nobody can assign to an error's name.

/** Shapes that do not fit each other, a rank that the operation does not take, or data whose length is not its shape's product. */
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

/** A host that starts no workers, or one of a runtime's that has died: then the runtime cannot be used any more. */
export class WorkerError extends Error {
  override get name() {
    return "WorkerError";
  }
}

/** Bytes that are not what their format says: a SyntaxError, as JSON.parse throws for text that is no JSON. */
export class FormatError extends SyntaxError {
  override get name() {
    return "FormatError";
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
 * Throws an error again that does not have this name, so that no fault of another kind passes for it. The name is the same
 * in every realm, which the class is not.
 */
export function rethrowUnless(name: string, error: unknown): void {
  if ((error as Error | null)?.name !== name) throw error;
}

/** A string in a message, in quotes, and no longer than a line however long a file made it. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** A value in a message: strings in quotes, so that "1" is not taken for 1, of a function not its code, and all cut. */
export function show(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "string") return quote(value);
  try {
    return String(value).slice(0, 60);
  } catch {
    return describe(value); // a file's {"toString": 1} has no text
  }
}

/** What a value is, for a message that says what was given. */
export function describe(value: unknown): string {
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  if (typeof (value as { then?: unknown }).then === "function") return "a Promise: await it";
  return Object.prototype.toString.call(value).slice(8, -1);
}
