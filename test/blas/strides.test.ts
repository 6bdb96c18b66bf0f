// gemm as its contract has it, with rows that lie apart, a bias and a floor on every path: the
// layers, which gemm.test.ts goes through, have dense operands, and a bias where neither is
// transposed.

import { describe, expect, test } from "vitest";
import { dtypes, openCore, seeded, testBuilds } from "../support/core.ts";

const configurations = testBuilds.flatMap((build) =>
  dtypes.map((dtype) => ({ build, core: openCore(build), dtype, name: dtype.dtype })),
);
const sizes = [1, 2, 3, 5, 17, 33];

describe.each(configurations)("gemm in $name, $build core", ({ core, dtype }) => {
  const { array, suffix } = dtype;

  /**
   * A matrix of whole numbers, whose sums no order rounds; between its rows, or its columns, lies a
   * gap of NaN.
   */
  function draw(
    [rows, columns]: readonly [number, number],
    isTransposed: boolean,
    gap: number,
    random: () => number,
  ) {
    const [lines, length] = isTransposed ? [columns, rows] : [rows, columns];
    const ld = length + gap;
    const [rs, cs] = isTransposed ? [1, ld] : [ld, 1];
    const values = array.from({ length: lines * ld - gap }, () => NaN);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) values[i * rs + j * cs] = Math.floor(17 * random()) - 8;
    }
    return { values, rs, cs, at: (i: number, j: number) => values[i * rs + j * cs] as number };
  }

  test.each([
    ["neither operand transposed", false, false],
    ["b transposed", false, true],
    ["a transposed", true, false],
  ])("is the plain product where rows lie apart, %s", (_, transposesA, transposesB) => {
    const random = seeded(31);
    const products: [M: number, N: number, K: number][] = sizes.flatMap((M) =>
      sizes.flatMap((N) => [1, 2, 7, 259].map((K) => [M, N, K] as [number, number, number])),
    );
    // Long sums.
    for (const M of [1, 2, 5]) for (const N of [1, 3, 17]) products.push([M, N, 16449]);
    for (const [M, N, K] of products) {
      const a = draw([M, K], transposesA, 2, random);
      // A b that is a row or a column is in one piece.
      const b = draw([K, N], transposesB, K === 1 || N === 1 ? 0 : 2, random);
      // Row and floor go with a row-major a alone.
      for (const hasRow of transposesA ? [false] : [false, true]) {
        core.reset();
        const bytes = core.exports[`gemm_work_bytes_${suffix}` as const](M, N, K, a.cs);
        const row = array.from({ length: N }, () => Math.floor(17 * random()) - 8);
        const floor = hasRow ? -3 : -Infinity;
        const [aIn, bIn, rowIn] = [core.input(a.values), core.input(b.values), core.input(row)];
        const work = core.work(bytes);
        const c = core.output(array, M * N);
        core.exports[`gemm_${suffix}` as const](
          ...[c.address, aIn.address, a.rs, a.cs, bIn.address, b.rs, b.cs],
          ...[hasRow ? rowIn.address : 0, floor, work.address, M, N, K],
        );
        core.checkGuards();
        const expected = Array.from({ length: M * N }, (_, index) => {
          const [i, j] = [Math.floor(index / N), index % N];
          let sum = hasRow ? (row[j] as number) : 0;
          for (let k = 0; k < K; k++) sum += a.at(i, k) * b.at(k, j);
          return Math.max(sum, floor);
        });
        // Object.is of each element: no −0 either.
        expect(Array.from(c.values()), `(${M}, ${N}), K = ${K}`).toStrictEqual(expected);
      }
    }
  });
});
