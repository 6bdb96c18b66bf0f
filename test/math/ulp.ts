// Measures a layer's forward in units of the last place of the exact result, over ranges and at all
// magnitudes.

import { describe, expect, test } from "vitest";
import { createRuntimeSync, type FloatDType, type Tensor } from "../../src/index.ts";
import { track } from "../layers/common.ts";
import { dtypes, seeded } from "../support/core.ts";
import { type Exact, ulpError } from "./oracle.ts";

type Forward = <D extends FloatDType>(x: Tensor<D>) => { out: Tensor<D> };
type PerDType<T> = { float32: T; float64: T };

/** @param ranges where x is drawn evenly; results there are in the normal range */
export function checkUlp(
  name: string,
  bound: number | PerDType<number>,
  forward: Forward,
  exact: (x: number) => Exact,
  ranges: PerDType<[number, number][]>,
): void {
  describe.each(dtypes)(`${name} in $dtype is within its bound`, ({ dtype, array }) => {
    const runtime = createRuntimeSync();
    const random = seeded(61);
    const limit = typeof bound === "number" ? bound : bound[dtype];

    const check = (draw: () => number) => {
      const x = array.from({ length: 2000 }, draw);
      const out = forward(runtime.tensor(x, [x.length], dtype)).out.data;
      let worst = { error: 0, x: 0 };
      for (let i = 0; i < x.length; i++) {
        const error = ulpError(out[i]!, exact(x[i]!), dtype);
        if (!(error <= worst.error)) worst = { error, x: x[i]! };
      }
      track(`${name} ${dtype}, ULP`, worst.error);
      expect(worst.error, `at ${worst.x}`).toBeLessThanOrEqual(limit);
    };

    test.each(ranges[dtype])("on [%d, %d]", (from, to) => {
      check(() => from + (to - from) * random());
    });

    test("around 0, at all magnitudes of x", () => {
      check(() => (random() - 0.5) * 2 ** (-60 * random()));
    });
  });
}
