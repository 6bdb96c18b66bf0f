// @ts-check
// Some questions on the Node that runs this: tables to the terminal, everything as JSON into a file.
// Started by run.js.

import { readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { openParticipants } from "./contenders/index.js";
import { wakeAll } from "./support/field.js";
import { openLimitsCore } from "./support/limits-core.js";
import { profiles } from "./support/measure.js";

const [output, questions, speed, loadBefore] = process.argv.slice(2);
const profile = profiles[speed === "quick" ? "quick" : "full"];
const began = new Date();

/** Those of a processor's features that decide how wide the native peers compute. */
function vectors() {
  try {
    const flags = readFileSync("/proc/cpuinfo", "utf8")
      .match(/^flags\s*:(.*)$/m)?.[1]
      .split(" ");
    return ["avx2", "fma", "avx512f"].filter((flag) => flags?.includes(flag));
  } catch {
    return []; // not Linux
  }
}

const needPeers = ["gemm", "mlp", "train", "images", "load"];
const isAlone = !questions.split(",").some((question) => needPeers.includes(question));
const { participants, missing } = await openParticipants(isAlone);
const machine = {
  processor: os.cpus()[0].model,
  ...{ cores: os.cpus().length, vectors: vectors() },
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  system: `${os.platform()} ${os.arch()}, kernel ${os.release().split("-")[0]}`,
  // Near 0 on a machine that does nothing else.
  loadBefore: Number(loadBefore),
};
console.log(
  `\n━━ Node ${process.version}, V8 ${process.versions.v8}; ${machine.processor}, ${machine.cores} cores, ${machine.vectors.join(" ")}; load before ${machine.loadBefore.toFixed(1)}`,
);
for (const { name, version } of participants) console.log(`   ${name} ${version}`);
if (machine.loadBefore > 0.5)
  console.log("   BUSY: the machine does other work, and the figures show it");
for (const { name, reason } of missing) console.log(`   MISSING: ${name}: ${reason}`);

const memory = 32 << 20;
const strict = await openLimitsCore("strict", memory);
if (!strict) throw new Error("This Node does not know 128-bit SIMD");
/** @type {string[]} */
const failures = [];
const context = {
  ...{ participants, profile, failures, quick: speed === "quick" },
  limits: { strict, relaxed: await openLimitsCore("relaxed", memory) },
};

if (!isAlone) await wakeAll(context);

/** @type {Record<string, unknown>} */
const results = {};
for (const question of questions.split(",")) {
  try {
    const { run } = await import(`./${question}.js`);
    results[question] = await run(context);
  } catch (error) {
    console.error(error);
    failures.push(`${question}: ${error instanceof Error ? error.message : error}`);
  }
}
for (const { close } of participants) close?.();

const report = {
  date: began.toISOString(),
  profile: { name: speed, ...profile },
  node: process.versions.node,
  v8: process.versions.v8,
  machine,
  versions: Object.fromEntries(participants.map(({ name, version }) => [name, version])),
  ...{ missing, failures, results },
};
writeFileSync(output, `${JSON.stringify(report, round, 1)}\n`);
process.exitCode = failures.length > 0 ? 1 : 0;

/**
 * Six digits are more than any clock gives.
 *
 * @param {string} _key
 * @param {unknown} value
 */
function round(_key, value) {
  if (typeof value !== "number" || Number.isInteger(value)) return value;
  return Number(value.toPrecision(6));
}
