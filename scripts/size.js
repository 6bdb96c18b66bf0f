// What a bundle loads, and how long it takes from nothing to the first prediction. Exits with 1
// where a budget is broken.
//   node scripts/size.js            of what is in build/, which npm run size makes first
//   node scripts/size.js --json     the bundles' sizes alone, as JSON
//   node scripts/size.js --peers    measures those in bench/node_modules and writes size-peers.json
//
// Everything is bundled and minified by esbuild as for a page, and compressed as it is served. Of a
// bundle that is split from its .wasm file each is compressed by itself.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const peersFile = fileURLToPath(new URL("size-peers.json", import.meta.url));

/** Bytes in brotli. */
const TRAIN = 85_500;
const PREDICT = 35_000;
/**
 * Milliseconds beyond an empty process, which are told and not held: a busy machine takes several
 * times as long.
 */
const START = 10;

const ours = [
  ["train and infer", 'export { createRuntime, Sequential, Trainer } from "lamella"', TRAIN],
  ["a layer by hand", 'export { createRuntime, affineForward } from "lamella"'],
  ["everything", 'export * from "lamella"'],
  [
    "train and infer, relaxed",
    'export { createRuntime, Sequential, Trainer } from "lamella"; export { default as relaxed } from "lamella/wasm/relaxed"',
  ],
  ["serve a saved model", 'export { loadPredictor } from "lamella/predict"', PREDICT],
  [
    "train and infer, on workerd",
    'export { createRuntime, Sequential, Trainer } from "lamella"',
    TRAIN,
    { conditions: ["workerd"], files: ["build/core.wasm"] },
  ],
  [
    "serve, on workerd",
    'export { loadPredictor } from "lamella/predict"',
    PREDICT,
    { conditions: ["workerd"], files: ["build/predict.wasm"] },
  ],
];

// What each needs to run the network of bench/load.js.
const peers = [
  {
    name: "tfjs core and its wasm backend",
    packages: ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-wasm"],
    contents: `export { fused, setBackend, tensor1d, tensor2d } from "@tensorflow/tfjs-core";
      export { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";`,
    // Of three builds one is loaded: this, where there is SIMD and one thread.
    files: ["@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm"],
  },
  {
    name: "onnxruntime-web, wasm",
    packages: ["onnxruntime-web"],
    contents: 'export { env, InferenceSession, Tensor } from "onnxruntime-web/wasm"',
    files: ["onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"],
  },
];

async function sizeOf(contents, folder, { conditions, files = [] } = {}) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: folder },
    ...{ bundle: true, minify: true, format: "esm", platform: "browser", write: false },
    ...{ conditions, external: ["*.wasm"], logLevel: "error" },
  });
  const parts = [outputFiles[0].contents, ...files.map((file) => readFileSync(join(folder, file)))];
  const sum = (size) => parts.reduce((bytes, part) => bytes + size(part), 0);
  return {
    raw: sum((part) => part.length),
    gzip: sum((part) => gzipSync(part, { level: 9 }).length),
    brotli: sum((part) => brotliCompressSync(part).length),
  };
}

/** The versions of what is installed for the benchmark; null where something is missing. */
function versionsOf({ packages }) {
  const manifests = packages.map((name) => join(root, "bench/node_modules", name, "package.json"));
  if (!manifests.every(existsSync)) return null;
  return manifests.map((file) => {
    const { name, version } = JSON.parse(readFileSync(file, "utf8"));
    return `${name} ${version}`;
  });
}

/**
 * The peers as they are installed, and as they were measured last where they are not or have not
 * changed.
 */
async function measurePeers(anew) {
  const saved = existsSync(peersFile) ? JSON.parse(readFileSync(peersFile, "utf8")).peers : [];
  const rows = [];
  for (const peer of peers) {
    const { name } = peer;
    const before = saved.find((row) => row.name === name);
    const versions = versionsOf(peer);
    if (!versions && anew) throw new Error(`${name} is not installed: npm ci in bench/ does`);
    if (versions && (anew || versions.join() !== before?.versions.join())) {
      const files = peer.files.map((file) => join("node_modules", file));
      const bytes = await sizeOf(peer.contents, join(root, "bench"), { files });
      rows.push({ name, versions, ...bytes });
    } else if (before) rows.push(before);
  }
  return rows;
}

