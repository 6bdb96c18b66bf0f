// What a network takes and gives by name.

import { describe, quote } from "../runtime/errors.ts";

/** What a network takes or gives: its name, and the shape of one example. */
export interface Port {
  readonly name: string;
  readonly shape: readonly number[];
}

/** True for an object of values by name, such as { image, meta }: no array, tensor or iterable. */
export function isByName(x: unknown, ports: readonly Port[]): x is Record<string, unknown> {
  if (typeof x !== "object" || x === null || ArrayBuffer.isView(x) || Array.isArray(x)) {
    return false;
  }
  return (
    Object.getPrototypeOf(x) === Object.prototype &&
    (ports.length > 1 || Object.hasOwn(x, (ports[0] as Port).name))
  );
}

/**
 * The values of an object by the names of the ports, in their order.
 * @param label what the message calls the object: "x"
 * @throws TypeError for what is no such object, for a name that is missing and for one too many
 */
export function valuesByName(
  operation: string,
  label: string,
  ports: readonly Port[],
  x: unknown,
): unknown[] {
  const names = ports.map(({ name }) => name);
  const list = names.join(", ");
  if (!isByName(x, ports)) {
    throw new TypeError(
      `${operation}: ${label} must be an object with ${list}, got ${describe(x)}`,
    );
  }
  for (const key in x) {
    if (names.includes(key)) continue;
    throw new TypeError(`${operation}: ${label} has no ${quote(key)}; the known ones: ${list}`);
  }
  return names.map((name) => {
    const value = Object.hasOwn(x, name) ? x[name] : undefined;
    if (value !== undefined) return value;
    throw new TypeError(`${operation}: ${label} lacks ${name}; it has to have ${list}`);
  });
}

/** True for what may be the name of an input or an output. */
export const isPortName = (name: unknown): name is string =>
  typeof name === "string" && /^[!-~][ -~]{0,199}$/.test(name) && name !== "__proto__";
