// biome-ignore-all lint/suspicious/noTemplateCurlyInString: texts of sources
// Mistakes that somebody could make, each a small replacement in a source: `npm run mutate` makes them one by one and
// runs the tests that should notice. A mutant that no test kills is a test that is missing, unless `equivalent` says why
// nobody can see it.

export interface Mutant {
  readonly file: string;
  /** What it breaks. */
  readonly breaks: string;
  /** Occurs once in the file, which test/mutation/mutants.test.ts checks. */
  readonly from: string;
  readonly to: string;
  /** What has to be built anew: a target of asconfig.json, "test" for what test/support/entry.ts shows, "none" for src/. */
  readonly build: "release" | "test" | "relaxed" | "shared" | "predict" | "all" | "none";
  /** Test files, in the order in which they are tried. */
  readonly tests: readonly string[];
  /** Why no test can see it. */
  readonly equivalent?: string;
}

type Change = readonly [breaks: string, from: string, to: string, equivalent?: string];

function mutantsOf(
  file: string,
  build: Mutant["build"],
  tests: string | readonly string[],
  ...changes: Change[]
): Mutant[] {
  return changes.map(([breaks, from, to, equivalent]) => ({
    ...{ file, build, breaks, from, to },
    tests: [tests].flat().map((name) => `test/${name}.test.ts`),
    ...(equivalent === undefined ? {} : { equivalent }),
  }));
}

const gemm = "blas/gemm";

