// Long use in minutes: a million steps of training of a small network, ten thousand of a large one,
// ten million calls of either predictor. Exits with 1 unless memory stays flat and the bits are
// those of soak.json; that the time of a step grows is only told, as a busy machine does that too.
//
//   node scripts/soak.js [--quick] [--threads N] [--write]     npm run soak builds first
//
// --quick is a hundredth of it. --threads N takes the shared build, whose bits are the same.
// --write keeps the digests of this run in soak.json, after a change of rounding.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import cliProgress from "cli-progress";
import {
  adam,
  affine,
  batchnorm,
  createRuntime,
  dropout,
  normalize,
  relu,
  Sequential,
  saveModel,
  Trainer,
} from "lamella";
import { loadPredictor } from "lamella/predict";
import shared from "lamella/wasm/shared";
import { readMnist } from "../examples/support/idx.js";

/**
 * What the process may take beyond what it had after a tenth of a part: V8's heap breathes, a leak
 * grows.
 */
const RSS_BOUND = 64 * 2 ** 20;
/** Of the median time of a step, last tenth against first; beyond it there is a warning. */
const DRIFT = 0.1;

const digestsFile = new URL("soak.json", import.meta.url);
const { quick, threads, write } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    threads: { type: "string" },
    write: { type: "boolean", default: false },
  },
}).values;
const size = quick ? "quick" : "full";
const hundredth = quick ? 100 : 1;
/** In which the time is taken, for a median over a tenth of them. */
const CHUNKS = 1000 / (quick ? 10 : 1);

/**
 * What a part is made of: `run` takes the steps from…to, `bytes` must stay what it is after the
 * first.
 */
const parts = {
  "small network": async (runtime) => {
    const { x, y } = rings(runtime);
    const layers = [affine(16), batchnorm(), relu(), dropout(0.1), affine(3)];
    const trainer = new Trainer(new Sequential(runtime, { input: [FEATURES], layers, seed: 1 }), {
      loss: "softmax",
      optimizer: adam(),
      clipNorm: 1,
    });
    const BATCH = 16;
    const batches = EXAMPLES / BATCH;
    return {
      steps: 1_000_000,
      run(from, to) {
        let loss = 0;
        for (let step = from; step < to; step++) {
          const at = (step % batches) * BATCH;
          const rows = x.subarray(at * FEATURES, (at + BATCH) * FEATURES);
          loss = trainer.step(rows, y.subarray(at, at + BATCH)).loss;
        }
        return loss;
      },
      bytes: () => runtime.memory.bytesLive,
      result: () => trainer.checkpoint(),
    };
  },

  "large network": async (runtime) => {
    const { train } = readMnist();
    const layers = [
      normalize({ mean: 0, std: 255 }),
      ...[affine(512), relu(), affine(256), relu(), affine(10)],
    ];
    const model = new Sequential(runtime, { input: [784], layers, seed: 2 });
    const trainer = new Trainer(model, { loss: "softmax", optimizer: adam() });
    const data = { x: train.images, y: train.labels };
    const events = trainer.fit(data, { epochs: 1000, batchSize: 128, lastBatch: "keep" });
    return {
      steps: 10_000,
      async run(from, to) {
        let loss = 0;
        for (let step = from; step < to; ) {
          const { value } = await events.next();
          if (value.type !== "step") continue;
          loss = value.loss;
          step++;
        }
        return loss;
      },
      bytes: () => runtime.memory.bytesLive,
      result: () => trainer.checkpoint(),
    };
  },

  "compiled predictor": async (runtime) =>
    serving(runtime, served(runtime).compile({ maxBatch: 1 }), () => runtime.memory.bytesLive),

  "lamella/predict": async (runtime) => {
    const predictor = await loadPredictor(saveModel(served(runtime)));
    // All that a predictor has is its own memory.
    return serving(runtime, predictor, () => predictor.input.buffer.byteLength);
  },
};

const EXAMPLES = 1024;
const FEATURES = 8;

/** Examples of three classes, told apart by how far they are from the centre. */
function rings(runtime) {
  return runtime.scope(() => {
    const x = Float32Array.from(runtime.random(7).randn(EXAMPLES, FEATURES).data);
    const y = Int32Array.from({ length: EXAMPLES }, (_, n) => {
      let square = 0;
      for (const v of x.subarray(n * FEATURES, (n + 1) * FEATURES)) square += v * v;
      return square < 5.5 ? 0 : square < 9 ? 1 : 2;
    });
    return { x, y };
  });
}

function served(runtime) {
  const layers = [affine(32), relu(), affine(16), relu(), affine(3)];
  return new Sequential(runtime, { input: [FEATURES], layers, seed: 3 });
}