/** Milliseconds of a process with each of the programs, in turns, beyond an empty one: medians. */
function timeStarts(programs, rounds) {
  const all = [["-e", "0"], ...programs];
  const times = all.map(() => []);
  for (let round = 0; round < rounds; round++) {
    all.forEach((args, i) => {
      const begin = performance.now();
      execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
      times[i].push(performance.now() - begin);
    });
  }
  const [empty, ...rest] = times.map((list) => list.sort((a, b) => a - b)[list.length >> 1]);
  return rest.map((median) => median - empty);
}

async function starts() {
  const { affine, createRuntime, relu, saveModel, Sequential } = await import("../build/index.js");
  const layers = [affine(128), relu(), affine(10)];
  const model = new Sequential(await createRuntime(), { input: [784], layers });
  const folder = mkdtempSync(join(tmpdir(), "lamella-size-"));
  try {
    writeFileSync(join(folder, "model"), saveModel(model));
    const common = `import { readFileSync } from "node:fs";
      const bytes = readFileSync(new URL("model", import.meta.url));
      const x = new Float32Array(784).fill(0.5);`;
    const programs = {
      "lamella/predict": `import { loadPredictor } from "${new URL("../build/predict.js", import.meta.url)}";
        ${common}
        (await loadPredictor(bytes)).predict(x);`,
      lamella: `import { createRuntime, loadModel } from "${new URL("../build/index.js", import.meta.url)}";
        ${common}
        loadModel(await createRuntime(), bytes).predict(x).data;`,
    };
    const files = Object.entries(programs).map(([name, text]) => {
      const file = join(folder, `${name.replace("/", "-")}.mjs`);
      writeFileSync(file, text);
      return [file];
    });
    const figures = timeStarts(files, 21);
    return Object.keys(programs).map((name, i) => ({ name, beyond: figures[i] }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function print(title, head, rows) {
  const widths = head.map((_, k) => Math.max(...[head, ...rows].map((row) => row[k].length)));
  console.log(`\n${title}\n`);
  for (const row of [head, ...rows]) {
    const cells = row.map((cell, k) => (k ? cell.padStart(widths[k]) : cell.padEnd(widths[k])));
    console.log(`  ${cells.join("  ")}`.trimEnd());
  }
}

if (process.argv.includes("--peers")) {
  const made = `node scripts/size.js --peers, Node ${process.versions.node}`;
  writeFileSync(
    peersFile,
    `${JSON.stringify({ made, peers: await measurePeers(true) }, null, 2)}\n`,
  );
  process.exit();
}

const bundles = [];
for (const [name, contents, budget, options] of ours) {
  bundles.push({ name, budget, ...(await sizeOf(contents, root, options)) });
}
const broken = bundles.filter(({ brotli, budget }) => brotli > budget);
if (process.argv.includes("--json")) {
  console.log(JSON.stringify(bundles));
} else {
  const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
  const all = [...bundles, ...(await measurePeers(false))];
  print(
    "What a bundle loads, JavaScript and WebAssembly, in bytes",
    ["", "raw", "gzip", "brotli", "budget"],
    all.map(({ name, versions, raw, gzip, brotli, budget }) => [
      versions ? `${name} (${versions.map((v) => v.split(" ")[1]).join(", ")})` : name,
      ...[raw, gzip, brotli].map(count),
      budget ? `${count(budget)}${brotli > budget ? " BROKEN" : ""}` : "",
    ]),
  );
  print(
    `Node ${process.versions.node}: import to the first prediction of 784-128-10 in a fresh process, ms beyond node -e 0`,
    ["", "median", "target"],
    (await starts()).map(({ name, beyond }) => [name, beyond.toFixed(1), String(START)]),
  );
}
for (const { name, brotli, budget } of broken) {
  console.error(`${name}: ${brotli} bytes in brotli, above its budget of ${budget}`);
}
process.exitCode = broken.length > 0 ? 1 : 0;
