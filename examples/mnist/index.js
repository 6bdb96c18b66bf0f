// @ts-check
// Teaches a network to read the handwritten digits of MNIST, and shows how well it reads new ones:
//
//   node examples/mnist/index.js [--network mlp|cnn] [--epochs N] [--seed N]
//
// This file is the story; networks.js has the networks, ../support/idx.js reads the files,
// terminal.js draws, options.js has the command line.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { createRuntime, Sequential, saveModel, Trainer } from "lamella";
import { loadPredictor } from "lamella/predict";
import shared from "lamella/wasm/shared";
import { readMnist } from "../support/idx.js";
import { networks } from "./networks.js";
import { readOptions } from "./options.js";
import {
  digitsShown,
  drawConfusion,
  drawDigits,
  drawFilters,
  drawLosses,
  endOnSignals,
  heading,
  integer,
  Progress,
  percent,
  wrap,
} from "./terminal.js";

const { network, epochs, seed } = readOptions();
const { input, layers, batchSize, optimizer, isConvolutional } = networks[network];
endOnSignals();

const { train, test } = readMnist();
const first = Array.from({ length: digitsShown }, (_, i) => i);
console.log(heading("Digits to learn from"));
console.log(
  drawDigits(first.map((i) => ({ image: imageOf(train, i), caption: `${train.labels[i]}` }))),
);

// Threads change no bit of the result.
const runtime = await createRuntime(isConvolutional ? { wasm: shared, threads: "auto" } : {});
const model = new Sequential(runtime, { input, layers, seed });
const steps = epochs * Math.ceil(train.count / batchSize);
const trainer = new Trainer(model, { loss: "softmax", optimizer: optimizer(steps), seed });

console.log(heading(`Learning from ${integer(train.count)} digits`));
const progress = new Progress(epochs, train.count);
/** @type {number[]} */
const losses = [];
const data = { x: train.images, y: train.labels };
for await (const event of trainer.fit(data, { epochs, batchSize })) {
  if (event.type === "epoch") {
    progress.endEpoch();
  } else {
    if (event.step === 1) progress.startEpoch();
    progress.step(event.examples, event.loss, event.accuracy * event.examples);
    losses.push(event.loss);
  }
}
const { seconds, speed } = progress;

console.log(heading("Loss, from the first step to the last"));
console.log(drawLosses(losses));

/** @type {string[]} */
const saved = [];
if (isConvolutional) {
  const filters = model.stateDict()[`${layers.findIndex(({ kind }) => kind === "conv2d")}.weight`];
  console.log(heading("The filters of the first convolution"));
  console.log(drawFilters(filters.toTypedArray(), filters.shape));
}
const answers = isConvolutional ? await answersOfFile() : model.classify(test.images);
const isRight = (/** @type {number} */ i) => answers[i] === test.labels[i];
const all = Array.from(answers.keys());
const [right, wrong] = [all.filter(isRight), all.filter((i) => !isRight(i))];

console.log(heading("New digits, read right and read wrong"));
const half = digitsShown >> 1;
const shown = [...right.slice(0, half), ...wrong.slice(0, digitsShown - half)];
const captionOf = (/** @type {number} */ i) =>
  `${answers[i]}${isRight(i) ? "" : `, but is ${test.labels[i]}`}`;
console.log(
  drawDigits(
    shown.map((i) => ({ image: imageOf(test, i), caption: captionOf(i), good: isRight(i) })),
  ),
);

console.log(heading("What each digit (a row) was read as (a column)"));
const counts = Array.from({ length: 10 }, () => new Array(10).fill(0));
for (const i of all) counts[test.labels[i]][answers[i]]++;
console.log(drawConfusion(counts));

const { bytesLive, bytesReserved } = runtime.memory;
const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
console.log(
  wrap(`
test accuracy ${percent(right.length / test.count)}: ${integer(wrong.length)} of ${integer(test.count)} digits read wrong
${[...saved, `${seconds.toFixed(1)} s of training, ${integer(speed)} digits/s; ${(performance.now() / 1000).toFixed(1)} s in all`].join("\n")}
memory: ${megabytes(bytesLive)} in use, ${megabytes(bytesReserved)} reserved`),
);

/**
 * @param {import("../support/idx.js").Digits} digits
 * @param {number} i
 */
function imageOf({ images }, i) {
  return images.subarray(i * 784, (i + 1) * 784);
}

/**
 * The answers of the network as its file has it: one digit after the other, by what a server or a
 * page would load.
 */
async function answersOfFile() {
  const file = new URL("../../build/mnist-cnn.safetensors", import.meta.url);
  mkdirSync(new URL(".", file), { recursive: true });
  writeFileSync(file, saveModel(model));
  const bytes = readFileSync(file);
  const predictor = await loadPredictor(bytes);
  const began = performance.now();
  const answers = Array.from({ length: test.count }, (_, i) => {
    const scores = predictor.predict(imageOf(test, i));
    return scores.indexOf(Math.max(...scores));
  });
  const each = ((performance.now() - began) * 1000) / test.count;
  const kilobytes = (bytes.length / 1000).toFixed(0);
  const path = relative(process.cwd(), fileURLToPath(file));
  saved.push(`by ${path} (${kilobytes} KB), in ${each.toFixed(0)} µs a digit`);
  return answers;
}
