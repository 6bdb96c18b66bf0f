import { describe, expect, test } from "vitest";
import { createRuntimeSync, geluBackward, geluForward } from "../../src/index.ts";
import { geluExact } from "../math/oracle.ts";
import { checkUlp } from "../math/ulp.ts";
import { dtypes } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { reportErrors, values } from "./common.ts";
import { testUnaryLayer } from "./unary.ts";

reportErrors();

testUnaryLayer({
  name: "gelu",
  forward: geluForward,
  backward: geluBackward,
  saves: "x",
  inPlace: false,
  twin: { forward: reference.geluForward, backward: reference.geluBackward },
  // float64's 5 ULP and as many of the twin's, whose exponent is not split: a²/2 = 8 in each.
  bounds: { forward: 16, backward: 16 },
  // The gradient passes 0 at −0.75, a difference of two terms of about 0.3.
  backwardScale: reference.absolute,
  golden: golden("layers").gelu,
});

// float32 is computed in float64 and rounded. Measured: 0.58 (float32), 4.9 (float64), which is
// 6.6e-16 of the value.
checkUlp("gelu", { float32: 0.7, float64: 6 }, geluForward, geluExact, {
  float32: [
    [-13, 6],
    [-1, 1],
  ],
  float64: [
    [-36, 8],
    [-4, 4],
  ],
});

describe.each(dtypes)("in $dtype", ({ dtype, bytes }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: number[]) => runtime.tensor(data, [data.length], dtype);

  test("gives x far above 0, 0 far below, and at −∞ the NaN of −∞ · 0, as PyTorch does", () => {
    const far = bytes === 4 ? 20 : 40;
    const { out, cache } = geluForward(
      tensor([0, -0, far, -far, 2 ** 100, -(2 ** 100), Infinity, -Infinity]),
    );
    expect(values(out)).toEqual([0, -0, far, -0, 2 ** 100, -0, Infinity, NaN]);
    const slopes = values(geluBackward(tensor(Array(8).fill(1)), cache));
    expect(slopes.slice(0, 6)).toEqual([0.5, 0.5, 1, 0, 1, 0].map((v) => expect.closeTo(v, 7)));
    expect(slopes.slice(6)).toEqual([NaN, NaN]);
  });

  test("far below 0 it keeps its digits, where 1 + erf has none left", () => {
    // Φ(−10) to 17 digits.
    const tail = 7.619853024160525e-24;
    const error = reference.deviation(geluForward(tensor([-10])).out.data, [-10 * tail]);
    expect(error).toBeLessThan(bytes === 4 ? 6e-8 : 1e-15);
  });

  test("the slopes at x and −x sum to 1, within their roundings", () => {
    const x = Array.from({ length: 64 }, (_, i) => i / 8 - 4);
    const ones = tensor(Array(64).fill(1));
    const at = (sign: number) =>
      values(geluBackward(ones, geluForward(tensor(x.map((v) => sign * v))).cache));
    const [up, down] = [at(1), at(-1)];
    for (let i = 0; i < 64; i++) {
      expect(Math.abs(up[i]! + down[i]! - 1)).toBeLessThan(bytes === 4 ? 2 ** -22 : 2 ** -51);
    }
  });
});