/** Ten million calls, half of them by run and half by predict; their scores are in the result. */
function serving(runtime, predictor, bytes) {
  const { x } = rings(runtime);
  const rows = Array.from({ length: EXAMPLES }, (_, n) =>
    x.subarray(n * FEATURES, (n + 1) * FEATURES),
  );
  const sums = new Float64Array(predictor.outputShape[0]);
  return {
    steps: 10_000_000,
    run(from, to) {
      for (let call = from; call < to; call++) {
        const row = rows[call % EXAMPLES];
        let scores;
        if (call % 2) {
          predictor.input.set(row);
          predictor.run();
          scores = predictor.output;
        } else {
          scores = predictor.predict(row);
        }
        for (let i = 0; i < sums.length; i++) sums[i] += scores[i];
      }
      return sums[0];
    },
    bytes,
    result: () => new Uint8Array(sums.buffer),
  };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const duration = (ms) => (ms < 1 ? `${(1000 * ms).toFixed(2)} µs` : `${ms.toFixed(2)} ms`);

/** Runs a part to its end, and tells what came of it. */
async function soak(name, make) {
  const runtime = await createRuntime(threads ? { wasm: shared, threads: Number(threads) } : {});
  const part = await make(runtime);
  const steps = part.steps / hundredth;
  const chunk = steps / CHUNKS;
  const bar = new cliProgress.SingleBar({
    format: `${name.padEnd(18)} {bar} {percentage} %  {value} of {total}  {time} a step  {eta_formatted} left`,
    barsize: 30,
    noTTYOutput: true, // lines into a pipe
    notTTYSchedule: 30_000,
  });
  bar.start(steps, 0, { time: "–" });
  const hash = createHash("sha256");
  const times = [];
  let bytes = 0;
  let [rss, most] = [0, 0];
  const began = performance.now();
  for (let at = 0; at < steps; at += chunk) {
    let from = at;
    if (at === 0) {
      await part.run(from++, 1);
      bytes = part.bytes();
    }
    const start = performance.now();
    const figure = from < at + chunk ? await part.run(from, at + chunk) : 0;
    const time = (performance.now() - start) / (at + chunk - from || 1);
    if (from < at + chunk) times.push(time);
    hash.update(`${figure} `);
    if (part.bytes() !== bytes) break;
    const now = process.memoryUsage.rss();
    if (times.length === CHUNKS / 10) rss = now;
    most = Math.max(most, now);
    bar.update(at + chunk, { time: duration(time) });
    await new Promise(setImmediate); // for the bar, the finalizers and Ctrl-C
  }
  bar.stop();
  const seconds = (performance.now() - began) / 1000;
  const digest = hash.update(part.result()).digest("hex");
  const after = part.bytes();
  runtime.dispose();

  const tenth = CHUNKS / 10;
  const [first, last] = [median(times.slice(0, tenth)), median(times.slice(-tenth))];
  return { steps, seconds, digest, bytes, after, rss, most, first, last };
}

const digests = JSON.parse(readFileSync(digestsFile, "utf8"));
const failures = [];
const rows = {};
console.log(
  `Node ${process.versions.node}, ${threads ? `${threads} threads` : "one thread"}, ${size} soak`,
);
for (const [name, make] of Object.entries(parts)) {
  const { steps, seconds, digest, bytes, after, rss, most, first, last } = await soak(name, make);
  if (after !== bytes) failures.push(`${name}: ${bytes} bytes after the first step, now ${after}`);
  if (most > rss + RSS_BOUND) {
    failures.push(`${name}: the process grew from ${mebibytes(rss)} to ${mebibytes(most)}`);
  }
  if (write) {
    digests[size] ??= {};
    digests[size][name] = digest;
  } else if (digests[size]?.[name] !== digest) {
    failures.push(`${name}: digest ${digest}, expected ${digests[size]?.[name]}`);
  }
  const drift = last / first - 1;
  // The quick one's first tenth is V8 compiling.
  if (drift > DRIFT && !quick) {
    console.warn(`${name}: a step took ${duration(first)} at first and ${duration(last)} at last`);
  }
  rows[name] = {
    steps: steps.toLocaleString("en-US"),
    seconds: seconds.toFixed(1),
    "first tenth": duration(first),
    "last tenth": duration(last),
    drift: `${(100 * drift).toFixed(1)} %`,
    "bytes, first and last": `${bytes} ${after}`,
    "RSS, tenth and most": `${mebibytes(rss)} ${mebibytes(most)}`,
    digest: digest.slice(0, 12),
  };
}
console.table(rows);
if (write) writeFileSync(digestsFile, `${JSON.stringify(digests, null, 2)}\n`);
for (const failure of failures) console.error(`failed: ${failure}`);
process.exit(failures.length > 0 ? 1 : 0);
