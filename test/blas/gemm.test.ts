// GEMM through the kernels that call it: out = x · w + b (neither operand transposed),
// dx = dout · wᵀ (the second) and dw = xᵀ · dout (the first).

import { describe, expect, test } from "vitest";
import {
  builds,
  type DType,
  dtypes,
  type Floats,
  openCore,
  type Place,
  seeded,
  type TestCore,
} from "../support/core.ts";

const configurations = builds.flatMap((build) =>
  dtypes.map((dtype) => ({
    build,
    core: openCore(build, 64 * 1024 * 1024),
    dtype,
    name: dtype.dtype,
  })),
);
const strict = configurations.filter(({ build }) => build !== "relaxed");

interface Operands {
  x: Floats; // (N, D)
  w: Floats; // (D, M)
  b: Floats; // (M,)
  dout: Floats; // (N, M)
}

interface Sizes {
  N: number;
  D: number;
  M: number;
}

type Places = Partial<
  Record<"x" | "w" | "b" | "dout" | "out" | "dx" | "dw" | "db" | "work", Place>
>;

function draw({ array }: DType, { N, D, M }: Sizes, random: () => number): Operands {
  const values = (n: number) => array.from({ length: n }, () => 2 * random() - 1);
  return { x: values(N * D), w: values(D * M), b: values(M), dout: values(N * M) };
}

/** out (N, M) */
function forward(
  core: TestCore,
  { suffix, array }: DType,
  { N, D, M }: Sizes,
  operands: Operands,
  places: Places = {},
  kernel: "affine" | "affine_relu" = "affine",
): number[] {
  core.reset();
  const bytes = core.exports[`affine_forward_work_bytes_${suffix}` as const](N, D, M);
  const x = core.input(operands.x, { name: "x", ...places.x });
  const w = core.input(operands.w, { name: "w", ...places.w });
  const b = core.input(operands.b, { name: "b", ...places.b });
  const work = core.work(bytes, { name: "work", ...places.work });
  const out = core.output(array, N * M, { name: "out", ...places.out });
  core.exports[`${kernel}_forward_${suffix}` as const](
    ...[out.address, x.address, w.address, b.address, work.address],
    ...([N, D, M] as [number, number, number]),
  );
  core.checkGuards();
  return Array.from(out.values());
}

/** dx (N, D), dw (D, M) and db (M,) */
function backward(
  core: TestCore,
  { suffix, array }: DType,
  { N, D, M }: Sizes,
  operands: Operands,
  places: Places = {},
): { dx: number[]; dw: number[]; db: number[] } {
  core.reset();
  const bytes = core.exports[`affine_backward_work_bytes_${suffix}` as const](N, D, M);
  const dout = core.input(operands.dout, { name: "dout", ...places.dout });
  const x = core.input(operands.x, { name: "x", ...places.x });
  const w = core.input(operands.w, { name: "w", ...places.w });
  const work = core.work(bytes, { name: "work", ...places.work });
  const dx = core.output(array, N * D, { name: "dx", ...places.dx });
  const dw = core.output(array, D * M, { name: "dw", ...places.dw });
  const db = core.output(array, M, { name: "db", ...places.db });
  core.exports[`affine_backward_${suffix}` as const](
    dx.address,
    dw.address,
    db.address,
    dout.address,
    x.address,
    w.address,
    work.address,
    N,
    D,
    M,
  );
  core.checkGuards();
  const [dxValues, dwValues, dbValues] = [dx, dw, db].map(({ values }) => Array.from(values()));
  return { dx: dxValues!, dw: dwValues!, db: dbValues! };
}

/** Whether a sum of k products is added up in float64, over chunks of 64. */
const isLong = (bytes: number, k: number) => bytes === 4 && k > 16384;

