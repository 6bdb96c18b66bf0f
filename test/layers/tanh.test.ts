import { describe, expect, test } from "vitest";
import { createRuntimeSync, tanhBackward, tanhForward } from "../../src/index.ts";
import { tanhExact } from "../math/oracle.ts";
import { checkUlp } from "../math/ulp.ts";
import { dtypes, seeded } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { reportErrors, values } from "./common.ts";
import { testUnaryLayer } from "./unary.ts";

reportErrors();

testUnaryLayer({
  name: "tanh",
  forward: tanhForward,
  backward: tanhBackward,
  saves: "out",
  twin: { forward: reference.tanhForward, backward: reference.tanhBackward },
  // exp(x) − 1, the sum and the quotient; and the twin's own in float64. Backward: four roundings.
  bounds: { forward: 3, backward: 2.5 },
  golden: golden("layers").tanh,
});

// What assembly/math/tanh.ts states. Measured: 1.98 (every third float32), 2.00 (190,000 float64).
const STATED_ULP = 2.05;

checkUlp("tanh", STATED_ULP, tanhForward, tanhExact, {
  float32: [
    [-10, 10],
    [0.1, 0.26],
  ],
  float64: [
    [-20, 20],
    [0.1, 0.26],
  ],
});

describe.each(dtypes)("in $dtype", ({ dtype, bytes, array }) => {
  const runtime = createRuntimeSync();
  const smallest = bytes === 4 ? 2 ** -149 : 2 ** -1074;

  test("keeps the sign of 0 and the smallest numbers, and gives ±1 at the infinities", () => {
    const x = [0, -0, smallest, -smallest, Infinity, -Infinity, 1e30, -1e30, NaN];
    const out = values(tanhForward(runtime.tensor(x, [9], dtype)).out);
    expect(out).toEqual([0, -0, smallest, -smallest, 1, -1, 1, -1, NaN]);
  });

  test("is odd to the bit, and nowhere beyond 1", () => {
    const random = seeded(51);
    const x = array.from({ length: 1000 }, () => 24 * random() - 12);
    const out = values(tanhForward(runtime.tensor(x, [1000], dtype)).out);
    const mirrored = tanhForward(runtime.tensor(x.map((v) => -v) as typeof x, [1000], dtype)).out;
    expect(values(mirrored)).toEqual(out.map((v) => -v));
    for (const value of out) expect(Math.abs(value)).toBeLessThanOrEqual(1);
  });
});
