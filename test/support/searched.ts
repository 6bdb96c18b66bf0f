import { vi } from "vitest";

const searches = ["indexOf", "lastIndexOf", "includes", "find", "findIndex", "some", "every"];

/**
 * The elements that searches of arrays may have looked at, and those that were copied, while
 * `action` ran: what is in proportion to its input makes no more of them than so many times that,
 * and no clock is asked.
 */
export async function searchedIn(action: () => unknown): Promise<number> {
  let elements = 0;
  const spies = [...searches, "slice"].map((name) => {
    const key = name as "slice";
    const original = Array.prototype[key] as (...given: unknown[]) => unknown;
    return vi.spyOn(Array.prototype, key).mockImplementation(function (
      this: unknown[],
      ...given: unknown[]
    ) {
      const result = Reflect.apply(original, this, given);
      elements += name === "slice" ? (result as unknown[]).length : this.length;
      return result as never;
    });
  });
  try {
    await action();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return elements;
}
