import { describe, expect, test } from "vitest";
import { createRuntimeSync, sigmoidBackward, sigmoidForward } from "../../src/index.ts";
import { sigmoidExact } from "../math/oracle.ts";
import { checkUlp } from "../math/ulp.ts";
import { dtypes } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { reportErrors, values } from "./common.ts";
import { testUnaryLayer } from "./unary.ts";

reportErrors();

testUnaryLayer({
  name: "sigmoid",
  forward: sigmoidForward,
  backward: sigmoidBackward,
  saves: "out",
  twin: { forward: reference.sigmoidForward, backward: reference.sigmoidBackward },
  // exp's 1.1 ULP, and half a one for each further step; the twin's own in float64. Backward: three
  // roundings.
  bounds: { forward: 3, backward: 2 },
  golden: golden("layers").sigmoid,
});

// What assembly/math/sigmoid.ts states. Measured: 1.82 (every third float32), 1.55 (180,000
// float64).
const STATED_ULP = 2;

checkUlp("sigmoid", STATED_ULP, sigmoidForward, sigmoidExact, {
  float32: [
    [-87, 20],
    [-4, 4],
  ],
  float64: [
    [-708, 40],
    [-4, 4],
  ],
});

describe.each(dtypes)("in $dtype", ({ dtype, bytes }) => {
  const runtime = createRuntimeSync();

  test("gives ½ at 0, its limits at the infinities, and never a NaN or 0 before its time", () => {
    const least = bytes === 4 ? -103 : -744; // above the smallest number
    const x = runtime.tensor([0, -0, Infinity, -Infinity, 1e30, -1e30, NaN, least], [8], dtype);
    const out = values(sigmoidForward(x).out);
    expect(out.slice(0, 7)).toEqual([0.5, 0.5, 1, 0, 1, 0, NaN]);
    expect(out[7]).toBeGreaterThan(0);
  });

  test("sigmoid(x) and sigmoid(−x) sum to 1, within their roundings", () => {
    const x = Array.from({ length: 200 }, (_, i) => i / 8 - 12);
    const at = (sign: number) =>
      sigmoidForward(
        runtime.tensor(
          x.map((v) => sign * v),
          [200],
          dtype,
        ),
      ).out.data;
    const [up, down] = [at(1), at(-1)];
    for (let i = 0; i < 200; i++) {
      expect(Math.abs(up[i]! + down[i]! - 1)).toBeLessThan(bytes === 4 ? 2 ** -22 : 2 ** -51);
    }
  });
});
