// What a message shows of values that are not ours.

import { expect, describe as suite, test } from "vitest";
import { cut, describe, quote, show, textOf } from "../../src/runtime/errors.ts";

const long = "A".repeat(1_000_000);
const fail = () => {
  throw new Error("by the value itself");
};
const revoked = (target: object) => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};

suite("a value in a message", () => {
  const cases: [unknown, string][] = [
    [1, "1"],
    [-0.5, "-0.5"],
    [NaN, "NaN"],
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    ["1", '"1"'],
    ["a\n\u001b", '"a\\n\\u001b"'],
    [3n, "3"],
    [1n << 1_000_000n, "bigint"],
    [Symbol("s"), "Symbol(s)"],
    [() => 1, "a function"],
    [class {}, "a function"],
    [{}, "Object"],
    [{ toString: 1 }, "Object"],
    [{ toString: fail, valueOf: fail }, "Object"],
    [Object.create(null), "Object"],
    [new Map(), "Map"],
    [Promise.resolve(), "a Promise: await it"],
    [["mse"], "[mse]"],
    [[1, [2, null], undefined], "[1,[2,],]"],
    [[1, 2, 3, 4, 5, 6, 7, 8, 9], "[1,2,3,4,5,6,7,8,…]"],
    [new Array(2 ** 32 - 1), "[,,,,,,,,…]"],
    [[Symbol("s"), { toString: 1 }], "[Symbol(s),Object]"],
    [revoked({}), "an object that throws when it is read"],
    [revoked([]), "an object that throws when it is read"],
    [new Proxy({}, { get: fail }), "an object that throws when it is read"],
  ];
  // Behind functions: the test's runner would look at what must not be looked at.
  test.each(cases.map(([value, shown]) => [shown, () => value] as const))(
    "is shown as what it is: %s",
    (shown, value) => {
      expect(show(value())).toBe(shown);
    },
  );

  test("is no longer than a line", () => {
    const circular: unknown[] = [];
    circular.push(circular, circular);
    for (const value of [
      long,
      "\u0000".repeat(1e6),
      Symbol(long),
      new Function(`/* ${long} */`),
      { [Symbol.toStringTag]: long },
      new Array(1e6).fill(long),
      [[[[long, long]]]],
      circular,
    ]) {
      for (const text of [show(value), describe(value), textOf(value), textOf([value])]) {
        expect(text.length).toBeLessThan(400);
      }
    }
    expect(quote(long)).toBe(`"${"A".repeat(60)}…"`);
    expect(cut(long, 3)).toBe("AAA…");
    expect(cut("AAA", 3)).toBe("AAA");
  });
});
