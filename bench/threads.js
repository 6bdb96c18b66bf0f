// @ts-check
// What do two threads bring, call by call? One thread of the same core, shared and not, beside two.

import { availableParallelism } from "node:os";
import shared from "../build/shared.js";
import {
  affine,
  affineBackward,
  affineForward,
  batchnormBackward,
  batchnormForward,
  createRuntime,
  createRuntimeSync,
  dropoutForward,
  geluForward,
  momentum,
  relu,
  reluForward,
  Sequential,
  softmaxLoss,
  Trainer,
} from "./support/lamella.js";
import { figure, local, race, ratio } from "./support/measure.js";
import { networkOf, trainingOf } from "./support/networks.js";
import { uniform } from "./support/numbers.js";
import { duration, printTable, spread } from "./support/table.js";

/** @typedef {import("../build/index.js").Runtime} Runtime */

const SIZES = [784, 512, 256, 10];
const BATCH = 128;

/**
 * C = A · B through the facade.
 *
 * @param {Runtime} runtime
 * @param {number} n
 */
function product(runtime, n) {
  const x = runtime.tensor(uniform(n * n, 1), [n, n]);
  const w = runtime.tensor(uniform(n * n, 2), [n, n]);
  const b = runtime.zeros([n]);
  const out = runtime.zeros([n, n]);
  return () => affineForward(x, w, b, { out });
}

/**
 * Layers of (rows, 256).
 *
 * @param {Runtime} runtime
 * @param {number} rows
 * @returns {Record<string, () => unknown>}
 */
function layers(runtime, rows) {
  const D = 256;
  const x = runtime.tensor(uniform(rows * D, 5), [rows, D]);
  const dout = runtime.tensor(uniform(rows * D, 6), [rows, D]);
  const [out, dx] = [runtime.zeros([rows, D]), runtime.zeros([rows, D])];
  const [gamma, beta] = [runtime.ones([D]), runtime.zeros([D])];
  /** @type {import("../build/index.js").BatchnormParam<"float32">} */
  const bnParam = { mode: "train" };
  const { cache } = batchnormForward(x, gamma, beta, bnParam);
  const labels = runtime.tensor(Int32Array.from({ length: rows }, (_, i) => i % D));
  const dropoutParam = /** @type {const} */ ({ p: 0.5, mode: "train" });
  return {
    "ReLU forward": () => reluForward(x, { out }),
    "GELU forward": () => geluForward(x, { out }),
    "dropout forward": () => dropoutForward(x, dropoutParam, { out }),
    "batchnorm forward": () => batchnormForward(x, gamma, beta, bnParam, { out }),
    "batchnorm backward": () => batchnormBackward(dout, cache, { dx }),
    "softmax loss": () => softmaxLoss(x, labels, { dx }),
  };
}

/**
 * A layer backward with batch 1, where nothing is a product of matrices.
 *
 * @param {Runtime} runtime
 */
function backwardOfOne(runtime) {
  const [D, M] = [2048, 1024];
  const x = runtime.tensor(uniform(D, 1), [1, D]);
  const w = runtime.tensor(uniform(D * M, 2), [D, M]);
  const dout = runtime.tensor(uniform(M, 3), [1, M]);
  const { cache } = affineForward(x, w, runtime.zeros([M]));
  const [dx, dw, db] = [runtime.zeros([1, D]), runtime.zeros([D, M]), runtime.zeros([M])];
  return () => affineBackward(dout, cache, { dx, dw, db });
}

/** @param {Runtime} runtime */
function model(runtime) {
  const { weights, biases } = networkOf(SIZES, BATCH);
  const last = SIZES.length - 2;
  const made = new Sequential(runtime, {
    input: [SIZES[0]],
    layers: SIZES.slice(1).flatMap((size, i) =>
      i < last ? [affine(size), relu()] : [affine(size)],
    ),
  });
  const values = weights.flatMap((w, i) => [w, biases[i]]);
  made.parameters().forEach(({ value }, i) => {
    value.data.set(values[i]);
  });
  return made;
}

/**
 * @param {Runtime} runtime
 * @param {number} batch
 */
function inference(runtime, batch) {
  const made = model(runtime);
  const predictor = made.compile({ maxBatch: batch });
  made.dispose();
  predictor.input.set(uniform(batch * SIZES[0], 3));
  return () => predictor.run();
}

/** @param {Runtime} runtime */
function step(runtime) {
  const { inputs, labels, rate } = trainingOf(SIZES, BATCH);
  const trainer = new Trainer(model(runtime), {
    loss: "softmax",
    optimizer: momentum({ learningRate: rate, momentum: 0.9 }),
  });
  let i = 0;
  return () => trainer.step(inputs[i % inputs.length], labels[i++ % labels.length]);
}

/** @param {import("./support/field.js").Context} context */
export async function run({ profile, quick }) {
  if (availableParallelism() < 2) {
    console.log("\nThreads: not measured, there is one core");
    return null;
  }
  const names = ["one thread", "shared, one thread", "two threads"];
  const runtimes = [
    createRuntimeSync(),
    await createRuntime({ wasm: shared }),
    await createRuntime({ wasm: shared, threads: 2 }),
  ];
  /** @type {[string, (runtime: Runtime) => () => unknown][]} */
  const works = (quick ? [64, 256, 512] : [16, 32, 64, 128, 192, 256, 384, 512, 768, 1024]).map(
    (n) => [`product, ${n}³`, (runtime) => product(runtime, n)],
  );
  for (const rows of quick ? [4096] : [128, 1024, 4096]) {
    const made = new Map(runtimes.map((runtime) => [runtime, layers(runtime, rows)]));
    for (const name of Object.keys(layers(runtimes[0], 1))) {
      works.push([`${name}, ${rows} × 256`, (runtime) => made.get(runtime)?.[name] ?? (() => {})]);
    }
  }
  works.push(
    ["backward of 2048 → 1024, batch 1", backwardOfOne],
    [`${SIZES.join("-")}, predictor, batch 1`, (runtime) => inference(runtime, 1)],
    [`${SIZES.join("-")}, predictor, batch ${BATCH}`, (runtime) => inference(runtime, BATCH)],
    [`${SIZES.join("-")}, train step, batch ${BATCH}`, step],
  );

  const rows = [];
  for (const [work, make] of works) {
    const contenders = runtimes.map((runtime, i) => {
      const call = make(runtime);
      return {
        name: names[i],
        time: local(() =>
          runtime.scope(() => {
            call();
          }),
        ),
      };
    });
    const figures = await race(contenders, profile);
    const [one, alone, two] = names.map((name) => figures[name]);
    rows.push({
      work,
      ...{ one: one.median, oneBest: one.best, two: two.median, twoBest: two.best },
      shared: ratio(one, alone),
      threads: ratio(one, two),
    });
  }
  for (const runtime of runtimes) runtime.dispose();

  const starts = [];
  for (let i = 0; i < (quick ? 5 : 21); i++) {
    const began = performance.now();
    const runtime = await createRuntime({ wasm: shared, threads: 2 });
    starts.push((performance.now() - began) / 1000);
    runtime.dispose();
  }
  const start = figure(starts);
  printTable(
    `Two threads; a pool of two starts in ${duration(start.median)} (best ${duration(start.best)})`,
    ["", "one thread", "best", "two threads", "best", "times as fast", "shared on one thread"],
    rows.map(({ work, one, oneBest, two, twoBest, threads, shared }) => [
      ...[work, duration(one), duration(oneBest), duration(two), duration(twoBest)],
      ...[spread(threads), spread(shared)],
    ]),
  );
  return { rows, start: { median: start.median, best: start.best } };
}
