import { describe, expect, test } from "vitest";
import { dtypes, openCore, seeded } from "../support/core.ts";

describe.each(dtypes)("momentum SGD in $dtype", ({ array, suffix, epsilon }) => {
  test("is v = momentum · v − rate · dw, w += v at any length, in place, and writes no other byte", () => {
    const random = seeded(71);
    const core = openCore("release");
    for (const n of [0, 1, 2, 3, 4, 5, 7, 8, 9, 33]) {
      core.reset();
      const draw = () => array.from({ length: n }, () => 2 * random() - 1);
      const [w, v, dw] = [draw(), draw(), draw()];
      const [wAt, vAt] = [core.inout(w, { offset: 8 }), core.inout(v, { offset: 8 })];
      const dwAt = core.input(dw, { offset: 8 });
      const [rate, momentum] = [0.01, 0.9];
      core.exports[`sgd_momentum_${suffix}`](
        wAt.address,
        vAt.address,
        dwAt.address,
        n,
        rate,
        momentum,
      );
      core.checkGuards();
      for (let i = 0; i < n; i++) {
        const velocity = momentum * v[i]! - rate * dw[i]!;
        // Values up to 1, a handful of roundings.
        expect(Math.abs(vAt.values()[i]! - velocity)).toBeLessThan(2 * epsilon);
        expect(Math.abs(wAt.values()[i]! - (w[i]! + velocity))).toBeLessThan(3 * epsilon);
      }
    }
  });
});