/** The plain twin: c (m, n) = Σ over k of a(i, p) · b(p, j), + row(j), compared with actual. */
function checkProduct(
  what: string,
  { bytes, epsilon }: DType,
  actual: number[],
  [m, n, k]: [number, number, number],
  a: (i: number, p: number) => number,
  b: (p: number, j: number) => number,
  row: (j: number) => number = () => 0,
): void {
  expect(actual.length).toBe(m * n);
  // Every product is rounded once and passes through at most KC = 256 sums of its block, one sum
  // for each block and one with the row; each rounds by ε/2 of what is there, which is never more
  // than size = Σ|a||b| + |row| (but for ε²). In long sums, through at most 64 of its chunk, and it
  // is rounded at the end. The float64 sums below round k + 1 times themselves.
  const sums = isLong(bytes, k) ? 1 + 64 + 1 : 1 + Math.min(k, 256) + Math.ceil(k / 256) + 1;
  const bound = (sums * epsilon) / 2 + (k + 2) * 2 ** -53;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = row(j);
      let size = Math.abs(sum);
      for (let p = 0; p < k; p++) {
        const product = a(i, p) * b(p, j);
        sum += product;
        size += Math.abs(product);
      }
      const error = Math.abs(actual[i * n + j]! - sum);
      if (!(error <= bound * size)) {
        expect.fail(`${what} (${m}, ${n}), K = ${k}: [${i}, ${j}] is off by ${error} of ${sum}`);
      }
    }
  }
}

function checkForward(
  core: TestCore,
  dtype: DType,
  sizes: Sizes,
  operands: Operands,
  places?: Places,
): void {
  const { N, D, M } = sizes;
  const { x, w, b } = operands;
  checkProduct(
    "out",
    dtype,
    forward(core, dtype, sizes, operands, places),
    [N, M, D],
    (n, d) => x[n * D + d]!,
    (d, m) => w[d * M + m]!,
    (m) => b[m]!,
  );
}

function checkBackward(
  core: TestCore,
  dtype: DType,
  sizes: Sizes,
  operands: Operands,
  places?: Places,
): void {
  const { N, D, M } = sizes;
  const { x, w, dout } = operands;
  const { dx, dw, db } = backward(core, dtype, sizes, operands, places);
  checkProduct(
    "dx",
    dtype,
    dx,
    [N, D, M],
    (n, m) => dout[n * M + m]!,
    (m, d) => w[d * M + m]!,
  );
  checkProduct(
    "dw",
    dtype,
    dw,
    [D, M, N],
    (d, n) => x[n * D + d]!,
    (n, m) => dout[n * M + m]!,
  );
  checkProduct(
    "db",
    dtype,
    db,
    [1, M, N],
    () => 1,
    (n, m) => dout[n * M + m]!,
  );
}

