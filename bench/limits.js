// @ts-check
// What is the most that this processor gives to WebAssembly?

import { PEAK_FLOP, peakContender } from "./support/limits-core.js";
import { local, race } from "./support/measure.js";
import { digits, printTable } from "./support/table.js";

const KIB = 1024;
const MIB = 1024 * KIB;

/** @param {import("./support/field.js").Context} context */
export async function run({ limits: { strict, relaxed }, profile }) {
  /** @type {{ contender: import("./support/measure.js").Timed, work: number, unit: string }[]} */
  const measured = [];
  const peak = (/** @type {string} */ name, /** @type {typeof strict} */ core) =>
    measured.push({ contender: peakContender(core, name), work: PEAK_FLOP, unit: "GFLOP/s" });
  peak("128-bit multiply, then add", strict);
  if (relaxed) peak("128-bit relaxed multiply-add", relaxed);
  for (const [name, bytes] of /** @type {[string, number][]} */ ([
    ["read, 256 KiB", 256 * KIB],
    ["read, 2 MiB, as the weights of 784-512-256-10", 2 * MIB],
    ["read, 16 MiB", 16 * MIB],
  ])) {
    const contender = { name, time: local(() => strict.read(0, bytes)) };
    measured.push({ contender, work: bytes, unit: "GB/s" });
  }
  for (const [name, bytes] of /** @type {[string, number][]} */ ([
    ["memory.copy, 256 KiB, read and written", 256 * KIB],
    ["memory.copy, 4 MiB, read and written", 4 * MIB],
  ])) {
    const contender = { name, time: local(() => strict.copy(0, 16 * MIB, bytes)) };
    measured.push({ contender, work: 2 * bytes, unit: "GB/s" });
  }
  measured.push({
    contender: {
      name: "copy by 128-bit loads and stores, 4 MiB",
      time: local(() => strict.copy_vectors(0, 16 * MIB, 4 * MIB)),
    },
    ...{ work: 8 * MIB, unit: "GB/s" },
  });

  const figures = await race(
    measured.map(({ contender }) => contender),
    profile,
  );
  const rows = measured.map(({ contender: { name }, work, unit }) => ({
    name,
    unit,
    median: work / figures[name].median / 1e9,
    best: work / figures[name].best / 1e9,
  }));
  printTable(
    "Limits of one core through WebAssembly",
    ["", "median", "best", ""],
    rows.map(({ name, unit, median, best }) => [name, digits(median), digits(best), unit]),
  );
  if (!relaxed) console.log("Relaxed multiply-add: this Node does not accept relaxed SIMD.");
  return rows;
}