export const mutants: readonly Mutant[] = [
  ...mutantsOf(
    "assembly/simd.ts",
    "release",
    ["layers/relu", gemm, "losses/bce"],
    [
      "a tail of two float32 lanes takes the third along",
      "return n == 2 ? low : v128.load_lane<u32>(p, low, 2, 8);",
      "return v128.load_lane<u32>(p, low, 2, 8);",
    ],
    [
      "a tail of three writes two lanes",
      "if (n == 3) v128.store_lane<u32>(p, v, 2, 8);",
      "if (n == 4) v128.store_lane<u32>(p, v, 2, 8);",
    ],
    [
      "a tail of one float32 writes two",
      "  } else if (n == 1) {\n    v128.store_lane<u32>(p, v, 0);",
      "  } else if (n == 1) {\n    v128.store_lane<u64>(p, v, 0);",
    ],
    [
      "the upper half of a vector is the lower one again",
      "f64x2.promote_low_f32x4(v128.shuffle<u64>(v, v, 1, 1))",
      "f64x2.promote_low_f32x4(v128.shuffle<u64>(v, v, 0, 1))",
    ],
    [
      "an odd float64 at the end is written with its neighbour",
      "if (n == 2) v128.store(p, v);\n    else v128.store_lane<u64>(p, v, 0);",
      "v128.store(p, v);",
    ],
  ),
  ...mutantsOf(
    "assembly/simd.ts",
    "release",
    ["optim/adam", "optim/rmsprop"],
    [
      "a NaN's square is 0",
      "v128.andnot(v, v128.lt<T>(v128.abs<T>(v), least))",
      "v128.and(v, v128.ge<T>(v128.abs<T>(v), least))",
    ],
    ["what is below 0 has no square", "v128.lt<T>(v128.abs<T>(v), least)", "v128.lt<T>(v, least)"],
  ),
  ...mutantsOf("assembly/simd.ts", "relaxed", gemm, [
    "the fused step subtracts",
    "v128.relaxed_madd<T>(a, b, c)",
    "v128.relaxed_nmadd<T>(a, b, c)",
  ]),
  ...mutantsOf(
    "assembly/blas/column_sum.ts",
    "release",
    [gemm, "layers/batchnorm"],
    ["db loses its eighth row", "loadLanes<T>(x6 + step, n)", "loadLanes<T>(x6, n)"],
    ["db loses the rows beyond the last eight", "for (; n < N; n++) {", "for (; n + 1 < N; n++) {"],
    [
      "columns beyond the first strip go where the first went",
      "store<T>(out + (from + j) * size,",
      "store<T>(out + j * size,",
    ],
    ["eight rows too many at the end", "n + 8 <= N", "n + 7 <= N"],
    [
      "the workspace lacks a column",
      "return min(M, STRIP) * sizeof<f64>();",
      "return (min(M, STRIP) - 1) * sizeof<f64>();",
    ],
    [
      "lanes three and four are added to the first two",
      "loadF64x2<f64>(sums + 16, n - 2), widenHigh(v)), n - 2",
      "loadF64x2<f64>(sums, n - 2), widenHigh(v)), n - 2",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/gemm.ts",
    "release",
    [gemm, "predict"],
    [
      "a product of long sums has a workspace for these alone",
      "max(short, longWorkElements<T>(M, N)) : short",
      "longWorkElements<T>(M, N) : short",
    ],
    [
      "the last block of K overlaps the one before",
      "const kc = min(K - pc, KC());\n      const least = pc + kc == K ? floor : <T>-Infinity;\n      // From one",
      "const kc = KC();\n      const least = pc + kc == K ? floor : <T>-Infinity;\n      // From one",
    ],
    [
      "the strides of a are swapped",
      "const blockA = a + (ic * rsa + pc * csa) * size;",
      "const blockA = a + (ic * csa + pc * rsa) * size;",
    ],
    [
      "the strides of b are swapped",
      "let panelB = b + (pc * rsb + column * csb) * size;",
      "let panelB = b + (pc * csb + column * rsb) * size;",
    ],
    [
      "every block of K starts from the row",
      "if (pc == 0) {\n            addend = row",
      "if (pc >= 0) {\n            addend = row",
    ],
    [
      "ReLU cuts the sum of the first block of K",
      "const least = pc + kc == K ? floor : <T>-Infinity;\n      // From one",
      "const least = floor;\n      // From one",
    ],
    [
      "the turned product is not turned back",
      "transpose<T>(c, turned, M, N);\n",
      "transpose<T>(c, turned, N, M);\n",
    ],
    [
      "a vector too few of the last columns",
      "const width = columns > LANES<T>() ? NR<T>() : LANES<T>();",
      "const width = columns > LANES<T>() + 1 ? NR<T>() : LANES<T>();",
    ],
    [
      "a panel of b is packed for the first block of rows and read from another's place",
      "const packed = packedB + (M > MC ? jr * kc * size : 0);",
      "const packed = packedB + (M > 2 * MC ? jr * kc * size : 0);",
    ],
    [
      "the edge tile is written whole",
      "gemmTiles<T>(height, edge, width, panelA, aStep, 0, 1, panelB, bStep, kc, 0, 0, none);",
      "gemmTiles<T>(height, tile, ldc, panelA, aStep, 0, 1, panelB, bStep, kc, 0, 0, none);",
    ],
    [
      "the workspace of a single row is forgotten",
      "max(a + b + edge, M < 3 ? M * N : 0)",
      "a + b + edge",
    ],
    [
      "the row is not moved along with the strip of columns",
      "addend = row == 0 ? 0 : row + column * size;",
      "addend = row;",
    ],
    [
      "an edge tile forgets what is there",
      "if (addend != 0) sum += load<T>(addend + j * size);",
      "",
    ],
    [
      "a long sum is rounded before the row",
      "sum += load<T>(addend + j * size);",
      "sum = <T>sum + load<T>(addend + j * size);",
    ],
    [
      "ReLU takes NaN for 0",
      "rounded < floor ? floor : rounded",
      "rounded > floor ? rounded : floor",
    ],
    [
      "the next column block begins a column early",
      "for (let jc: usize = 0; jc < N; jc += NC) {",
      "for (let jc: usize = 0; jc < N; jc += NC - NR<T>()) {",
      "columns that two blocks share are computed twice, to the same bits",
    ],
    [
      "the second block of columns starts from its neighbour",
      "const column = jc + jr;",
      "const column = jr;",
    ],
    [
      "panels: a block of K is read from the first one's place",
      "panelB = b + (first * K + pc * ldb + column - first) * size;",
      "panelB = b + (first * K + column - first) * size;",
    ],
    [
      "panels: the last panel is read as a whole one",
      "const ldb = min(N - first, PW<T>());",
      "const ldb = PW<T>();",
    ],
    [
      "panels of few rows: ReLU on every block",
      "const least = pc + kc == K ? floor : <T>-Infinity;\n      for (let i",
      "const least = floor;\n      for (let i",
    ],
    [
      "panels of few rows: the bias is added once a block of K",
      "const addend = pc != 0 ? to : row == 0 ? <usize>0 : row + j * size;",
      "const addend = row == 0 ? <usize>0 : row + j * size;",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/gemm.ts",
    "shared",
    "threads/pool",
    [
      "threads share one workspace",
      "at<T>(9, thread * tileElements<T>(M, N, K));",
      "at<T>(9, 0 * tileElements<T>(M, N, K));",
    ],
    ["a strip of rows reads a from the top", "a += from * rsa * size;", "a += 0;"],
    ["a strip of columns forgets the bias' place", "if (row != 0) row += from * size;", ""],
    ["a strip has as many rows as C", "    M = count;\n", ""],
    ["a strip's rows are as long as its columns are many", "const ldc = N;", "const ldc = count;"],
    [
      "a strip of columns of panels begins where one without would",
      "b += from * (inPanels ? K : csb) * size;",
      "b += from * csb * size;",
    ],
    ["a strip's floor is 0", "row, <T>number(0), work, M, N, K);", "row, <T>0, work, M, N, K);"],
    ["strips of rows where columns are cut", "cut(max(M, N), strip);", "cut(M, strip);"],
  ),
  ...mutantsOf(
    "assembly/blas/gemm.ts",
    "shared",
    "threads/kernels",
    [
      "panels of few rows: a range of columns forgets the bias' place",
      "row == 0 ? 0 : row + from * sizeof<T>(),",
      "row,",
    ],
    ["panels of few rows: threads share one workspace", "at<T>(4, thread * PW<T>()),", "arg(4),"],
    [
      "panels of few rows: a range's rows are as long as its columns are many",
      "        arg(6),\n        arg(1),",
      "        count,\n        arg(1),",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/gemm_long.ts",
    "release",
    [gemm, "predict"],
    ["a sum is long from one term too many on", "K > LONG", "K >= LONG"],
    ["float64 sums are long too", "sizeof<T>() == 4 && K > LONG", "K > LONG"],
    ["the sums are not cleared", "memory.fill(sums, 0, rest - sums);", "memory.fill(sums, 0, 8);"],
    ["the last chunk is a whole one", "const kc = min(K - k, CHUNK);", "const kc = CHUNK;"],
    [
      "parts of C go on from the first rows of a",
      "const partA = a + (i * rsa + k * csa) * size;",
      "const partA = a + k * csa * size;",
    ],
    [
      "parts of C go on from the first columns of b",
      "const partB = b + j * (inPanels ? K : csb) * size;",
      "const partB = b;",
    ],
    ["a chunk goes on from the first rows of b", "partB + k * rsb * size", "partB"],
    ["a panel's rows are those of the whole b", "if (inPanels) rsb = n;", "if (inPanels) rsb = N;"],
    ["the row is that of the first part", "row + j * size;", "row;"],
    ["parts are written over the first", "c + (i * ldc + j) * size, ldc", "c + j * size, ldc"],
    [
      "the upper half of a vector is the lower one",
      "v128.load64_zero(chunk, 8)",
      "v128.load64_zero(chunk)",
    ],
    [
      "the workspace has no room for the sums",
      "return 3 * roundUp(M * N, 4) + tileElements",
      "return roundUp(M * N, 4) + tileElements",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/gemm_4x1v_simd128.ts",
    "release",
    gemm,
    ["the third row is the second", "const r2 = r1 + (rows > 2 ? aRow : 0);", "const r2 = r1;"],
    [
      "a row too many is read",
      "const r3 = r2 + (rows > 3 ? aRow : 0);",
      "const r3 = r2 + (rows > 2 ? aRow : 0);",
    ],
    [
      "the last row's sums are stored as the third's",
      "v128.store(sums, c3, 48);",
      "v128.store(sums, c3, 32);",
    ],
    ["one step too few", "const end = K * aStep;", "const end = (K - 1) * aStep;"],
  ),
  ...mutantsOf(
    "assembly/blas/gemm_4x2v_rows_simd128.ts",
    "release",
    gemm,
    ["the fourth row is the third", "const r3 = r2 + (rows > 3 ? aRow : 0);", "const r3 = r2;"],
    ["one step too few", "const end = K * sizeof<T>();", "const end = (K - 1) * sizeof<T>();"],
  ),
  ...mutantsOf(
    "assembly/blas/gemm_4x2v_simd128.ts",
    "release",
    gemm,
    [
      "the next tile overlaps the last row of this one",
      "const cNext = MR() * ldc * sizeof<T>();",
      "const cNext = (MR() - 1) * ldc * sizeof<T>();",
    ],
    [
      "the second tile goes on in b where the first ended",
      "    b = firstB;\n",
      "    if (tiles == 0) b = firstB;\n",
    ],
    [
      "the addend of the first tile serves all",
      "const addendNext = MR() * ldAddend * sizeof<T>();",
      "const addendNext: usize = 0;",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/gemm_6x2v_relaxed_simd.ts",
    "relaxed",
    gemm,
    [
      "the second tile goes on in b where the first ended",
      "    b = firstB;\n",
      "    if (tiles == 0) b = firstB;\n",
    ],
    ["one step too few", "const end = a + K * aStep;", "const end = a + (K - 1) * aStep;"],
    [
      "rows five and six have no addend",
      "const addendStep = ldAddend * sizeof<T>();",
      "const addendStep: usize = 0;",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/gemv_1x8v_simd128.ts",
    "release",
    "predict",
    [
      "steps beyond whole fours are left out",
      "while (a != odd) {",
      "a = odd;\n  while (a != odd) {",
    ],
    ["the panel is not advanced by the odd steps", "    b += 128;\n", "    b += 112;\n"],
    [
      "the eighth vector is the seventh",
      "v128.store(sums, c7, 112);",
      "v128.store(sums, c6, 112);",
    ],
    [
      "a panel's last vector is read from the step before",
      "v128.load(b, 496)",
      "v128.load(b, 368)",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/gemv.ts",
    "release",
    [gemm, "predict"],
    ["the fourth row is the third", "let b3 = b2 + bStep;", "let b3 = b2;"],
    ["a's column stride is forgotten", "const aStep = csa * size;", "const aStep = size;"],
    [
      "the sums of the second block of K are added to the first's",
      "    clear<T>(work, M * N);\n",
      "    if (pc == 0) clear<T>(work, M * N);\n",
    ],
    [
      "columns of a tile are exchanged",
      "v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);\n  const high23",
      "v128.shuffle<f32>(r0, r1, 3, 7, 2, 6);\n  const high23",
    ],
    [
      "the fourth group of rows is the third",
      "s3 = addColumns<T>(s3, a + half + group, lda, x);",
      "s3 = addColumns<T>(s3, a + half, lda, x);",
    ],
    [
      "float64: the second of two steps is the first",
      "v128.load_splat<T>(x, 8), sum);\n  }\n",
      "v128.load_splat<T>(x), sum);\n  }\n",
    ],
  ),
  ...mutantsOf("assembly/blas/gemv.ts", "test", "blas/strides", [
    "the bias of a single row is not advanced",
    "const first = addend == 0 ? <usize>0 : addend + i * addendStep * size;",
    "const first = addend;",
  ]),
  ...mutantsOf("assembly/blas/ger.ts", "test", "blas/strides", [
    "a's stride is taken for 1",
    "a += inca * sizeof<T>();",
    "a += sizeof<T>();",
  ]),
  ...mutantsOf(
    "assembly/blas/ger.ts",
    "release",
    gemm,
    [
      "the bias is left out of the tail",
      "if (row != 0) s = v128.add<T>(s, loadTail<T>(row + j, rest));",
      "",
    ],
    [
      "the floor is forgotten in whole vectors with a bias",
      "v128.store(c + j, v128.pmax<T>(s, least));\n      }",
      "v128.store(c + j, s);\n      }",
    ],
    [
      "a product of zeros may be −0",
      "return multiplyAdd<T>(a, b, v128.splat<T>(0));",
      "return v128.mul<T>(a, b);",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/level1.ts",
    "release",
    "blas/level1",
    ["axpy leaves the tail out", "if (rest) addScaled<T>(a, x, y, rest);", ""],
    [
      "scal scales the tail twice",
      "v128.mul<T>(a, loadTail<T>(x, rest)), rest);",
      "v128.mul<T>(a, v128.mul<T>(a, loadTail<T>(x, rest))), rest);",
    ],
    ["dot forgets the elements beyond eight", "i < (n & 7)", "i < (n & 3)"],
    [
      "dot adds one of its four sums twice",
      "f64x2.add(f64x2.add(s01, s45), f64x2.add(s23, s67))",
      "f64x2.add(f64x2.add(s01, s45), f64x2.add(s23, s45))",
    ],
    [
      "dot multiplies in float32",
      "sum += <f64>load<T>(x + at) * <f64>load<T>(y + at);",
      "sum += <f64>(load<T>(x + at) * load<T>(y + at));",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/pack.ts",
    "release",
    [gemm, "predict"],
    [
      "a panel's missing vectors are not zeroed",
      "for (; i < W; i++) store<T>(panel + i * sizeof<T>(), 0);",
      "",
      "the sums that they enter are cut away by the edge tile, whatever is there: only NaN payloads of other tiles could pass, and they do not cross lanes",
    ],
    [
      "rows two and three change places",
      "v128.store(to + 2 * row, v128.shuffle<f64>(abHigh, cdHigh, 0, 2));",
      "v128.store(to + 2 * row, v128.shuffle<f64>(abHigh, cdHigh, 1, 3));",
    ],
    [
      "steps beyond a whole vector are not packed",
      "const whole = K & ~(LANES<T>() - 1);\n  const most",
      "const whole = K & ~(2 * LANES<T>() - 1);\n  const most",
      "steps that no vector takes are copied one by one, to the same panel: slower, not wrong",
    ],
    [
      "the one by one copy stays at its first step",
      "      from += sizeof<T>();\n      to += row;",
      "      to += row;",
    ],
    [
      "panels of weights lie one element apart",
      "const bytes = min(N - j, PW<T>()) * size;",
      "const bytes = (min(N - j, PW<T>()) - 1) * size;",
    ],
    [
      "a panel starts at the first column",
      "memory.copy(panels, b + (k * N + j) * size, bytes);",
      "memory.copy(panels, b + k * N * size, bytes);",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/pack.ts",
    "relaxed",
    gemm,
    [
      "rows five and six change places",
      "v128.store_lane<u64>(panel + row, low, 1);",
      "v128.store_lane<u64>(panel + row, high, 1);",
    ],
    [
      "the half vector of a step is left out",
      "if (RELAXED && whole < bytes) store<u64>(panel + whole, load<u64>(source + whole));",
      "",
    ],
  ),
  ...mutantsOf(
    "assembly/blas/tile.ts",
    "release",
    gemm,
    [
      "a tile's last row takes no floor",
      "v128.store(c, v128.pmax<T>(c31, least), 16);",
      "v128.store(c, c31, 16);",
    ],
    ["the third row takes the second's addend", "    addend += step;\n    c20", "    c20"],
    [
      "a NaN is cut to the floor",
      "v128.store(c, v128.pmax<T>(c00, least));",
      "v128.store(c, v128.pmax<T>(least, c00));",
    ],
    ["blocks of K of another length", "return 256;", "return 128;"],
  ),
  ...mutantsOf(
    "assembly/layers/affine.ts",
    "release",
    [gemm, "layers/affine"],
    [
      "dx multiplies by w instead of its transpose",
      "gemm<T>(dx, dout, M, 1, w, 1, M, 0,",
      "gemm<T>(dx, dout, M, 1, w, D, 1, 0,",
    ],
    [
      "dw takes dout's stride for x's",
      "gemm<T>(dw, x, 1, D, dout, M, 1, 0,",
      "gemm<T>(dw, x, 1, M, dout, M, 1, 0,",
    ],
    [
      "db is computed of x",
      "columnSum<T>(db, dout, work, N, M)",
      "columnSum<T>(db, x, work, N, M)",
    ],
    [
      "the bias is forgotten",
      "gemm<T>(out, x, D, 1, w, M, 1, b, floor,",
      "gemm<T>(out, x, D, 1, w, M, 1, 0, floor,",
    ],
    [
      "the workspace is that of dx alone",
      "return max(products, columnSumWorkBytes(M));",
      "return gemmWorkBytes<T>(N, D, M, 1);",
    ],
    [
      "a gradient that nobody asked for is written at address 0",
      "if (db != 0) columnSum",
      "if (true) columnSum",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/batchnorm.ts",
    "release",
    "layers/batchnorm",
    [
      "no eps",
      "const invstd = 1 / sqrt<f64>(variance + eps);",
      "const invstd = 1 / sqrt<f64>(variance);",
    ],
    [
      "eps outside of the root",
      "const invstd = 1 / sqrt<f64>(variance + eps);",
      "const invstd = 1 / (sqrt<f64>(variance) + eps);",
    ],
    [
      "the unbiased variance",
      "variance = load<f64>(invstds + (j << 3)) / <f64>N;",
      "variance = load<f64>(invstds + (j << 3)) / <f64>(N - 1);",
    ],
    [
      "the momentum of the running mean the other way round",
      "<T>(momentum * oldMean + (1 - momentum) * mean)",
      "<T>((1 - momentum) * oldMean + momentum * mean)",
    ],
    [
      "the momentum of the running variance the other way round",
      "<T>(momentum * oldVar + (1 - momentum) * variance)",
      "<T>((1 - momentum) * oldVar + momentum * variance)",
    ],
    [
      "chunks are joined without the distance of their means",
      "delta * delta * (<f64>start * share)",
      "0",
    ],
    [
      "the mean's share of a chunk",
      "const share = <f64>rows / <f64>(start + rows);",
      "const share = <f64>rows / <f64>N;",
    ],
    ["what rounding took below 0 stays", "if (newM2 < 0) newM2 = 0;", ""],
    [
      "overflowed squares are not looked at again",
      "if (load<f64>(s2 + (j << 3)) * 0 == 0) continue;",
      "continue;",
    ],
    ["a shift that is not finite", "v128.and(sum, v128.eq<T>(v128.sub<T>(sum, sum), zero))", "sum"],
    [
      "the lower part of the mean is lost",
      "<T>(<f64>load<T>(beta + column) - lowPart<T>(mean) * factor)",
      "<T>load<T>(beta + column)",
    ],
    [
      "an odd last row is computed twice, beyond the end",
      "const second = rows == 2 ? step : 0;\n  const x2 = x + second;\n  const out2",
      "const second = step;\n  const x2 = x + second;\n  const out2",
    ],
    [
      "test mode uses the batch",
      "mean = <f64>load<T>(runningMean + column);\n      variance",
      "mean = load<f64>(means + (j << 3));\n      variance",
    ],
    [
      "dgamma without 1 / std",
      "(load<f64>(products + (j << 3)) - low * sum) * invstd;",
      "load<f64>(products + (j << 3)) - low * sum;",
    ],
    ["dx without the mean of dout", "<T>(sum / <f64>N - low * weight)", "<T>(-low * weight)"],
    [
      "dx without the mean of dout · xNorm",
      "const weight = (invstd * gradGamma) / <f64>N;",
      "const weight: f64 = 0;",
    ],
    [
      "the backward's last rows are lost",
      "const fours = N & ~3;\n  for",
      "const fours = (N + 3) & ~3;\n  for",
    ],
    [
      "test mode's gradient as if the statistics were the batch's",
      "    if (training) {\n      gradientRows",
      "    if (true) {\n      gradientRows",
    ],
    [
      "test mode: the second of two rows is left",
      "if (rows == 2) scaleRow",
      "if (rows == 3) scaleRow",
    ],
    [
      "a strip reads the first strip's saved deviations",
      "const invstds = means + D * sizeof<f64>();\n  const sums",
      "const invstds = saved + D * sizeof<f64>();\n  const sums",
    ],
    [
      "a workspace of two sums",
      "const COLUMN_WORK: usize = 6 * sizeof<f64>();",
      "const COLUMN_WORK: usize = 2 * sizeof<f64>();",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/batchnorm.ts",
    "shared",
    "threads/kernels",
    [
      "all ranges of the moments work in one place",
      "const work = arg(3) + from * COLUMN_WORK;",
      "const work = arg(3);",
    ],
    [
      "a range of the moments is as wide as all of x",
      "const step = arg(5) * sizeof<T>();",
      "const step = columns * sizeof<T>();",
    ],
    [
      "the momentum is passed as eps",
      "        number(0),\n        number(1),\n        arg(10) != 0,",
      "        number(1),\n        number(1),\n        arg(10) != 0,",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/dropout.ts",
    "release",
    "layers/dropout",
    [
      "> for >= at the seeded mask",
      "const m = nextDouble(work) >= p ? scale : <T>0;",
      "const m = nextDouble(work) <= p ? scale : <T>0;",
    ],
    [
      "what stays is not scaled up",
      "v128.store(work, v128.splat<T>(<T>(1 / (1 - p))), 80);",
      "v128.store(work, v128.splat<T>(<T>1), 80);",
    ],
    [
      "the mask keeps what it should drop",
      "const m = v128.andnot(scale, drops);",
      "const m = v128.and(scale, drops);",
    ],
    ["the counter stands still between chunks", "counter += 4;", "counter += 0;"],
    [
      "the counter's upper word is dropped",
      "let counter = (<u64>counterHigh << 32) | <u64>counterLow;",
      "let counter = <u64>counterLow;",
    ],
    ["xoshiro rotates by ten", "s3 = rotateLeft(s3, 11);", "s3 = rotateLeft(s3, 10);"],
    ["the tail of one to three is not written", "if (count & 3) drop<T>", "if (count & 4) drop<T>"],
    [
      "float64: the upper two take the lower two's bits",
      "i64x2.extend_high_i32x4_s(drops)",
      "i64x2.extend_low_i32x4_s(drops)",
    ],
    [
      "the backward does not apply the mask to its tail",
      "v128.mul<T>(loadTail<T>(dout, rest), loadTail<T>(mask, rest))",
      "loadTail<T>(dout, rest)",
    ],
    [
      "p is taken as 1 − p",
      "<i32>(<i64>(p * 4294967296.0) - 2147483648)",
      "<i32>(<i64>(<f64>(1 - p) * 4294967296.0) - <i64>2147483648)",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/gelu.ts",
    "release",
    "layers/gelu",
    [
      "the tail's complement on the wrong side",
      "f64x2.lt(x, f64x2.splat(0))",
      "f64x2.gt(x, f64x2.splat(0))",
    ],
    ["the gradient without x · φ", "f64x2.sub(tailRatio<T>(a), scaled)", "tailRatio<T>(a)"],
    ["1 / √(2π) to seven digits", "0.3989422804014327", "0.3989423"],
  ),
  ...mutantsOf(
    "assembly/layers/leaky_relu.ts",
    "release",
    "layers/leaky_relu",
    [
      "the gradient at 0 is 1",
      "v128.gt<T>(x, v128.splat<T>(0))",
      "v128.ge<T>(x, v128.splat<T>(0))",
    ],
    [
      "the slope is not applied in the tail",
      "storeTail<T>(dx, leak<T>(loadTail<T>(dout, rest), loadTail<T>(x, rest), slope), rest)",
      "storeTail<T>(dx, loadTail<T>(dout, rest), rest)",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/normalize.ts",
    "release",
    "layers/normalize",
    [
      "the mean is added",
      "v128.sub<T>(loadLanes<T>(x + p, lanes), loadLanes<T>(mean + p, lanes))",
      "v128.add<T>(loadLanes<T>(x + p, lanes), loadLanes<T>(mean + p, lanes))",
    ],
    [
      "the gradient is multiplied by std",
      "const gradient = v128.div<T>",
      "const gradient = v128.mul<T>",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/relu.ts",
    "release",
    "layers/relu",
    [
      "−0 stays",
      "return v128.add<T>(v128.pmax<T>(x, zero), zero);",
      "return v128.pmax<T>(x, zero);",
    ],
    ["a NaN becomes 0", "v128.pmax<T>(x, zero)", "v128.pmax<T>(zero, x)"],
    [
      "the gradient at 0 passes",
      "v128.gt<T>(x, v128.splat<T>(0))",
      "v128.ge<T>(x, v128.splat<T>(0))",
    ],
    [
      "the backward's tail is left",
      "if (rest) storeTail<T>(dx, gate<T>",
      "if (rest == 5) storeTail<T>(dx, gate<T>",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/sigmoid.ts",
    "release",
    "layers/sigmoid",
    [
      "the gradient out · (1 + out)",
      "v128.mul<T>(out, v128.sub<T>(v128.splat<T>(1), out))",
      "v128.mul<T>(out, v128.add<T>(v128.splat<T>(1), out))",
    ],
    [
      "every tail is one lane",
      "const lanes = min(n - i, LANES<T>());",
      "const lanes = n - i < LANES<T>() ? 1 : LANES<T>();",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/softmax.ts",
    "release",
    "layers/softmax",
    ["rows are not divided by their sum", "scaleRow<T>(out, <T>(1 / sum), C);", ""],
    [
      "the backward without the mean",
      "v128.sub<T>(loadLanes<T>(dout + at, lanes), mean)",
      "loadLanes<T>(dout + at, lanes)",
    ],
    [
      "the backward stays at the first row of out",
      "    out += C * sizeof<T>();\n  }\n}\n\n/** dx",
      "    out += 0;\n  }\n}\n\n/** dx",
    ],
  ),
  ...mutantsOf(
    "assembly/layers/tanh.ts",
    "release",
    "layers/tanh",
    [
      "the gradient 1 − out",
      "v128.mul<T>(v128.sub<T>(one, out), v128.add<T>(one, out))",
      "v128.sub<T>(one, out)",
    ],
    [
      "digits are lost near ±1",
      "v128.mul<T>(v128.sub<T>(one, out), v128.add<T>(one, out))",
      "v128.sub<T>(one, v128.mul<T>(out, out))",
    ],
  ),
  ...mutantsOf(
    "assembly/losses/bce.ts",
    "release",
    "losses/bce",
    [
      "the lane beyond an odd end counts log 2",
      "lanes == 2 ? whole : v128.and(whole, i64x2(-1, 0))",
      "whole",
    ],
    ["large scores overflow", "exp<f64>(f64x2.neg(f64x2.abs(score)))", "exp<f64>(score)"],
    [
      "the gradient is not divided by n",
      "f64x2.mul(f64x2.add(one, e), count)",
      "f64x2.add(one, e)",
    ],
    [
      "small differences lose their digits",
      "f64x2.sub(f64x2.mul(p, f64x2.sub(one, target)), f64x2.mul(q, target))",
      "f64x2.sub(p, f64x2.mul(f64x2.add(one, e), target))",
    ],
  ),
  ...mutantsOf(
    "assembly/losses/mse.ts",
    "release",
    "losses/mse",
    ["the gradient without its 2", "f64x2.div(f64x2.add(d, d), count)", "f64x2.div(d, count)"],
    [
      "y − x",
      "f64x2.sub(loadF64x2<T>(x + at, lanes), loadF64x2<T>(y + at, lanes))",
      "f64x2.sub(loadF64x2<T>(y + at, lanes), loadF64x2<T>(x + at, lanes))",
    ],
  ),
  ...mutantsOf(
    "assembly/losses/softmax.ts",
    "release",
    "losses/softmax",
    [
      "the loss forgets the row's maximum",
      "(<f64>load<T>(x + row + label) - <f64>most)",
      "<f64>load<T>(x + row + label)",
    ],
    [
      "the gradient of a confident answer loses its digits",
      "<T>((atLabel - sum) / total)",
      "<T>(<T>(atLabel / total) - <T>(1 / <f64>N))",
    ],
    ["the gradient is not divided by N", "const total = sum * <f64>N;", "const total = sum;"],
    ["the labels' stride", "load<u32>(y + (n << 2))", "load<u32>(y + (n << 3))"],
  ),
  ...mutantsOf(
    "assembly/losses/svm.ts",
    "release",
    "losses/svm",
    [
      "the right class counts its own margin",
      "f64x2.ne(index, ownIndex)",
      "f64x2.eq(index, index)",
    ],
    [
      "the lane beyond an odd row counts",
      "f64x2.lt(index, f64x2.splat(<f64>C))",
      "f64x2.eq(index, index)",
    ],
    ["a margin of 0 has a gradient", "f64x2.gt(margin, zero)", "f64x2.ge(margin, zero)"],
    [
      "the right class' gradient is not the sum of the others'",
      "<T>((0 - positives) / <f64>N)",
      "<T>(-1 / <f64>N)",
    ],
    ["a NaN is passed over", "f64x2.pmax(margin, zero)", "f64x2.pmax(zero, margin)"],
  ),
  ...mutantsOf(
    "assembly/optim/adam.ts",
    "release",
    "optim/adam",
    ["no eps", "v128.add<T>(v128.sqrt<T>(power), floor)", "v128.sqrt<T>(power)"],
    ["eps before the correction of v", "<T>(eps * root2)", "<T>eps"],
    [
      "the first moment is not corrected",
      "(learningRate * root2) / correction1",
      "learningRate * root2",
    ],
    ["squares below the normal range", "square<T>(g)", "v128.mul<T>(g, g)"],
    ["the second moment is not corrected", "sqrt<f64>(correction2)", "1.0"],
    ["the decay passes by the rate", "<T>(learningRate * weightDecay)", "<T>weightDecay"],
    [
      "beta1 the other way round",
      "const f1 = v128.splat<T>(<T>(1 - beta1));",
      "const f1 = v128.splat<T>(<T>beta1);",
    ],
    ["v's pointer stands still", "    v += 16;\n    dw += 16;", "    dw += 16;"],
  ),
  ...mutantsOf(
    "assembly/optim/rmsprop.ts",
    "release",
    "optim/rmsprop",
    [
      "eps inside of the root",
      "v128.add<T>(v128.sqrt<T>(mean), eps)",
      "v128.sqrt<T>(v128.add<T>(mean, eps))",
    ],
    ["the moving mean is not kept", "storeLanes<T>(cache, mean, n);", ""],
    ["squares below the normal range", "square<T>(g)", "v128.mul<T>(g, g)"],
    ["the tail is left", "if (rest) step<T>(w, cache, dw, rate, decay, fresh, floor, rest);", ""],
  ),
  ...mutantsOf(
    "assembly/optim/sgd.ts",
    "release",
    "optim/sgd",
    [
      "uphill",
      "storeLanes<T>(w, v128.sub<T>(loadLanes<T>(w, n), step), n);",
      "storeLanes<T>(w, v128.add<T>(loadLanes<T>(w, n), step), n);",
    ],
    [
      "momentum of the velocity and the step",
      "v128.sub<T>(v128.mul<T>(momentum, loadLanes<T>(v, n)), step)",
      "v128.mul<T>(momentum, v128.sub<T>(loadLanes<T>(v, n), step))",
    ],
    [
      "Nesterov without the look ahead",
      "const move = nesterov ? v128.sub<T>(v128.mul<T>(momentum, velocity), step) : velocity;",
      "const move = velocity;",
    ],
    ["the velocity's tail", "if (rest) roll<T>(w, v, dw, rate, mu, nesterov, rest);", ""],
  ),
  ...mutantsOf(
    "assembly/math/cos.ts",
    "release",
    "math/cos",
    ["the third quarter has the first one's sign", "return quarter == 1 ? -s : s;", "return s;"],
    ["π/2 in two pieces", "const low = middle - turns * PI_2_LOW;", "const low = middle;"],
    ["the remainder's rounding is dropped", "const rest = (c - r) + low;", "const rest: f64 = 0;"],
    ["a term of sine is missing", "  s = s * z - 1.0 / 1307674368000.0;\n", ""],
  ),
  ...mutantsOf(
    "assembly/math/exp.ts",
    "test",
    "math/exp",
    ["ln 2 in one piece", "return v128.sub<T>(r, v128.mul<T>(n, ln2Low));", "return r;"],
    [
      "results below the normal range are cut",
      "const half = i32x4.shr_s(e, 1);",
      "const half = e;",
    ],
    [
      "a NaN is clamped",
      "v128.pmax<T>(v128.pmin<T>(x, most), least)",
      "v128.pmax<T>(least, v128.pmin<T>(most, x))",
    ],
    ["overflow comes too late", "<T>710 : <T>89", "<T>710 : <T>87"],
    ["a term is missing", "  p = horner<T>(p, r, 1.0 / 720.0);\n", ""],
  ),
  ...mutantsOf("assembly/math/exp.ts", "release", "layers/tanh", [
    "expm1 loses a small x",
    "multiplyAdd<T>(series, power, v128.sub<T>(power, v128.splat<T>(1)))",
    "v128.sub<T>(multiplyAdd<T>(series, power, power), v128.splat<T>(1))",
  ]),
  ...mutantsOf("assembly/math/horner.ts", "test", "math/exp", [
    "the coefficient is subtracted",
    "v128.splat<T>(<T>c)",
    "v128.splat<T>(<T>-c)",
  ]),
  ...mutantsOf(
    "assembly/math/log.ts",
    "test",
    "math/log",
    ["log(0) is NaN", "return x == 0 ? -Infinity : NaN;", "return NaN;"],
    ["subnormal numbers by a power too few", "k = -54;", "k = -53;"],
    ["the rounding error of s is dropped", "2 * sLow + ", ""],
    [
      "the border of the exponent is 1",
      "0x3ff0000000000000 - 0x3fe6a09e667f3bcd)",
      "0x3ff0000000000000 - 0x3fe6a09e667f3bce)",
    ],
    [
      "what the sum lost is dropped",
      "const lost = k == 0 ? 0 : (head - sum) + twoS;",
      "const lost: f64 = 0;",
    ],
  ),
  ...mutantsOf(
    "assembly/math/log1p.ts",
    "release",
    "losses/bce",
    ["a term is missing", "  p = horner<f64>(p, z, 2.0 / 5.0);\n", ""],
    ["s = e / (1 + e)", "f64x2.add(e, f64x2.splat(2))", "f64x2.add(e, f64x2.splat(1))"],
  ),
  ...mutantsOf(
    "assembly/math/normal.ts",
    "release",
    "layers/gelu",
    ["the exponent's rounding error is dropped", "f64x2.mul(low, half));", "f64x2.splat(0));"],
    ["a coefficient in its seventh digit", "-0.60789664197189176", "-0.60789654197189176"],
    [
      "float32's polynomial beyond its range",
      "a = f64x2.pmin(a, f64x2.splat(14.5));",
      "a = f64x2.pmin(a, f64x2.splat(39));",
      "from 14.5 on the tail is below the least float32, whatever its ratio is, and the polynomial stays bounded up to 39",
    ],
  ),
  ...mutantsOf(
    "assembly/math/reduce.ts",
    "release",
    ["losses/softmax", "layers/softmax", "math/argmax"],
    [
      "a NaN is a row's largest",
      "most = most < v ? v : most;",
      "most = most > v ? most : v;",
      "a row with a NaN comes out as NaN throughout, whichever maximum is taken off it",
    ],
    [
      "the last element is not looked at",
      "for (let j: usize = 0; j < C; j++) {\n    const v",
      "for (let j: usize = 0; j + 1 < C; j++) {\n    const v",
    ],
    ["argmax takes the last of equals", "if (v > most || (v != v", "if (v >= most || (v != v"],
    ["argmax takes the last NaN", "(v != v && most == most)", "v != v"],
    [
      "lanes beyond the row are added",
      "sum = addLanes<T>(sum, loadTail<T>(e + at, C - j));",
      "sum = addLanes<T>(sum, v);",
    ],
  ),
  ...mutantsOf(
    "assembly/math/sigmoid.ts",
    "release",
    "layers/sigmoid",
    [
      "the correction is left out",
      "return v128.bitselect(corrected, quotient, isNegative);",
      "return quotient;",
      "the error stays within the 2 ULP that are stated, at all points that the test tries",
    ],
    [
      "negative x get the positive's",
      "const numerator = v128.bitselect(e, one, isNegative);",
      "const numerator = one;",
    ],
  ),
  ...mutantsOf(
    "assembly/math/tanh.ts",
    "release",
    "layers/tanh",
    [
      "the sign is not put back",
      "return v128.or(result, v128.xor(x, magnitude));",
      "return result;",
    ],
    ["2|x| is cut off too early", "<T>20 : <T>10", "<T>20 : <T>7"],
    ["the correction is left out", "v128.bitselect(corrected, quotient, isSmall)", "quotient"],
  ),
  ...mutantsOf(
    "assembly/random/mt19937.ts",
    "release",
    "random/mt19937",
    ["a wrong middle word", "twist(state, N - 1, 0, M - 1);", "twist(state, N - 1, 0, M);"],
    [
      "the second normal value first",
      "store<f64>(state, f * x1, GAUSS);",
      "store<f64>(state, f * x2, GAUSS);",
    ],
    [
      "r² = 0 is taken",
      "r2 >= 1 || r2 == 0",
      "r2 >= 1",
      "both draws would have to be exactly ½, twice 2⁻⁵³: no seed is known that does it",
    ],
    ["a number above most is taken", "while (value > most);", "while (value > most + 1);"],
    [
      "the permutation from below",
      "for (let i = n; i > 1; i--) {",
      "for (let i = n; i > 2; i--) {",
    ],
    ["the tempering's mask", "0xefc60000", "0xefc40000"],
    ["53 bits from 52", "const b = next32(state) >> 6;", "const b = next32(state) >> 7;"],
  ),
  ...mutantsOf(
    "assembly/random/philox.ts",
    "test",
    "random/philox",
    ["six rounds", "const ROUNDS: i32 = 7;", "const ROUNDS: i32 = 6;"],
    ["the counter's carry is lost", "i32x4.lt_u(x0, i32x4.splat(c0))", "i32x4.splat(0)"],
    [
      "four lanes of one block",
      "i32x4.add(i32x4.splat(c0), i32x4(0, 1, 2, 3))",
      "i32x4.add(i32x4.splat(c0), i32x4(0, 1, 2, 2))",
    ],
    ["the key's words are exchanged", "let k0 = <u32>key;", "let k0 = <u32>(key >> 32);"],
    ["the second key stands still", "    k1 += WEYL_1;\n", ""],
  ),
  ...mutantsOf(
    "assembly/threads/queue.ts",
    "shared",
    ["threads/queue", "threads/pool"],
    ["the caller does not wait", "  join(q);\n}", "}"],
    [
      "the last task wakes nobody",
      "if (atomic.sub<i32>(q, 1, PENDING) == 1) atomic.notify(q + PENDING, 1);",
      "atomic.sub<i32>(q, 1, PENDING);",
      "the caller looks again after a nap of 100 ms: late, not wrong; test/threads/model.test.ts has it as a mistake of the protocol",
    ],
    [
      "two threads take one task",
      "const before = atomic.cmpxchg<i32>(q, remaining, remaining - 1, REMAINING);",
      "const before = remaining;\n    atomic.store<i32>(q, remaining - 1, REMAINING);",
    ],
    [
      "a failed worker is not heard",
      "    if (atomic.load<i32>(q, FAILED) != 0) unreachable();\n    if (load",
      "    if (load",
      "ten naps later, a second in all, the caller gives up by itself: late, not wrong",
    ],
    [
      "workers do not leave",
      "} else if (atomic.load<i32>(q, REMAINING) < 0) {",
      "} else if (atomic.load<i32>(q, REMAINING) < -1) {",
      "terminate() ends them wherever they are; that they leave by themselves is a kindness to hosts that count threads",
    ],
    [
      "task 0 is left out",
      "call_indirect<void>(load<u32>(q, TASK), <usize>(remaining - 1), thread);",
      "call_indirect<void>(load<u32>(q, TASK), <usize>remaining, thread);",
    ],
    ["a stuck worker is waited for for ever", "if (++naps == NAPS) unreachable();", "++naps;"],
  ),
  ...mutantsOf(
    "assembly/threads/split.ts",
    "shared",
    "threads/kernels",
    [
      "the second range begins an element early",
      "const from = task * each;",
      "const from = task * each - <usize>(task == 1);",
    ],
    ["the last range is lost", "(n + each - 1) / each);", "n / each);"],
    [
      "the last range is as long as the others",
      "from, min(n - from, each), thread);",
      "from, each, thread);",
    ],
    [
      "ranges of no whole units",
      "const each = max<usize>((RANGE / max<usize>(cost, 1)) & ~(unit - 1), unit);",
      "const each = max<usize>(RANGE / max<usize>(cost, 1), unit);",
    ],
    ["a range of nothing", "& ~(unit - 1), unit);", "& ~(unit - 1), 0);"],
    [
      "what little costs is split too",
      " || <u64>n * <u64>cost < WORTH * RANGE || threads() < 2",
      " || threads() < 2",
    ],
    [
      "what costs much stays on one thread",
      "if (n < FEW * each || ",
      "if (n < 64 * FEW * each || ",
    ],
    [
      "a range is split once more, in its own job",
      "if (n < FEW * each || <u64>n * <u64>cost < WORTH * RANGE || threads() < 2) return false;",
      "if (<u64>n * <u64>cost < RANGE / 2 || threads() < 2) return false;",
    ],
    ["one thread posts jobs too", " || threads() < 2) return false;", ") return false;"],
    ["the fourth word is the third", "store<u32>(w, d, 12);", "store<u32>(w, c, 12);"],
    [
      "the eleventh word lies where the tenth does",
      "store<u32>(w, k, 40);",
      "store<u32>(w, k, 36);",
    ],
    ["the second number is the first", "store<f64>(w, b, 8);", "store<f64>(w, a, 8);"],
    ["the sixth number is left out", "  store<f64>(w, f, 40);\n", ""],
    [
      "a range's address is moved by bytes",
      "arg(i) + elements * sizeof<T>();",
      "arg(i) + elements;",
    ],
    [
      "the first term is added twice",
      "for (let p = terms(); p != end; p += 8)",
      "sum += load<f64>(terms());\n  for (let p = terms(); p != end; p += 8)",
    ],
  ),
  ...mutantsOf("assembly/threads/split.ts", "shared", "threads/pool", [
    "ranges do not know their thread",
    "min(n - from, each), thread);",
    "min(n - from, each), 0);",
  ]),
  ...mutantsOf(
    "assembly/predict.ts",
    "release",
    "predict",
    [
      "the floor is ignored",
      "gemmPanels<T>(out, x, a, b, <T>value, work, N, M, D);",
      "gemmPanels<T>(out, x, a, b, <T>-Infinity, work, N, M, D);",
    ],
    [
      "softmax over all of an example",
      "softmaxForward<T>(out, x, (N * D) / M, M);",
      "softmaxForward<T>(out, x, N, D);",
    ],
    [
      "the constants of a batch normalisation change places",
      "batchnormApply<T>(out, x, a, b, c, N, D);",
      "batchnormApply<T>(out, x, a, c, b, N, D);",
    ],
    ["only the first operation runs", "operations += OPERATION) {", "operations = end) {"],
  ),
  ...mutantsOf(
    "assembly/predict.ts",
    "all",
    "nn/predictor",
    ["GELU as sigmoid", "geluForward<T>(out, x, N * D);", "sigmoidForward<T>(out, x, N * D);"],
    [
      "leaky ReLU as ReLU",
      "leakyReluForward<T>(out, x, N * D, value);",
      "reluForward<T>(out, x, N * D);",
    ],
    [
      "tanh of the first example alone",
      "tanhForward<T>(out, x, N * D);",
      "tanhForward<T>(out, x, D);",
    ],
    [
      "sigmoid of the first example alone",
      "sigmoidForward<T>(out, x, N * D);",
      "sigmoidForward<T>(out, x, D);",
    ],
  ),
  ...mutantsOf(
    "assembly/predict_core.ts",
    "predict",
    ["io/predictor", "imports"],
    [
      "the serving core answers with float64's kernel",
      'export { heap_base, predict_f32, predict_pack_f32, predict_work_bytes_f32 } from "./index";',
      'export { heap_base, predict_f64 as predict_f32, predict_pack_f32, predict_work_bytes_f32 } from "./index";',
    ],
  ),
  ...mutantsOf(
    "assembly/shared.ts",
    "shared",
    "threads/pool",
    [
      "the queue is never closed",
      "  closeQueue();\n",
      "",
      "terminate() ends the workers wherever they are",
    ],
    [
      "nobody hears of a failed worker",
      "  failQueue();\n",
      "",
      "ten naps later, a second in all, the caller gives up by itself: late, not wrong",
    ],
    [
      "one thread more than there are",
      "openQueue(threads, may_sleep);",
      "openQueue(threads + 1, may_sleep);",
      "strips are cut for one thread more, and the workspace with them: the same bits, a little slower",
    ],
  ),
  ...mutantsOf(
    "assembly/index.ts",
    "release",
    [gemm, "layers/batchnorm", "random/mt19937"],
    [
      "the float32 layer with ReLU has no floor",
      "affineForward<f32>(out, x, w, b, 0, work, N, D, M);",
      "affineForward<f32>(out, x, w, b, <f32>-Infinity, work, N, D, M);",
    ],
    [
      "the float64 layer with ReLU has no floor",
      "affineForward<f64>(out, x, w, b, 0, work, N, D, M);",
      "affineForward<f64>(out, x, w, b, -Infinity, work, N, D, M);",
    ],
  ),

  // The facade.
  ...mutantsOf(
    "src/runtime/allocator.ts",
    "none",
    "runtime/allocator",
    [
      "blocks of a unit less than asked for",
      "const size = Math.ceil(bytes / UNIT);\n    const block",
      "const size = Math.floor(bytes / UNIT);\n    const block",
    ],
    [
      "freed neighbours below are not joined",
      "if (lower?.free) {",
      "if (lower?.free && lower.size < 0) {",
    ],
    [
      "the peak is never raised",
      "if (this.bytesLive > this.bytesPeak) this.bytesPeak = this.bytesLive;",
      "",
    ],
    [
      "a bin that is empty stays in the bitmap",
      "if (!next) (this.bitmap[bin >>> 5] as number) &= ~(1 << (bin & 31));",
      "",
    ],
    ["the rest of a split block is lost", "      this.insert(rest);\n", ""],
    [
      "a bin is taken for one that fits",
      "const bin = binOf(roundToBin(size));",
      "const bin = binOf(size);",
    ],
    [
      "growth forgets the free tail",
      "const tail = this.last?.free ? this.last.size : 0;",
      "const tail = 0;",
    ],
  ),
  ...mutantsOf(
    "src/runtime/memory.ts",
    "none",
    "runtime/memory",
    [
      "the last line below 4 GiB is given out",
      "const HIGHEST = 2 ** 32 - 64;",
      "const HIGHEST = 2 ** 32;",
    ],
    ["growth beyond what was allowed", "if (needed > room) break;", ""],
    [
      "where a large step is refused, the small one is not tried",
      "for (const pages of [Math.max(needed, Math.ceil(step / PAGE)), needed]) {",
      "for (const pages of [Math.max(needed, Math.ceil(step / PAGE))]) {",
    ],
    [
      "closing leaves the views alive",
      "this.wasm.grow(0); // which detaches the buffer, where it is not shared",
      "",
    ],
  ),
  ...mutantsOf(
    "src/runtime/pool.ts",
    "all",
    ["threads/start", "threads/pool"],
    [
      "a worker that dies goes unnoticed",
      "if (!this.hasEnded) this.onLoss(`worker ${thread} has ended: ${reason}`);",
      "",
    ],
    ["one worker too few", "thread <= size; thread++", "thread < size; thread++"],
    [
      "the crew is there a worker early",
      "if (--missing > 0) return;",
      "if (--missing > 1) return;",
    ],
    [
      "closing leaves the workers running",
      "for (const worker of this.workers) worker.terminate();",
      "",
    ],
    ["workers keep the process alive", "for (const worker of this.workers) worker.begin();", ""],
  ),
  ...mutantsOf(
    "src/tensor/operands.ts",
    "none",
    "errors",
    [
      "a disposed tensor is taken",
      "if (value.disposed) throw new DisposedError(`${operation}: ${name} has been disposed`);",
      "",
    ],
    [
      "tensors of two runtimes are mixed",
      "if (tensor.runtime !== first.runtime) {",
      "if (tensor.runtime === null) {",
    ],
    [
      "dtypes are mixed",
      "if (tensor.dtype !== first.dtype) {",
      'if (tensor.dtype === ("" as never)) {',
    ],
    [
      "two destinations may be one",
      "    for (let k = i + 1; k < destinations.length; k++) {",
      "    for (let k = i + 2; k < destinations.length; k++) {",
    ],
    [
      "a destination may be an operand",
      "    for (let k = 0; k < operands.length; k++) {",
      "    for (let k = 1; k < operands.length; k++) {",
    ],
    ["a label of C is taken", "label >= 0 && label < C", "label >= 0 && label <= C"],
    ["a label of −1 is taken", "label >= 0 && label < C", "label >= -1 && label < C"],
    ["a cache whose tensors are gone is taken", "if (!cache.holdsAll()) {", "if (false) {"],
    ["as many labels as you like", "if (labels.length !== N) {", "if (labels.length < N) {"],
  ),
  ...mutantsOf(
    "src/tensor/storage.ts",
    "none",
    ["tensor/storage", "tensor/scope"],
    [
      "the first handle that goes takes the block",
      "if (this.lease.handles === 0) this.books.returnBlock(this.lease);",
      "if (this.lease.handles <= 1) this.books.returnBlock(this.lease);",
    ],
    ["nothing comes back by the finalizer", "            this.returnBlock(lease);\n", ""],
    ["forgotten handles stay counted", "this.tensors -= lease.handles;", ""],
    ["a block is given back twice", "    lease.block = null;\n", ""],
  ),
  ...mutantsOf(
    "src/tensor/scope.ts",
    "none",
    "tensor/scope",
    [
      "a result's Map is not looked into",
      "if (value instanceof Map) return [...value.keys(), ...value.values()];",
      "",
    ],
    ["a result goes nowhere", "if (this.parent) this.parent.add(resource);", ""],
    ["a cyclic result is walked for ever", "    seen.add(value);\n", ""],
  ),
  ...mutantsOf(
    "src/io/safetensors.ts",
    "none",
    ["io/safetensors", "io/fuzz"],
    ["a hole between tensors", "if (begin !== covered) {", "if (begin < covered) {"],
    ["tensors overlap", "if (begin !== covered) {", "if (begin > covered) {"],
    [
      "bytes behind the last tensor",
      "if (covered !== file.length - dataStart) {",
      "if (covered > file.length - dataStart) {",
    ],
    [
      "a size that a double cannot count",
      "if (!Number.isSafeInteger(length) || !Number.isSafeInteger(size)) return -1;",
      "",
    ],
    [
      "the header's length by its lower half",
      "view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true)",
      "view.getUint32(0, true)",
    ],
    [
      "a target is half written when a number is refused",
      "if (/U32|[IU]64/.test(this.dtype)) this.eachChunk(operation, dtype, () => {});",
      "",
    ],
    [
      "a shape of another size than its bytes",
      "if (size * bits[dtype] !== (end - begin) * 8) {",
      "if (size * bits[dtype] > (end - begin) * 8) {",
    ],
  ),
  ...mutantsOf(
    "src/io/scanner.ts",
    "none",
    ["io/safetensors", "io/fuzz"],
    ["a key twice", "if (keys.has(key)) throw", 'if (keys.has(key) && key === "") throw'],
    [
      "something behind the header",
      'if (this.peek() !== "") throw this.unexpected("nothing more");',
      "",
    ],
    [
      "half a surrogate pair in a name",
      "if (!/\\p{Surrogate}/u.test(value)) return value;",
      "return value;",
    ],
  ),
  ...mutantsOf(
    "src/io/torch.ts",
    "none",
    ["io/model", "io/safetensors", "nn/resume"],
    [
      "weights are not transposed",
      "to[d * M + m] = from[m * D + d] as number;",
      "to[d * M + m] = from[d * M + m] as number;",
    ],
    [
      "a prefix is not taken off",
      "name: isOurs ? name.slice(prefix.length)",
      "name: isOurs ? name",
    ],
  ),
  ...mutantsOf(
    "src/nn/program.ts",
    "none",
    ["nn/predictor", "io/predictor"],
    [
      "no eps in what is folded",
      "gamma / Math.sqrt((variance[j] as number) + (eps as number))",
      "gamma / Math.sqrt(variance[j] as number)",
    ],
    [
      "the bias is not folded",
      "(b - (m[j] as number)) * (f[j] as number)",
      "b - (m[j] as number) * (f[j] as number)",
    ],
    [
      "a batch normalisation behind ReLU is folded below it",
      "below?.kind === kinds.affine && below.value === -Infinity",
      "below?.kind === kinds.affine",
    ],
    [
      "weights are scaled by row",
      "w * (f[k % columns] as number)",
      "w * (f[Math.floor(k / columns) % f.length] as number)",
    ],
  ),
  ...mutantsOf(
    "src/nn/network.ts",
    "none",
    ["nn/sequential", "nn/trainer"],
    [
      "the buffer that a layer needs again is written over",
      "if (!layer.overwrites || before?.readsOut) at = make(N, layer.outSize);",
      "if (!layer.overwrites) at = make(N, layer.outSize);",
    ],
    [
      "gradients do not take turns",
      "if (!layer.overwritesGradient) turn = turn === 0 ? 1 : 0;",
      "",
    ],
    [
      "the plan is too narrow by a layer",
      "for (let i = 1; i < layers.length; i++)\n        widest",
      "for (let i = 2; i < layers.length; i++)\n        widest",
    ],
  ),
  ...mutantsOf(
    "src/nn/optimizers.ts",
    "none",
    ["nn/trainer", "errors"],
    ["momentum by Nesterov's kernel", "kernels.sgd_momentum(w,", "kernels.sgd_nesterov(w,"],
    [
      "AdamW without its decay",
      "correction1, correction2, weightDecay);",
      "correction1, correction2, 0 * weightDecay);",
    ],
    [
      "beta1 of 1 is taken",
      'const moments = { beta1: "less",',
      'const moments = { beta1: "share",',
    ],
  ),
  ...mutantsOf(
    "src/nn/trainer.ts",
    "none",
    ["nn/trainer", "nn/resume"],
    ["l2 without its half", "loss += 0.5 * l2 * squares;", "loss += l2 * squares;"],
    [
      "l2 is not in the gradient",
      "kernels.axpy(value.size, l2, value.address, gradient.address);",
      "",
    ],
    ["gradients are stretched to the norm as well", "if (scale < 1) {", "if (scale !== 1) {"],
    [
      "Adam's powers lag a step behind",
      "update.correction1 = 1 - this.power1;",
      "update.correction1 = 1 - this.power1 / ((optimizer as { beta1?: number }).beta1 ?? 1);",
    ],
    ["patience is one epoch more", "return run.stale >= patience;", "return run.stale > patience;"],
    [
      "an epoch's mean is that of its last step",
      "run.lossSum += N * loss;",
      "run.lossSum = (run.examples) * loss;",
    ],
    [
      "an epoch that goes on begins at its first example",
      "for (let start = run.examples; start < x.count;",
      "for (let start = 0; start < x.count;",
    ],
    ["an aborted fit goes on", "signal?.throwIfAborted();", ""],
    [
      "the checkpoint forgets dropout's place",
      'stream.counter = whole("dropout.counter", counter);',
      "",
    ],
    [
      "a resume that fails leaves its model",
      "      model.dispose();\n      throw error;",
      "      throw error;",
    ],
  ),
  ...mutantsOf(
    "src/nn/schedules.ts",
    "none",
    ["nn/trainer", "nn/resume"],
    [
      "the last step of a line is its end",
      "1 - t / steps : (1 + cos",
      "1 - (t + 1) / steps : (1 + cos",
    ],
    [
      "warming up begins at 0",
      "(rateAt(after, 0, cos) * (t + 1)) / steps",
      "(rateAt(after, 0, cos) * t) / steps",
    ],
    [
      "what comes after the warming up does not begin anew",
      "rateAt(after, t - steps, cos)",
      "rateAt(after, t, cos)",
    ],
  ),
  ...mutantsOf(
    "src/nn/losses.ts",
    "none",
    ["nn/trainer", "nn/sequential"],
    ["a score of 0 is a yes", "(scores[i] as number) > 0 ===", "(scores[i] as number) >= 0 ==="],
    ["targets above 1 are taken", "if (value < 0 || value > 1) {", "if (value < 0) {"],
    [
      "svm by softmax",
      "kernels.svm_loss(dscores.address, scores.address, labels.address, N, outSize)",
      "kernels.softmax_loss(dscores.address, scores.address, labels.address, 0, N, outSize)",
    ],
  ),
  ...mutantsOf(
    "src/nn/state.ts",
    "none",
    ["nn/sequential", "io/model"],
    [
      "tensors too many are passed over",
      "if (!names.has(name)) problems.push",
      'if (name === "") problems.push',
    ],
    [
      "dtypes are not compared",
      "entry.dtype !== dtype && !alsoTaken.includes(entry.dtype)",
      "false",
    ],
  ),
  ...mutantsOf(
    "src/layers/affine.ts",
    "none",
    ["layers/affine", "errors"],
    ["w of other features is taken", "if (rows !== D) {", "if (rows < D) {"],
    ["a bias of another length is taken", "if (bs.size !== M) {", "if (bs.size < M) {"],
  ),
  ...mutantsOf(
    "src/nn/initializers.ts",
    "none",
    ["nn/sequential", "nn/trainer"],
    [
      "He by the features out",
      "normal(Math.sqrt(2 / fans(shape)[0]))",
      "normal(Math.sqrt(2 / fans(shape)[1]))",
    ],
    ["Xavier without the 2", "normal(Math.sqrt(2 / (D + M)))", "normal(Math.sqrt(1 / (D + M)))"],
    [
      "uniform on [0, high − low)",
      "scaled(random.rand(shape).data, high - low, low)",
      "scaled(random.rand(shape).data, high - low)",
    ],
  ),
];