describe.each(configurations)("GEMM in $name, $build core", ({ core, dtype }) => {
  const { bytes, array } = dtype;

  test("is the plain product at random sizes around vectors and tiles, 0 among them", () => {
    const sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 31, 33];
    const random = seeded(11);
    const pick = () => sizes[Math.floor(sizes.length * random())]!;
    for (let i = 0; i < 600; i++) {
      const triple = { N: pick(), D: pick(), M: pick() };
      const operands = draw(dtype, triple, random);
      checkForward(core, dtype, triple, operands);
      checkBackward(core, dtype, triple, operands);
    }
  });

  // Rows, columns and depth of the product, around MC = 128 (132 in relaxed builds), NC = 1024 and
  // KC = 256.
  test.each([
    ...[255, 256, 257, 511, 512, 513].map((k) => [5, 9, k] as const),
    ...[127, 128, 129].map((m) => [m, 9, 5] as const),
    // More than 32 columns, so that a is packed.
    ...[4, 5, 6, 7, 10, 11, 128, 129, 131, 132, 133, 136, 265].map((m) => [m, 45, 9] as const),
    ...[1023, 1024, 1025].map((n) => [5, n, 7] as const),
    ...([
      [129, 11, 257],
      [3, 1025, 257],
      [129, 1025, 3],
      // The longest of short sums, and long ones.
      [2, 3, 16384],
      [1, 3, 16385],
      [4, 5, 16449],
    ] as const),
  ])("is the plain product where blocks end: (%i, %i), K = %i", (m, n, k) => {
    const random = seeded(12);
    const nn = { N: m, D: k, M: n };
    checkForward(core, dtype, nn, draw(dtype, nn, random));
    // One call gives a product for dx and another for dw, each with the sizes in other places.
    const nt = { N: m, D: n, M: k };
    checkBackward(core, dtype, nt, draw(dtype, nt, random));
    const tn = { N: k, D: m, M: n };
    checkBackward(core, dtype, tn, draw(dtype, tn, random));
  });

  // A part of C that is summed in float64 is 128 × 256. The last one needs more workspace than
  // short sums would.
  if (bytes === 4) {
    test.each([
      [129, 2],
      [1, 257],
      [3, 257],
      [40, 100],
    ])("is the plain product where parts of long sums end: (%i, %i)", (m, n) => {
      const sizes = { N: m, D: 16390, M: n };
      checkForward(core, dtype, sizes, draw(dtype, sizes, seeded(33)));
    });
  }

  test("gives the same bits at addresses that are aligned to one element only", () => {
    const random = seeded(13);
    const shifted = { offset: bytes };
    for (const sizes of [
      { N: 7, D: 13, M: 19 },
      { N: 8, D: 16, M: 32 },
      { N: 33, D: 300, M: 31 },
    ]) {
      const operands = draw(dtype, sizes, random);
      const out = forward(core, dtype, sizes, operands);
      const gradients = backward(core, dtype, sizes, operands);
      for (const name of ["x", "w", "b", "dout", "out", "dx", "dw", "db", "work"]) {
        expect(forward(core, dtype, sizes, operands, { [name]: shifted })).toEqual(out);
        expect(backward(core, dtype, sizes, operands, { [name]: shifted })).toEqual(gradients);
      }
    }
  });

  test("touches nothing beyond the end of any buffer", () => {
    const random = seeded(14);
    const last = { last: true }; // the memory ends there, and an access beyond it traps
    for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 12, 17]) {
      const sizes = { N: size, D: size, M: size };
      const operands = draw(dtype, sizes, random);
      const out = forward(core, dtype, sizes, operands);
      const gradients = backward(core, dtype, sizes, operands);
      for (const name of ["x", "w", "b", "dout", "out", "dx", "dw", "db", "work"]) {
        expect(forward(core, dtype, sizes, operands, { [name]: last })).toEqual(out);
        expect(backward(core, dtype, sizes, operands, { [name]: last })).toEqual(gradients);
      }
    }
  });

  test("gives a row the same bits alone as among others, however the rows are blocked", () => {
    const random = seeded(15);
    for (const sizes of [
      { N: 7, D: 5, M: 11 },
      { N: 131, D: 300, M: 19 },
      { N: 6, D: 20, M: 1030 },
    ]) {
      const { N, D, M } = sizes;
      const { x, w, b, dout } = draw(dtype, sizes, random);
      const together = forward(core, dtype, sizes, { x, w, b, dout });
      const { dx } = backward(core, dtype, sizes, { x, w, b, dout });
      const alone = { N: 1, D, M };
      for (let n = 0; n < N; n++) {
        const row = { x: x.slice(n * D, n * D + D), w, b, dout: dout.slice(n * M, n * M + M) };
        expect(forward(core, dtype, alone, row)).toEqual(together.slice(n * M, n * M + M));
        expect(backward(core, dtype, alone, row).dx).toEqual(dx.slice(n * D, n * D + D));
      }
    }
  });

  test("gives a column the same bits alone as among others, however the columns are blocked", () => {
    const random = seeded(16);
    for (const sizes of [
      { N: 6, D: 7, M: 11 },
      { N: 300, D: 6, M: 19 },
      { N: 5, D: 3, M: 1030 },
    ]) {
      const { N, D, M } = sizes;
      const { x, w, b, dout } = draw(dtype, sizes, random);
      const column = <A extends ArrayLike<number>>(a: A, m: number) =>
        array.from({ length: a.length / M }, (_, i) => a[i * M + m]!);
      const together = forward(core, dtype, sizes, { x, w, b, dout });
      const gradients = backward(core, dtype, sizes, { x, w, b, dout });
      const alone = { N, D, M: 1 };
      for (let m = 0; m < M; m++) {
        const one = { x, w: column(w, m), b: array.of(b[m]!), dout: column(dout, m) };
        expect(forward(core, dtype, alone, one)).toEqual(Array.from(column(together, m)));
        const { dw, db } = backward(core, dtype, alone, one);
        expect(dw).toEqual(Array.from(column(gradients.dw, m)));
        expect(db).toEqual([gradients.db[m]]);
      }
    }
  });

  test("with ReLU gives the bits of the product and 0 where it is below 0, on every path", () => {
    const random = seeded(27);
    // gemv, rows read in place, panels read in place, packed; edges of tiles; one block of K, and
    // several; long sums.
    const sizes = [1, 2, 3, 4, 7, 16, 17, 33, 131].flatMap((N) =>
      [1, 3, 8, 13, 32, 33].flatMap((M) => [0, 1, 7, 256, 257, 600].map((D) => ({ N, D, M }))),
    );
    for (const N of [1, 3, 5]) sizes.push({ N, D: 16390, M: 9 });
    for (const size of sizes) {
      const operands = draw(dtype, size, random);
      const plain = forward(core, dtype, size, operands);
      const fused = forward(core, dtype, size, operands, {}, "affine_relu");
      // Object.is of each element: no −0 either, as max(0, −0) is 0.
      expect(fused).toStrictEqual(plain.map((value) => (value > 0 ? value : 0)));
    }
  });

  test.each([
    [1, 300],
    [2, 300],
    [5, 300],
    [18, 300],
    [2, 16390],
  ])("with ReLU a NaN stays, −∞ is 0 and ∞ stays, in %i rows, K = %i", (N, D) => {
    const random = seeded(28);
    const sizes = { N, D, M: 11 };
    for (const value of [NaN, Infinity, -Infinity]) {
      const operands = draw(dtype, sizes, random);
      operands.b.fill(value);
      const fused = forward(core, dtype, sizes, operands, {}, "affine_relu");
      expect(fused).toEqual(new Array(N * 11).fill(value === -Infinity ? 0 : value));
    }
  });

  test("leaves out a gradient whose address is 0, and gives the others the same bits", () => {
    const random = seeded(17);
    const sizes = { N: 9, D: 10, M: 11 };
    const { N, D, M } = sizes;
    const operands = draw(dtype, sizes, random);
    const full = backward(core, dtype, sizes, operands);
    core.reset();
    const { suffix } = dtype;
    const work = core.work(core.exports[`affine_backward_work_bytes_${suffix}` as const](N, D, M));
    const [dout, x, w] = [operands.dout, operands.x, operands.w].map((a) => core.input(a).address);
    for (const kept of ["dx", "dw", "db"] as const) {
      const out = core.output(array, full[kept].length);
      const to = (name: string) => (name === kept ? out.address : 0);
      core.exports[`affine_backward_${suffix}` as const](
        ...([to("dx"), to("dw"), to("db"), dout!, x!, w!, work.address] as const),
        ...([N, D, M] as const),
      );
      core.checkGuards();
      expect(Array.from(out.values())).toEqual(full[kept]);
    }
  });

  test.each([NaN, Infinity, -Infinity])("%d in a row of x is in that row of out alone", (value) => {
    const random = seeded(18);
    // The last rows lie in a tile that is filled up with zeros, and 0 · ∞ is NaN.
    const sizes = { N: 7, D: 260, M: 13 };
    const { N, D, M } = sizes;
    const operands = draw(dtype, sizes, random);
    operands.w[259 * M] = 0;
    const clean = forward(core, dtype, sizes, operands);
    for (let row = 0; row < N; row++) {
      const x = operands.x.slice();
      x[row * D + 259] = value;
      const out = forward(core, dtype, sizes, { ...operands, x });
      const expected = clean.slice();
      // Any finite sum added to the product leaves it as it is.
      for (let m = 0; m < M; m++) expected[row * M + m] = value * operands.w[259 * M + m]!;
      expect(out).toEqual(expected);
    }
  });

  test.each([NaN, Infinity, -Infinity])("%d in a column of w is in that of out alone", (value) => {
    const random = seeded(19);
    const sizes = { N: 5, D: 9, M: 13 };
    const { N, D, M } = sizes;
    const operands = draw(dtype, sizes, random);
    const clean = forward(core, dtype, sizes, operands);
    for (let column = 0; column < M; column++) {
      const w = operands.w.slice();
      w[3 * M + column] = value;
      const out = forward(core, dtype, sizes, { ...operands, w });
      const expected = clean.slice();
      for (let n = 0; n < N; n++) expected[n * M + column] = value * operands.x[n * D + 3]!;
      expect(out).toEqual(expected);
    }
  });

  test("a NaN in dout is in its row of dx, its column of dw and its place of db alone", () => {
    const random = seeded(20);
    const sizes = { N: 5, D: 9, M: 13 };
    const { N, D, M } = sizes;
    const operands = draw(dtype, sizes, random);
    const clean = backward(core, dtype, sizes, operands);
    const dout = operands.dout.slice();
    const [row, column] = [4, 12];
    dout[row * M + column] = NaN;
    const { dx, dw, db } = backward(core, dtype, sizes, { ...operands, dout });
    expect(dx).toEqual(clean.dx.map((value, i) => (Math.floor(i / D) === row ? NaN : value)));
    expect(dw).toEqual(clean.dw.map((value, i) => (i % M === column ? NaN : value)));
    expect(db).toEqual(clean.db.map((value, i) => (i === column ? NaN : value)));
    expect(N).toBe(row + 1); // the last row and column: both lie in a tile filled up with zeros
  });

  test("no gradient is −0, whatever the signs of the zeros and of their factors", () => {
    const random = seeded(30);
    const signed = [-1, -0, 0, 1];
    for (const N of [1, 2, 5]) {
      for (const D of [1, 3, 9, 18]) {
        for (const M of [1, 2, 7, 16]) {
          const operands = draw(
            dtype,
            { N, D, M },
            () => (signed[Math.floor(4 * random())]! + 1) / 2,
          );
          for (const a of [operands.x, operands.w, operands.dout]) {
            for (let i = 0; i < a.length; i++) if (a[i] === 0 && random() < 0.5) a[i] = -0;
          }
          const { dx, dw } = backward(core, dtype, { N, D, M }, operands);
          expect([...dx, ...dw].filter((value) => Object.is(value, -0))).toEqual([]);
        }
      }
    }
  });

  test("K = 0 gives the row, or zeros", () => {
    const operands = draw(dtype, { N: 3, D: 0, M: 5 }, seeded(21));
    const row = Array.from(operands.b);
    expect(forward(core, dtype, { N: 3, D: 0, M: 5 }, operands)).toEqual([...row, ...row, ...row]);
    const empty = draw(dtype, { N: 0, D: 4, M: 5 }, seeded(22));
    const { dx, dw, db } = backward(core, dtype, { N: 0, D: 4, M: 5 }, empty);
    expect(dx).toEqual([]);
    expect(dw).toEqual(Array(20).fill(0));
    expect(db).toEqual(Array(5).fill(0));
    // dw with few columns, which is computed as its transpose.
    const turned = { N: 0, D: 21, M: 5 };
    expect(backward(core, dtype, turned, draw(dtype, turned, seeded(29))).dw).toEqual(
      Array(105).fill(0),
    );
  });
});

