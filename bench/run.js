// @ts-check
// The benchmark: every question on every Node. `npm run bench -- --help` tells the options.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { judge } from "./support/targets.js";

// Lamella alone, in a process without the peers: their heaps would cost every call of the facade half a microsecond.
const ALONE = "limits memory tiles elementwise convolution facade threads".split(" ");
const BESIDE_PEERS = "gemm mlp train images load".split(" ");
const QUESTIONS = [...ALONE, ...BESIDE_PEERS];
const NODES = ["20", "26"];
const HELP = `npm run bench -- [options]

  --quick          under two minutes, fewer sizes, wider spread
  --only a,b       of ${QUESTIONS.join(", ")}
  --node 20        or 26; default both
  --write          writes bench/results/ where it otherwise would not: after --quick
  --help

A full run of everything writes bench/results/: JSON for each Node, and charts.`;

const here = fileURLToPath(new URL(".", import.meta.url));

/** @returns {{ quick: boolean, write: boolean, questions: string[], nodes: string[] }} */
function options() {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      only: { type: "string", default: QUESTIONS.join(",") },
      node: { type: "string", default: NODES.join(",") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit();
  }
  const { quick, only, node } = values;
  const asked = only.split(",");
  const questions = QUESTIONS.filter((question) => asked.includes(question));
  const nodes = node.split(",");
  const unknown = [
    ...asked.filter((question) => !QUESTIONS.includes(question)),
    ...nodes.filter((major) => !NODES.includes(major)),
  ];
  if (unknown.length > 0) throw new Error(`Unknown: ${unknown.join(", ")}\n\n${HELP}`);
  const isWhole = !quick && questions.length === QUESTIONS.length && nodes.length === NODES.length;
  return { quick, write: values.write || isWhole, questions, nodes };
}

function install() {
  // npm writes this file when an installation is complete.
  if (existsSync(join(here, "node_modules/.package-lock.json"))) return;
  console.log("Installing the peers (about 1 GB) …");
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    ...{ cwd: here, stdio: "inherit", shell: process.platform === "win32" },
  });
}

/**
 * The running Node, or the one from npm, which exists for Linux on x64.
 *
 * @param {string} major
 */
function nodeBinary(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const binary = join(here, `node_modules/node${major}/bin/node`);
  return existsSync(binary) ? binary : null;
}

/**
 * @param {string} binary
 * @param {string[]} args
 * @returns {Promise<number | null>}
 */
function runSession(binary, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, [join(here, "session.js"), ...args], { stdio: "inherit" });
    child.on("error", reject);
    child.on("close", resolve);
  });
}

/**
 * One report of the sessions on one Node.
 *
 * @param {any[]} parts
 */
function whole(parts) {
  const [first] = parts;
  const last = parts[parts.length - 1]; // which names the peers
  const results = Object.assign({}, ...parts.map((part) => part.results));
  return {
    ...last,
    date: first.date,
    failures: parts.flatMap(({ failures }) => failures),
    results,
    targets: judge(results, Number.parseInt(last.node, 10)),
  };
}

async function main() {
  const { quick, write, questions, nodes } = options();
  const [loadBefore] = loadavg(); // of others; from here on it is also this
  install();
  const folder = mkdtempSync(join(tmpdir(), "lamella-bench-"));
  const reports = [];
  /** @type {string[]} */
  const failures = [];
  try {
    for (const major of nodes) {
      const binary = nodeBinary(major);
      if (!binary) {
        console.log(
          `\nMISSING: Node ${major}: run this with it, or on Linux x64, where npm has it`,
        );
        continue;
      }
      /** @type {any[]} */
      const parts = [];
      for (const group of [ALONE, BESIDE_PEERS]) {
        const asked = group.filter((question) => questions.includes(question));
        if (asked.length === 0) continue;
        const output = join(folder, `node${major}-${asked[0]}.json`);
        const args = [output, asked.join(","), quick ? "quick" : "full", loadBefore.toFixed(2)];
        const code = await runSession(binary, args);
        if (existsSync(output)) parts.push(JSON.parse(readFileSync(output, "utf8")));
        else failures.push(`Node ${major}: ended with ${code}`);
      }
      if (parts.length === 0) continue;
      const report = whole(parts);
      reports.push({ major, report });
      failures.push(...report.failures.map((/** @type {string} */ f) => `Node ${major}: ${f}`));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }

  const { printTable } = await import("./support/table.js");
  for (const { report } of reports) {
    printTable(
      `Targets, Node ${report.node}`,
      ["", "target", "measured, median (quartiles)", ""],
      report.targets.map((/** @type {import("./support/targets.js").Verdict} */ t) => [
        ...[t.what, t.target, t.measured, t.verdict],
      ]),
    );
    for (const { name, reason } of report.missing) console.log(`MISSING: ${name}: ${reason}`);
  }
  for (const failure of failures) console.error(`FAILED: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
  if (write && reports.length > 0) {
    const { charts } = await import("./support/charts.js");
    const files = Object.entries(await charts(reports.map(({ report }) => report)));
    for (const { major, report } of reports) {
      files.push([`node${major}.json`, `${JSON.stringify(report, null, 1)}\n`]);
    }
    mkdirSync(join(here, "results"), { recursive: true });
    for (const [name, contents] of files) writeFileSync(join(here, "results", name), contents);
    console.log(`\nWritten to bench/results: ${files.map(([name]) => name).join(", ")}`);
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
