// @ts-check
// How long from nothing to the first prediction, beyond an empty Node process, and how much is loaded for it?

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { affine, createRuntime, relu, Sequential, saveModel } from "./support/lamella.js";
import { quantile } from "./support/measure.js";
import { networkOf } from "./support/networks.js";
import { checkClose, uniform } from "./support/numbers.js";
import { digits, duration, printTable } from "./support/table.js";

const SIZES = [784, 128, 10];
const PEERS = ["tfjs-wasm", "onnxruntime-web"];
/** What serves alone, and the whole library. */
const OWN = ["Lamella", "Lamella, all of it"];
const EMPTY = "node -e 0";
const start = promisify(execFile);

/** @param {import("./support/field.js").Context} context */
export async function run({ quick, participants, failures }) {
  const folder = mkdtempSync(join(tmpdir(), "lamella-bench-"));
  const present = participants.map(({ name }) => name);
  const names = [...OWN, ...PEERS.filter((name) => present.includes(name))];
  try {
    const network = networkOf(SIZES, 1);
    const input = uniform(SIZES[0], 4);
    const parts = network.weights.flatMap((w, i) => [...w, ...network.biases[i]]);
    writeFileSync(join(folder, "weights"), new Uint8Array(Float32Array.from(parts).buffer));
    writeFileSync(join(folder, "input"), new Uint8Array(input.buffer));
    writeFileSync(join(folder, "model.safetensors"), await savedModel(network));
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
        const script = fileURLToPath(new URL(`load/${fileOf(name)}.js`, import.meta.url));
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
    console.log(
      `Lamella bundled and minified, wasm included, brotli: ${bytes.serve} bytes to serve, ${bytes.train} to train`,
    );
    return { network: SIZES.join("-"), rows, bundles: bytes };
  } catch (error) {
    failures.push(`load: ${error instanceof Error ? error.message : error}`);
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const fileOf = (/** @type {string} */ name) => name.toLowerCase().replace(/\W+/g, "-");

/** @param {ReturnType<typeof networkOf>} network */
async function savedModel({ sizes, weights, biases }) {
  const runtime = await createRuntime();
  const layers = sizes.slice(1).flatMap((units) => [affine(units), relu()]);
  const model = new Sequential(runtime, { input: [sizes[0]], layers: layers.slice(0, -1) });
  model.parameters().forEach(({ value }, i) => {
    value.data.set((i % 2 ? biases : weights)[i >> 1]);
  });
  const bytes = saveModel(model);
  runtime.dispose();
  return bytes;
}

/** @param {string[]} args */
async function timed(args) {
  const begin = performance.now();
  const { stdout } = await start(process.execPath, args);
  return { seconds: (performance.now() - begin) / 1000, stdout };
}

/** What a page loads that serves a saved model, and one that trains: as `npm run size` measures it. */
async function bundleBytes() {
  const script = fileURLToPath(new URL("../scripts/size.js", import.meta.url));
  const { stdout } = await start(process.execPath, [script, "--json"]);
  /** @type {{ name: string, brotli: number }[]} */
  const bundles = JSON.parse(stdout);
  const bytes = (/** @type {string} */ wanted) =>
    bundles.find(({ name }) => name === wanted)?.brotli ?? Number.NaN;
  return { train: bytes("train and infer"), serve: bytes("serve a saved model") };
}
