import { describe, expect, test } from "vitest";
import { configurations, numbers, sizes } from "../layers/common.ts";
import { seeded } from "../support/core.ts";

describe.each(configurations)("argmax in $dtype, $build core", ({ core, type }) => {
  const { array, suffix } = type;

  function argmax(rows: number[][]): number[] {
    core.reset();
    const C = rows[0]?.length ?? 1;
    const x = core.input(array.from(rows.flat()));
    const out = core.output(Int32Array, rows.length);
    core.exports[`argmax_${suffix}`](out.address, x.address, rows.length, C);
    core.checkGuards();
    return numbers(out.values());
  }

  test("is the index of each row's largest, the first of equals", () => {
    const random = seeded(131);
    for (const C of sizes) {
      if (C === 0) continue;
      const rows = Array.from({ length: 20 }, () =>
        Array.from({ length: C }, () => Math.floor(5 * random()) - 2),
      );
      expect(argmax(rows)).toEqual(rows.map((row) => row.indexOf(Math.max(...row))));
    }
    expect(argmax([])).toEqual([]);
  });

  // NumPy 1.24.2
  test.each([
    [[1, NaN, 3, NaN], 1],
    [[NaN, Infinity], 0],
    [[Infinity, NaN], 1],
    [[-Infinity, -Infinity], 0],
    [[-Infinity, -3], 1],
    [[-0, 0], 0],
    [[0, -0], 0],
  ])("of %o is %i, as in NumPy", (row, index) => {
    expect(argmax([row, row.map(() => 0)])).toEqual([index, 0]);
  });
});
