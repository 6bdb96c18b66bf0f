// @ts-check
// How fast is a matrix product, forward and both backward, through the facade?

import { RELAXED, TWO_THREADS } from "./contenders/lamella.js";
import { disposeAll, field } from "./support/field.js";
import { PEAK_FLOP, peakContender } from "./support/limits-core.js";
import { figure, race, ratio } from "./support/measure.js";
import { uniform } from "./support/numbers.js";
import { digits, printTable, spread } from "./support/table.js";

const PEAK = "128-bit peak";
const RELAXED_PEAK = "128-bit relaxed peak";

const EDGES = [1, 3, 10, 100];
const TILE = { M: 4, N: 8 };
/** The sides that are not at an edge. */
const INSIDE = 256;

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
  const peaks = [peakContender(limits.strict, PEAK)];
  if (limits.relaxed) peaks.push(peakContender(limits.relaxed, RELAXED_PEAK));
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
      const figures = await race([...contenders, ...peaks], profile);
      await disposeAll(contenders);
      const flop = 2 * M * N * K;
      /** How much of a peak somebody reaches. */
      const ofPeak = (/** @type {string} */ peak, /** @type {string} */ name) => {
        if (!figures[peak] || !figures[name]) return undefined;
        const atPeak = figure(figures[peak].times.map((t) => (t * flop) / PEAK_FLOP));
        return ratio(atPeak, figures[name]);
      };
      const { Lamella } = figures;
      products.push({
        ...{ group, M, N, K, direction },
        gflops: Object.fromEntries(contenders.map(({ name }) => [name, rate(flop, figures[name])])),
        timesLamella: Object.fromEntries(
          Lamella ? contenders.map(({ name }) => [name, ratio(figures[name], Lamella)]) : [],
        ),
        ofPeak: ofPeak(PEAK, "Lamella"),
        relaxedOfPeak: ofPeak(RELAXED_PEAK, RELAXED),
        twoThreads:
          Lamella && figures[TWO_THREADS] ? ratio(Lamella, figures[TWO_THREADS]) : undefined,
      });
    }
  }

  const names = participants.filter(({ product }) => product).map(({ name }) => name);
  printTable(
    "Matrix products x (M, K) · w (K, N), GFLOP/s, median; a dash: does not train",
    ["M × N × K", "", ...names, "of the 128-bit peak", "relaxed, of the relaxed peak"],
    products.map(({ M, N, K, direction, gflops, ofPeak, relaxedOfPeak }) => [
      `${M} × ${N} × ${K}`,
      direction,
      ...names.map((name) => digits(gflops[name]?.median)),
      ...[ofPeak, relaxedOfPeak].map((of) => (of ? `${(100 * of.median).toFixed(0)} %` : "–")),
    ]),
  );
  printTable(
    "Two threads over one, median (quartiles) of the rounds",
    ["M × N × K", "", "×"],
    products
      .filter(({ twoThreads }) => twoThreads)
      .map(({ M, N, K, direction, twoThreads }) => [
        `${M} × ${N} × ${K}`,
        direction,
        spread(twoThreads),
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
 * What a FLOP costs where one side of a product is at the edge of a tile, beside what it costs where that side is
 * rounded up to whole tiles.
 *
 * @param {import("./support/field.js").Context} context
 */
async function edges({ participants, profile }) {
  const [{ product }] = participants;
  /** @type {{ direction: Direction, side: "M" | "N", size: number, cost: import("./support/measure.js").Spread }[]} */
  const rows = [];
  for (const direction of /** @type {Direction[]} */ (["forward", "dx", "dw"])) {
    for (const [side, tile] of /** @type {["M" | "N", number][]} */ (Object.entries(TILE))) {
      for (const size of EDGES) {
        const contenders = [];
        const rounded = Math.ceil(size / tile) * tile;
        for (const [name, length] of /** @type {[string, number][]} */ ([
          ["edge", size],
          ["whole", rounded],
        ])) {
          const { M, N, K } = { ...{ M: INSIDE, N: INSIDE, K: INSIDE }, [side]: length };
          const contender = await product?.(productOf(M, N, K, direction));
          if (contender) contenders.push({ ...contender, name });
        }
        const { edge, whole } = await race(contenders, {
          ...profile,
          warm: profile.warm / 3,
          sample: profile.sample / 2,
        });
        await disposeAll(contenders);
        const perFlop = figure(edge.times.map((t) => (t * rounded) / size));
        rows.push({ direction, side, size, cost: ratio(perFlop, whole) });
      }
    }
  }
  printTable(
    `A FLOP at the edge of a tile over one at the size rounded up (M to ${TILE.M}, N to ${TILE.N}), the other sides ${INSIDE}, Lamella`,
    ["", ...EDGES.map(String)],
    rows
      .filter(({ size }) => size === EDGES[0])
      .map(({ direction, side }) => [
        `${direction}, ${side}`,
        ...rows
          .filter((row) => row.direction === direction && row.side === side)
          .map(({ cost }) => digits(cost.median)),
      ]),
  );
  return rows;
}
