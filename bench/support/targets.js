// @ts-check
// The targets, and what a run on one Node says of them. They were set on another machine (AMD Zen 3); see README.md.

import { digits, spread } from "./table.js";

/**
 * @template {(...args: any) => any} F
 * @typedef {NonNullable<Awaited<ReturnType<F>>>} Answer
 */

/**
 * What the questions have answered; those that were not asked are absent.
 *
 * @typedef {Partial<{
 *   limits: Answer<import("../limits.js")["run"]>,
 *   memory: Answer<import("../memory.js")["run"]>,
 *   gemm: Answer<import("../gemm.js")["run"]>,
 *   mlp: Answer<import("../mlp.js")["run"]>,
 *   train: Answer<import("../train.js")["run"]>,
 *   elementwise: Answer<import("../elementwise.js")["run"]>,
 *   facade: Answer<import("../facade.js")["run"]>,
 *   load: Answer<import("../load.js")["run"]> | null,
 * }>} Results
 *
 * @typedef {object} Verdict
 * @property {string} what
 * @property {string} target
 * @property {string} measured
 * @property {"met" | "missed" | "not measured"} verdict
 *
 * @typedef {{ median: number, low?: number, high?: number }} Value
 */

/** How many times as fast as native onnxruntime-node the compiled predictor is to be at batch 1. */
/** @type {[network: string, limit: number][]} */
const BATCH_1 = [
  ["64-32-16-4", 15],
  ["784-128-10", 3],
  ["784-512-256-10", 1.5],
];
const WASM_PEERS = ["tfjs-wasm", "onnxruntime-web"];

/**
 * @param {Results} results
 * @param {number} major Of Node
 */
export function judge(results, major) {
  const isNew = major >= 22; // whose compiler spills less
  /** @type {Verdict[]} */
  const verdicts = [];
  /** @param {{ what: string, sign: "≥" | "≤", limit: number, value: Value | undefined, unit?: string, note?: string }} target */
  const add = ({ what, sign, limit, value, unit = " ×", note = "" }) => {
    const target = `${sign} ${limit}${unit}`;
    if (!value) return later(what, target, "not in this run");
    const { median, low = median, high = median } = value;
    const isMet = sign === "≥" ? median >= limit : median <= limit;
    const shown = low === high ? digits(median) : spread({ median, low, high });
    verdicts.push({
      ...{ what, target, measured: `${shown}${unit}${note}` },
      verdict: isMet ? "met" : "missed",
    });
  };
  const later = (
    /** @type {string} */ what,
    /** @type {string} */ target,
    /** @type {string} */ reason,
  ) => {
    verdicts.push({ what, target, measured: reason, verdict: "not measured" });
  };

  products(results, isNew, add);
  training(results, isNew, add);
  elementwise(results, add);
  facade(results, add);
  loading(results, add);

  serving(results, add);
  return verdicts;
}

/** @typedef {(target: { what: string, sign: "≥" | "≤", limit: number, value: Value | undefined, unit?: string, note?: string }) => void} Add */

/**
 * @param {Results} results
 * @param {boolean} isNew
 * @param {Add} add
 */
function products({ gemm }, isNew, add) {
  const cube = gemm?.products.find(
    ({ M, N, K, direction }) => M === 512 && N === 512 && K === 512 && direction === "forward",
  );
  const note =
    cube?.ofPeak && `; at ${(100 * cube.ofPeak.median).toFixed(0)} % of the 128-bit peak`;
  const limits = isNew ? [1.5, 1.7] : [1.3, 2];
  for (const [i, peer] of WASM_PEERS.entries()) {
    const value = cube?.timesLamella[peer];
    add({ what: `512³ over ${peer}`, sign: "≥", limit: limits[i], value, note });
  }
  if (isNew) {
    const value = cube?.relaxedOfPeak;
    add({ what: "512³, relaxed, of the relaxed peak", sign: "≥", limit: 0.85, value });
  }
  const large = gemm?.products.filter(
    ({ group, M, direction }) => group === "square" && M >= 512 && direction === "forward",
  );
  const slowest = large
    ?.map(({ M, twoThreads }) => ({ M, twoThreads }))
    .reduce((a, b) => ((b.twoThreads?.median ?? 0) < (a.twoThreads?.median ?? 0) ? b : a));
  add({
    what: "2 threads over one, the least of 512³ and above",
    ...{ sign: "≥", limit: 1.8, value: slowest?.twoThreads, note: `, ${slowest?.M}³` },
  });
  for (const [what, isIncluded] of /** @type {[string, (size: number) => boolean][]} */ ([
    ["a FLOP at a tile's edge over the rounded-up size, worst of M and N in 10, 100", (n) => n > 3],
    ["the same, worst of M and N in 1, 3", (n) => n <= 3],
  ])) {
    const rows = gemm?.edges.filter(({ size }) => isIncluded(size)) ?? [];
    const worst = rows.reduce((a, b) => (b.cost.median > a.cost.median ? b : a), rows[0]);
    const note = worst && `, ${worst.direction}, ${worst.side} = ${worst.size}`;
    add({ what, sign: "≤", limit: 1.5, value: worst?.cost, note });
  }
}

