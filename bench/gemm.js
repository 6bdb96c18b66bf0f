// @ts-check
// How fast is a matrix product, forward and both backward, through the facade?

import { disposeAll, field } from "./support/field.js";
import { PEAK_FLOP, peakContender } from "./support/limits-core.js";
import { figure, race, ratio } from "./support/measure.js";
import { uniform } from "./support/numbers.js";
import { digits, printTable, spread } from "./support/table.js";

const PEAK = "128-bit peak";

const EDGES = [1, 3, 10, 100];
const TILE = { M: 4, N: 8 };

/** @typedef {"forward" | "dx" | "dw"} Direction */
/** @typedef {{ group: string, M: number, N: number, K: number, directions: Direction[] }} Case */

/**
 * @param {boolean} quick
 * @returns {Case[]}
 */
function cases(quick) {
  /** @type {Direction[]} */
  const all = ["forward", "dx", "dw"];
  const squares = quick ? [64, 128, 256, 512] : [64, 128, 256, 512, 1024];
  const thin = /** @type {Direction[]} */ (quick ? ["forward"] : all);
  return [
    ...squares.map((n) => ({
      group: "square",
      ...{ M: n, N: n, K: n },
      directions: /** @type {Direction[]} */ (quick && n !== 512 ? ["forward"] : all),
    })),
    { group: "layer", M: 128, N: 512, K: 784, directions: ["forward", "dw"] }, // the input needs no gradient
    { group: "layer", M: 128, N: 256, K: 512, directions: all },
    { group: "layer", M: 128, N: 10, K: 256, directions: all },
    ...EDGES.map((M) => ({ group: "thin", M, N: 512, K: 256, directions: thin })),
    ...EDGES.map((N) => ({ group: "thin", M: 256, N, K: 512, directions: thin })),
    ...EDGES.map((K) => ({ group: "thin", M: 256, N: 512, K, directions: thin })),
  ];
}

/**
 * @param {number} M
 * @param {number} N
 * @param {number} K
 * @param {Direction} direction
 */
const productOf = (M, N, K, direction) => ({
  ...{ M, N, K, direction },
  x: uniform(M * K, 1),
  w: uniform(K * N, 2),
  dout: uniform(M * N, 3),
});

/** @param {import("./support/field.js").Context} context */
export async function run(context) {
  const { profile, quick, limits, participants } = context;
  const peak = peakContender(limits.strict, PEAK);
  const products = [];
  for (const { group, M, N, K, directions } of cases(quick)) {
    for (const direction of directions) {
      const work = productOf(M, N, K, direction);
      const contenders = await field(
        context,
        `gemm ${M}×${K} · ${K}×${N} ${direction}`,
        (participant) => participant.product?.(work),
        1e-5, // float32 sums of up to 1,024 terms in another order
      );
      const figures = await race([...contenders, peak], profile);
      await disposeAll(contenders);
      const flop = 2 * M * N * K;
      const peakPerFlop = figure(figures[PEAK].times.map((t) => (t * flop) / PEAK_FLOP));
      const { Lamella } = figures;
      products.push({
        ...{ group, M, N, K, direction },
        gflops: Object.fromEntries(contenders.map(({ name }) => [name, rate(flop, figures[name])])),
        timesLamella: Object.fromEntries(
          Lamella ? contenders.map(({ name }) => [name, ratio(figures[name], Lamella)]) : [],
        ),
        ofPeak: Lamella && ratio(peakPerFlop, Lamella),
      });
    }
  }

  const names = participants.filter(({ product }) => product).map(({ name }) => name);
  printTable(
    "Matrix products x (M, K) · w (K, N), GFLOP/s, median; a dash: does not train",
    ["M × N × K", "", ...names, "of the 128-bit peak"],
    products.map(({ M, N, K, direction, gflops, ofPeak }) => [
      `${M} × ${N} × ${K}`,
      direction,
      ...names.map((name) => digits(gflops[name]?.median)),
      ofPeak ? `${(100 * ofPeak.median).toFixed(0)} %` : "–",
    ]),
  );
  const square = products.find(({ M, direction }) => M === 512 && direction === "forward");
  if (square) {
    printTable(
      "512³ forward, how many times as fast Lamella is, median (quartiles) of the rounds",
      ["", "×"],
      Object.entries(square.timesLamella)
        .filter(([name]) => name !== "Lamella")
        .map(([name, value]) => [name, spread(value)]),
    );
  }
  return { products, edges: await edges(context) };
}

/**
 * @param {number} flop
 * @param {import("./support/measure.js").Figure} figure
 */
const rate = (flop, { median, best }) => ({
  median: flop / median / 1e9,
  best: flop / best / 1e9,
});

/**
 * What a size at the edge of a tile costs beside the size rounded up to whole tiles.
 *
 * @param {import("./support/field.js").Context} context
 */
async function edges({ participants, profile }) {
  const round = (/** @type {number} */ n, /** @type {number} */ to) => Math.ceil(n / to) * to;
  const [{ product }] = participants;
  /** @type {{ M: number, N: number, K: number, cost: import("./support/measure.js").Spread }[]} */
  const rows = [];
  for (const K of EDGES) {
    const pairs = EDGES.flatMap((M) =>
      EDGES.map((N) => ({ M, N, whole: [round(M, TILE.M), round(N, TILE.N)] })),
    );
    const sizes = new Map(
      pairs.flatMap(({ M, N, whole }) => [[M, N], whole].map((s) => [`${s}`, s])),
    );
    const contenders = [];
    for (const [name, [M, N]] of sizes) {
      const contender = await product?.(productOf(M, N, K, "forward"));
      if (contender) contenders.push({ ...contender, name });
    }
    const figures = await race(contenders, {
      ...profile,
      warm: profile.warm / 3,
      sample: profile.sample / 4,
    });
    await disposeAll(contenders);
    for (const { M, N, whole } of pairs) {
      rows.push({ M, N, K, cost: ratio(figures[`${[M, N]}`], figures[`${whole}`]) });
    }
  }
  printTable(
    `Time of M × N × K over that of M and N rounded up to ${TILE.M} and ${TILE.N}, forward, Lamella`,
    ["M × N", ...EDGES.map((K) => `K ${K}`)],
    EDGES.flatMap((M) =>
      EDGES.map((N) => [
        `${M} × ${N}`,
        ...EDGES.map((K) =>
          digits(rows.find((row) => row.M === M && row.N === N && row.K === K)?.cost.median),
        ),
      ]),
    ),
  );
  return rows;
}
