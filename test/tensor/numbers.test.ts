// What calls say of counts and seeds is tried on the calls; here it is the check of a count by
// itself.

import { expect, test } from "vitest";
import { checkCount } from "../../src/tensor/numbers.ts";

test.each([1, 2, 2 ** 32, Number.MAX_SAFE_INTEGER])("the count %d is given back", (count) => {
  expect(checkCount("call", "maxBatch", count)).toBe(count);
});

test.each([
  [0, "0"],
  [-1, "-1"],
  [0.5, "0.5"],
  [1.5, "1.5"],
  [Infinity, "Infinity"],
  [NaN, "NaN"],
  ["1", '"1"'],
  [true, "true"],
  [null, "null"],
  [undefined, "undefined"],
])("%o is no count: a RangeError", (value, shown) => {
  expect(() => checkCount("call", "maxBatch", value)).toThrow(
    new RangeError(`call: maxBatch must be a whole number from 1 up, got ${shown}`),
  );
});
