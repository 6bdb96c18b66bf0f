// @ts-check
// Which microkernel for the product? Every tile of MR rows × NV vectors, its step standing in the loop once, four or
// eight times, with a way out between the copies or without, operands packed and in L1: multiply then add, and where
// this Node has it the relaxed multiply-add.

import asc from "assemblyscript/asc";
import { PEAK_FLOP, peakContender } from "./support/limits-core.js";
import { local, race } from "./support/measure.js";
import { digits, printTable } from "./support/table.js";

const PEAK = "peak";
/** @typedef {"strict" | "relaxed"} Variant */

const K = 256;
/** @type {[rows: number, vectors: number][]} */
const TILES = [
  ...[
    [4, 2],
    [5, 2],
    [6, 2],
    [2, 4],
    [3, 3],
    [3, 4],
    [4, 3],
    [8, 1],
    [4, 1],
    [1, 8],
  ],
];
const LOOPS = [
  { name: "one step", steps: 1, exits: true },
  { name: "four", steps: 4, exits: false },
  { name: "four, ways out", steps: 4, exits: true },
  { name: "eight, ways out", steps: 8, exits: true },
];

/**
 * AssemblyScript of c (MR, NV vectors) = Σₖ a[k] (MR,) · b[k] (NV vectors,), for K a multiple of the steps.
 *
 * @param {string} name
 * @param {number} MR
 * @param {number} NV
 * @param {typeof LOOPS[number]} loop
 * @param {Variant} variant
 */
function source(name, MR, NV, { steps, exits }, variant) {
  const multiplyAdd = (/** @type {string} */ b, /** @type {string} */ c) =>
    variant === "relaxed"
      ? `f32x4.relaxed_madd(ak, ${b}, ${c})`
      : `f32x4.add(f32x4.mul(ak, ${b}), ${c})`;
  const rows = Array.from({ length: MR }, (_, i) => i);
  const vectors = Array.from({ length: NV }, (_, j) => j);
  const sums = rows.flatMap((i) => vectors.map((j) => ({ i, j, sum: `c${i}_${j}` })));
  const step = [
    ...vectors.map((j) => `b${j} = v128.load(b, ${16 * j});`),
    ...rows.flatMap((i) => [
      `ak = v128.load32_splat(a, ${4 * i});`,
      ...vectors.map((j) => `c${i}_${j} = ${multiplyAdd(`b${j}`, `c${i}_${j}`)};`),
    ]),
    `a += ${4 * MR}; b += ${16 * NV};`,
  ].join("\n");
  return `
    export function ${name}(c: usize, a: usize, b: usize): void {
      ${sums.map(({ sum }) => `let ${sum} = f32x4.splat(0);`).join("\n")}
      let ${vectors.map((j) => `b${j}: v128`).join(", ")}, ak: v128;
      const end = a + ${K * 4 * MR};
      while (a != end) {
        ${new Array(steps).fill(step).join(exits ? "\nif (a == end) break;\n" : "\n")}
      }
      ${sums.map(({ i, j, sum }) => `v128.store(c, ${sum}, ${16 * (i * NV + j)});`).join("\n")}
    }`;
}

const kernels = TILES.flatMap(([MR, NV]) =>
  LOOPS.map((loop, i) => ({ MR, NV, loop, name: `tile_${MR}_${NV}_${i}` })),
);

/**
 * @param {Variant} variant
 * @returns {Promise<Record<string, any>>}
 */
async function compile(variant) {
  const text = kernels
    .map(({ MR, NV, name, loop }) => source(name, MR, NV, loop, variant))
    .join("\n");
  const enable = variant === "relaxed" ? ["simd", "relaxed-simd"] : ["simd"];
  const { error, stderr, binary } = await asc.compileString(text, {
    ...{ optimizeLevel: 3, runtime: "stub", use: ["abort="], enable, initialMemory: 2 },
  });
  if (error || !binary) throw new Error(`tiles: ${stderr?.toString()}`);
  const { instance } = await WebAssembly.instantiate(/** @type {BufferSource} */ (binary));
  return instance.exports;
}

/** @param {import("./support/field.js").Context} context */
export async function run({ limits, profile }) {
  const strict = await measure("strict", limits.strict, profile);
  const relaxed = limits.relaxed && (await measure("relaxed", limits.relaxed, profile));
  return { strict, relaxed };
}

/**
 * @param {Variant} variant
 * @param {import("./support/limits-core.js").LimitsCore} limits
 * @param {import("./support/measure.js").Profile} profile
 */
async function measure(variant, limits, profile) {
  const exports = await compile(variant);
  new Float32Array(exports.memory.buffer).fill(0.5);
  const figures = await race(
    [
      ...kernels.map(({ name }) => ({
        name,
        time: local(() => exports[name](98304, 1024, 32768)),
      })),
      peakContender(limits, PEAK),
    ],
    { ...profile, sample: profile.sample / 8, budget: 4 * profile.budget },
  );
  const rows = kernels.map(({ MR, NV, loop, name }) => {
    const flop = 2 * MR * NV * 4 * K;
    const { median, best } = figures[name];
    return {
      tile: `${MR} × ${4 * NV}`,
      loop: loop.name,
      median: flop / median / 1e9,
      best: flop / best / 1e9,
    };
  });
  const peak = PEAK_FLOP / figures[PEAK].best / 1e9;
  const how = variant === "relaxed" ? "relaxed multiply-add" : "multiply, then add";
  printTable(
    `Microkernels alone, float32, ${how}, GFLOP/s, best of the rounds; the peak is ${digits(peak)}`,
    ["MR × NR", ...LOOPS.map(({ name }) => name)],
    TILES.map(([MR, NV]) => [
      `${MR} × ${4 * NV}`,
      ...rows.filter(({ tile }) => tile === `${MR} × ${4 * NV}`).map(({ best }) => digits(best)),
    ]),
  );
  return { peak, rows };
}
