// @ts-check
// Teaches a network to read the handwritten digits of MNIST, and shows how well it reads new ones:
//
//   node examples/mnist/index.js [--epochs N] [--seed N]
//
// This file is the story. network.js has the layers and the training step, and is the one to read
// for how the library is used; idx.js reads the files; terminal.js draws; options.js has the
// command line.

import { setImmediate } from "node:timers/promises";
import { createRuntime } from "lamella";
import { readMnist } from "./idx.js";
import { Network } from "./network.js";
import { readOptions } from "./options.js";
import {
  digitsInRow,
  drawConfusion,
  drawDigits,
  drawLosses,
  endOnSignals,
  heading,
  integer,
  Progress,
  percent,
} from "./terminal.js";

const PIXELS = 28 * 28;
const CLASSES = 10;
const BATCH = 125; // divides 60,000 and 10,000, so that buffers of one size fit every batch
const LEARNING_RATE = 0.2; // at the beginning; it falls in a straight line, to 0 at the end

const { epochs, seed } = readOptions();
endOnSignals();

const { train, test } = readMnist();
console.log(heading("Digits to learn from"));
console.log(
  drawDigits(
    Array.from({ length: digitsInRow }, (_, i) => ({
      image: imageOf(train, i),
      caption: `${train.labels[i]}`,
    })),
  ),
);

const runtime = await createRuntime({ seed }); // of its own generator, which dropout draws from
const random = runtime.random(seed); // NumPy's, for the weights and the order of the digits
const network = new Network(runtime, random, {
  sizes: [PIXELS, 256, 128, CLASSES],
  batch: BATCH,
  dropout: 0.2,
  momentum: 0.9,
});
/** Of the batch in network.x. */
const labels = new Uint8Array(BATCH);

console.log(heading(`Learning from ${integer(train.count)} digits`));
const { losses, seconds, digitsPerSecond } = await learn();

console.log(heading("Loss, from the first step to the last"));
console.log(drawLosses(losses));

const answers = await read(test);
const isRight = (/** @type {number} */ i) => answers[i] === test.labels[i];
const all = Array.from(answers.keys());
const [right, wrong] = [all.filter(isRight), all.filter((i) => !isRight(i))];

console.log(heading("New digits, read right and read wrong"));
const half = digitsInRow >> 1;
const shown = [...right.slice(0, half), ...wrong.slice(0, digitsInRow - half)];
console.log(
  drawDigits(
    shown.map((i) => ({
      image: imageOf(test, i),
      caption: isRight(i) ? `${answers[i]}` : `${answers[i]}, but is ${test.labels[i]}`,
      good: isRight(i),
    })),
  ),
);

console.log(heading("What each digit (a row) was read as (a column)"));
const counts = Array.from({ length: CLASSES }, () => new Array(CLASSES).fill(0));
for (const i of all) counts[test.labels[i]][answers[i]]++;
console.log(drawConfusion(counts));

const { bytesLive, bytesReserved } = runtime.memory;
const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
console.log(
  `\ntest accuracy ${percent(right.length / test.count)}: ` +
    `${integer(wrong.length)} of ${integer(test.count)} digits read wrong`,
);
console.log(
  `${seconds.toFixed(1)} s of training, ${integer(digitsPerSecond)} digits/s; ` +
    // performance.now() counts from the start of the process.
    `${(performance.now() / 1000).toFixed(1)} s in all`,
);
console.log(`memory: ${megabytes(bytesLive)} in use, ${megabytes(bytesReserved)} reserved`);
runtime.dispose();

/**
 * @param {import("./idx.js").Digits} digits
 * @param {number} i
 */
function imageOf(digits, i) {
  return digits.images.subarray(i * PIXELS, (i + 1) * PIXELS);
}

/**
 * Puts digits into the network's input, as numbers from 0 to 1, and their labels beside it.
 *
 * @param {import("./idx.js").Digits} digits
 * @param {ArrayLike<number>} indices BATCH of them
 */
function load(digits, indices) {
  const x = network.x.data;
  for (let n = 0; n < BATCH; n++) {
    labels[n] = digits.labels[indices[n]];
    const image = imageOf(digits, indices[n]);
    for (let i = 0; i < PIXELS; i++) x[n * PIXELS + i] = image[i] / 255;
  }
}

/** Trains on all digits, epoch by epoch. */
async function learn() {
  const progress = new Progress(epochs, train.count);
  const steps = (epochs * train.count) / BATCH;
  /** @type {number[]} */
  const losses = [];

  for (let epoch = 0; epoch < epochs; epoch++) {
    // The scope frees the tensor of the permutation; the copy is JavaScript's.
    const order = runtime.scope(() => random.permutation(train.count).toTypedArray());
    progress.startEpoch();
    for (let start = 0; start < train.count; start += BATCH) {
      load(train, order.subarray(start, start + BATCH));
      const loss = network.step(labels, LEARNING_RATE * (1 - losses.length / steps));
      losses.push(loss);
      const right = network.answers().filter((answer, n) => answer === labels[n]).length;
      progress.step(BATCH, loss, right);
      // A step keeps the one thread busy for some milliseconds. Here everything else has its turn:
      // Ctrl-C, the bar.
      await setImmediate();
    }
    progress.endEpoch();
  }
  return { losses, seconds: progress.seconds, digitsPerSecond: progress.speed };
}

/**
 * @param {import("./idx.js").Digits} digits
 * @returns {Promise<Uint8Array>} What the network takes each of them for
 */
async function read(digits) {
  const answers = new Uint8Array(digits.count);
  const indices = Array.from(answers.keys());
  for (let start = 0; start < digits.count; start += BATCH) {
    load(digits, indices.slice(start, start + BATCH));
    answers.set(network.predict(), start);
    await setImmediate();
  }
  return answers;
}
