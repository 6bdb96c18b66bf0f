// Objects of options. A key that a call does not know is refused: otherwise the default would hold,
// and nobody would notice that something else was meant.

import { describe, quote, show } from "../runtime/errors.ts";

/** Tells what an unknown key should have been. */
export type Hint = (key: string, known: readonly string[]) => string;

/**
 * Refuses what is no object of options, and a key that is none of the known ones.
 * @param known the first is shown as what to write, where a number stands in place of the object
 * @param isFirst nothing stands before the options in the call, which the message shows then
 * @throws TypeError
 */
export function checkKeys(
  operation: string,
  name: string,
  options: unknown,
  known: readonly string[],
  isFirst = false,
  hint: Hint = (_, known) => `the known ones: ${known.join(", ")}`,
): void {
  // A Promise has no keys that could be wrong.
  const isPromise = options instanceof Promise;
  if (options === null || typeof options !== "object" || isPromise || Symbol.iterator in options) {
    const isValue = /^(number|string|boolean)$/.test(typeof options);
    let given = isValue ? show(options) : describe(options);
    if (isValue && known[0]) {
      const right = `{ ${known[0]}: ${given} }`;
      given += `: write ${isFirst ? `${operation}(${right})` : right}`;
    }
    throw new TypeError(`${operation}: ${name} must be an object, got ${given}`);
  }
  for (const key in options) {
    if (known.includes(key)) continue;
    throw new TypeError(
      "toTypedArray" in options
        ? `${operation}: ${name} must be an object, got a tensor`
        : `${operation}: ${name} has no ${quote(key)}; ${hint(key, known)}`,
    );
  }
}