test.each(configurations)(
  "the workspace of $name grows with each size, so that a smaller batch has room: $build core",
  ({ core, dtype }) => {
    const sizes = (work: "forward" | "backward", rows: readonly number[]) => {
      const bytes = core.exports[`affine_${work}_work_bytes_${dtype.suffix}` as const];
      for (const D of [3, 4, 10, 13, 20, 128, 200, 1030]) {
        for (const M of [3, 10, 12, 32, 64, 100, 1030]) {
          const all = rows.map((N) => bytes(N, D, M));
          expect(all, `${work}, ${D} → ${M}`).toEqual(all.toSorted((a, b) => a - b));
        }
      }
    };
    const rows = [3, 4, 5, 63, 64, 65, 127, 129, 255, 256, 257, 1000, 16384, 16385, 20000, 1e6];
    sizes("forward", rows);
    sizes("backward", rows);
  },
);

describe.each(strict)("GEMM in $name, $build core, strict", ({ core, dtype }) => {
  // To the last bit: what makes results the same on every host is that this order never changes.
  const { bytes } = dtype;
  const round = bytes === 4 ? Math.fround : (value: number) => value;

  /** c (m, n) as checkProduct, in the order of every core. */
  function inOrder(
    [m, n, k]: readonly [number, number, number],
    a: (i: number, p: number) => number,
    b: (p: number, j: number) => number,
    row?: Floats,
  ): number[] {
    const length = isLong(bytes, k) ? 64 : 256;
    const add = isLong(bytes, k) ? (value: number) => value : round;
    return Array.from({ length: m * n }, (_, index) => {
      const [i, j] = [Math.floor(index / n), index % n];
      const sums: number[] = [];
      for (let block = 0; block < k; block += length) {
        let sum = 0;
        for (let p = block; p < Math.min(block + length, k); p++) {
          sum = round(sum + round(a(i, p) * b(p, j)));
        }
        sums.push(sum);
      }
      // The row is what blocks are added to; to a long sum it comes last.
      if (row) isLong(bytes, k) ? sums.push(row[j]!) : sums.unshift(row[j]!);
      return round(sums.reduce((total, sum) => add(total + sum)));
    });
  }

  function checkOrder(m: number, n: number, k: number, random: () => number) {
    const nn = { N: m, D: k, M: n };
    const { x, w, b, dout } = draw(dtype, nn, random);
    expect(forward(core, dtype, nn, { x, w, b, dout })).toEqual(
      inOrder(
        [m, n, k],
        (i, p) => x[i * k + p]!,
        (p, j) => w[p * n + j]!,
        b,
      ),
    );
    const nt = { N: m, D: n, M: k };
    const forDx = draw(dtype, nt, random);
    expect(backward(core, dtype, nt, forDx).dx).toEqual(
      inOrder(
        [m, n, k],
        (i, p) => forDx.dout[i * k + p]!,
        (p, j) => forDx.w[j * k + p]!,
      ),
    );
    const tn = { N: k, D: m, M: n };
    const forDw = draw(dtype, tn, random);
    expect(backward(core, dtype, tn, forDw).dw).toEqual(
      inOrder(
        [m, n, k],
        (i, p) => forDw.x[p * m + i]!,
        (p, j) => forDw.dout[p * n + j]!,
      ),
    );
  }

  test("sums 256 products at a time from zero and adds each such sum to what is there", () => {
    const random = seeded(24);
    // Tiles, rows and columns alone, and a transposed operand with few columns.
    for (const [m, n] of [
      [6, 11],
      [1, 11],
      [2, 11],
      [6, 1],
      [33, 1],
      [33, 3],
      [1, 1],
    ] as const) {
      for (const k of [1, 2, 3, 4, 5, 255, 256, 257, 512, 513]) checkOrder(m, n, k, random);
    }
  });

  test.each([
    [1, 1, 16384],
    [1, 1, 16385],
    [2, 3, 16447],
    [5, 1, 16448],
    [3, 11, 16449],
    [6, 9, 16511],
  ])(
    "sums more than 16,384 of float32 64 at a time, and these sums in float64: (%i, %i), K = %i",
    (m, n, k) => {
      checkOrder(m, n, k, seeded(32));
    },
  );
});

test("a core tells whether it is relaxed", () => {
  for (const build of builds) {
    expect(Boolean(openCore(build).exports.is_relaxed())).toBe(build === "relaxed");
  }
});

test.each(dtypes)("the release and the debug core give the same bits in $dtype", (dtype) => {
  const random = seeded(23);
  for (const sizes of [
    { N: 9, D: 17, M: 21 },
    { N: 133, D: 270, M: 37 },
  ]) {
    const operands = draw(dtype, sizes, random);
    const [release, debug] = [openCore("release"), openCore("debug")];
    expect(forward(debug, dtype, sizes, operands)).toEqual(
      forward(release, dtype, sizes, operands),
    );
    expect(backward(debug, dtype, sizes, operands)).toEqual(
      backward(release, dtype, sizes, operands),
    );
  }
});
