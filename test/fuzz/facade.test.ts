// All calls on tensors, by the table in operations.ts: random shapes, dtypes, values from denormals
// to NaN, arguments and destinations that share their data, disposed and foreign tensors, wrong
// caches, wrong types.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Case, World } from "./harness.ts";
import { operations } from "./operations.ts";
import { runs, seed, Tally } from "./runs.ts";

const anyCase: fc.Arbitrary<Case> = fc.record({
  operation: fc.nat(operations.length - 1),
  dtype: fc.nat(1),
  profile: fc.nat(5),
  most: fc.integer({ min: 1, max: 33 }),
  fault: fc.nat(15),
  seed: fc.nat(2 ** 31 - 1),
});

test(`${runs} calls (seed ${seed}) each give the float64 twin's result, or an error of SPEC's table that leaves memory and operands as they were`, {
  timeout: 0,
}, () => {
  const world = new World();
  const tally = new Tally("facade", runs);
  fc.assert(
    fc.property(anyCase, (each) => {
      try {
        tally.count(world.play(each));
      } catch (error) {
        (error as Error).message += ` (${operations[each.operation]!.name})`;
        throw error;
      }
    }),
    { numRuns: runs, seed },
  );
  // Each way out is taken often enough to tell.
  for (const name of [
    "right",
    "AliasError",
    "DisposedError",
    "DTypeError",
    "RangeError",
    "RuntimeMismatchError",
    "ShapeError",
    "TypeError",
  ]) {
    expect(tally.outcomes.get(name)).toBeGreaterThan(runs / 1000);
  }
});
