// @ts-check
// How long from nothing to the first prediction, beyond an empty Node process, and how much is loaded for it?

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";
import { quantile } from "./support/measure.js";
import { networkOf } from "./support/networks.js";
import { checkClose, uniform } from "./support/numbers.js";
import { digits, duration, printTable } from "./support/table.js";

const SIZES = [784, 128, 10];
const PEERS = ["tfjs-wasm", "onnxruntime-web"];
const EMPTY = "node -e 0";
const start = promisify(execFile);

/** @param {import("./support/field.js").Context} context */
export async function run({ quick, participants, failures }) {
  const folder = mkdtempSync(join(tmpdir(), "lamella-bench-"));
  const present = participants.map(({ name }) => name);
  const names = ["Lamella", ...PEERS.filter((name) => present.includes(name))];
  try {
    const network = networkOf(SIZES, 1);
    const input = uniform(SIZES[0], 4);
    const parts = network.weights.flatMap((w, i) => [...w, ...network.biases[i]]);
    writeFileSync(join(folder, "weights"), new Uint8Array(Float32Array.from(parts).buffer));
    writeFileSync(join(folder, "input"), new Uint8Array(input.buffer));
    if (names.includes("onnxruntime-web")) {
      const { networkModel } = await import("./contenders/onnxruntime.js");
      writeFileSync(join(folder, "model.onnx"), networkModel(network));
    }

    const rounds = quick ? 5 : 21;
    /** @type {Record<string, number[]>} */
    const times = Object.fromEntries([EMPTY, ...names].map((name) => [name, []]));
    /** @type {Map<string, number[]>} */
    const answers = new Map();
    for (let round = 0; round < rounds; round++) {
      times[EMPTY].push((await timed(["-e", "0"])).seconds);
      for (const name of names) {
        const script = fileURLToPath(new URL(`load/${name.toLowerCase()}.js`, import.meta.url));
        const { seconds, stdout } = await timed([script, folder]);
        times[name].push(seconds);
        answers.set(name, JSON.parse(stdout));
      }
    }
    for (const [name, answer] of answers) {
      checkClose(`load, ${name}`, answer, answers.get("Lamella") ?? [], 1e-5);
    }
    // A process takes several times as long as what is asked here, so that a difference within one round would be noise.
    const median = (/** @type {string} */ name) => quantile(times[name], 0.5);
    const beyond = (/** @type {string} */ name) => median(name) - median(EMPTY);
    const rows = names.map((name) => ({
      name,
      seconds: beyond(name),
      best: Math.min(...times[name]) - Math.min(...times[EMPTY]),
      timesLamella: beyond(name) / beyond("Lamella"),
    }));
    printTable(
      `Import to the first prediction of ${SIZES.join("-")} in a fresh process, beyond node -e 0`,
      ["", "median", "best", "times Lamella"],
      rows.map(({ name, seconds, best, timesLamella }) => [
        name,
        duration(seconds),
        duration(best),
        digits(timesLamella),
      ]),
    );
    const bytes = await bundleBytes();
    console.log(`Lamella bundled and minified, wasm included, brotli: ${bytes} bytes`);
    return { network: SIZES.join("-"), rows, bundleBytes: bytes };
  } catch (error) {
    failures.push(`load: ${error instanceof Error ? error.message : error}`);
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string[]} args */
async function timed(args) {
  const begin = performance.now();
  const { stdout } = await start(process.execPath, args);
  return { seconds: (performance.now() - begin) / 1000, stdout };
}

/** All of the library, as a bundler for browsers makes it. */
async function bundleBytes() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../build/index.js", import.meta.url))],
    ...{ bundle: true, minify: true, write: false, format: "esm", platform: "browser" },
    external: ["node:*"],
  });
  return brotliCompressSync(outputFiles[0].contents).length;
}