/**
 * @param {Results} results
 * @param {boolean} isNew
 * @param {Add} add
 */
function training({ train }, isNew, add) {
  const ratioTo = (/** @type {string} */ name) =>
    train?.rows.find((row) => row.name === name)?.timesLamella;
  const inverse = (/** @type {import("./measure.js").Spread | undefined} */ ratio) =>
    ratio && { median: 1 / ratio.median, low: 1 / ratio.high, high: 1 / ratio.low };
  add({ what: "train step over tfjs-wasm", sign: "≥", limit: 20, value: ratioTo("tfjs-wasm") });
  const held = inverse(ratioTo("NumPy, AVX2"));
  const own = inverse(ratioTo("NumPy"));
  if (isNew) {
    add({
      what: `train step, relaxed, in times of NumPy's${held ? ", AVX2" : ""}`,
      ...{ sign: "≤", limit: 1.45, value: train?.relaxedTimesNumpy },
    });
    add({
      what: `train step, 2 threads, in times of NumPy's on one${held ? ", AVX2" : ""}`,
      ...{ sign: "≤", limit: 1, value: train?.threadsTimesNumpy },
    });
  }
  add({
    what: `train step in times of NumPy's${held ? ", AVX2" : ""}`,
    ...{ sign: "≤", limit: isNew ? 1.7 : 2.1, value: held ?? own },
    note: held && `; of NumPy's as the processor picks ${spread(own)}`,
  });
}

/**
 * @param {Results} results
 * @param {Add} add
 */
function serving({ mlp }, add) {
  const ratioTo = (
    /** @type {string} */ network,
    /** @type {number} */ batch,
    /** @type {string} */ peer,
  ) => mlp?.find((row) => row.network === network && row.batch === batch)?.timesLamella[peer];
  for (const [network, limit] of BATCH_1) {
    const value = ratioTo(network, 1, "onnxruntime-node");
    add({ what: `${network}, batch 1, over onnxruntime-node`, sign: "≥", limit, value });
  }
  for (const peer of WASM_PEERS) {
    const value = ratioTo("784-512-256-10", 128, peer);
    add({ what: `784-512-256-10, batch 128, over ${peer}`, sign: "≥", limit: 2, value });
  }
}

/**
 * @param {Results} results
 * @param {Add} add
 */
function elementwise({ elementwise }, add) {
  const [sign, limit] = /** @type {const} */ (["≥", 0.8]);
  if (!elementwise) add({ what: "elementwise, of memory.copy", sign, limit, value: undefined });
  for (const { name, hasTarget, ofCopy, ofVectorCopy } of elementwise ?? []) {
    const note = `; of a copy by vectors ${digits(ofVectorCopy.median)} ×`;
    if (hasTarget) add({ what: `${name}, of memory.copy`, sign, limit, value: ofCopy, note });
  }
}

/**
 * @param {Results} results
 * @param {Add} add
 */
function facade({ facade }, add) {
  for (const [way, limit] of /** @type {[string, number][]} */ ([
    ["given, in a scope", 1],
    ["given, disposed by hand", 1],
    ["made, in a scope", 3],
    ["made, disposed by hand", 3],
  ])) {
    const slowest = facade
      ?.filter((row) => row.way === way)
      .reduce((a, b) => (b.beyondKernel.median > a.beyondKernel.median ? b : a));
    const [median, low, high] = slowest
      ? [slowest.beyondKernel.median, slowest.beyondKernel.low, slowest.beyondKernel.high]
      : [];
    add({
      what: `slowest call beyond its kernel, destinations ${way}`,
      ...{ sign: "≤", limit, unit: " µs", note: `, ${slowest?.name}` },
      value:
        median && low && high
          ? { median: 1e6 * median, low: 1e6 * low, high: 1e6 * high }
          : undefined,
    });
  }
}

/**
 * @param {Results} results
 * @param {Add} add
 */
function loading({ load, memory }, add) {
  const own = load?.rows.find(({ name }) => name === "Lamella");
  add({
    what: "import to first prediction",
    ...{ sign: "≤", limit: 10, unit: " ms", value: own && { median: 1e3 * own.seconds } },
    note: own && `; best ${digits(1e3 * own.best)} ms`,
  });
  for (const peer of WASM_PEERS) {
    const row = load?.rows.find(({ name }) => name === peer);
    const value = row && { median: row.timesLamella };
    add({ what: `the same over ${peer}`, sign: "≥", limit: 15, value });
  }
  for (const [what, limit, bytes] of /** @type {const} */ ([
    ["bundle to train and infer, wasm included, brotli", 40, load?.bundles.train],
    ["bundle of lamella/predict, brotli", 16, load?.bundles.serve],
  ])) {
    const value = bytes === undefined ? undefined : { median: bytes / 1000 };
    add({ what, ...{ sign: "≤", limit, unit: " KB", value } });
  }
  add({
    what: "growth of bytes live while training",
    ...{ sign: "≤", limit: 0, unit: " bytes" },
    value: memory && { median: memory.last - memory.first },
    note: memory && ` in ${memory.steps} steps`,
  });
}
