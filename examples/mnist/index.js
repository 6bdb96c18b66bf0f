// @ts-check
// Teaches a network to read the handwritten digits of MNIST, and shows how well it reads new ones:
//
//   node examples/mnist/index.js [--epochs N] [--seed N]
//
// This file is the story; ../support/idx.js reads the files, terminal.js draws, options.js has the command line.

import {
  affine,
  batchnorm,
  createRuntime,
  dropout,
  linear,
  momentum,
  normalize,
  relu,
  Sequential,
  Trainer,
} from "lamella";
import { readMnist } from "../support/idx.js";
import { readOptions } from "./options.js";
import {
  digitsShown,
  drawConfusion,
  drawDigits,
  drawLosses,
  endOnSignals,
  heading,
  integer,
  Progress,
  percent,
  wrap,
} from "./terminal.js";

const BATCH = 125;
const { epochs, seed } = readOptions();
endOnSignals();

const { train, test } = readMnist();
const first = Array.from({ length: digitsShown }, (_, i) => i);
console.log(heading("Digits to learn from"));
console.log(
  drawDigits(first.map((i) => ({ image: imageOf(train, i), caption: `${train.labels[i]}` }))),
);

const runtime = await createRuntime();
// A bias before batch normalisation would be taken away with the mean.
const hidden = (/** @type {number} */ units) => [
  affine(units, { useBias: false }),
  batchnorm(),
  relu(),
  dropout(0.2),
];
const model = new Sequential(runtime, {
  input: [28 * 28],
  layers: [normalize({ mean: 0, std: 255 }), ...hidden(256), ...hidden(128), affine(10)],
  seed,
});
const steps = epochs * Math.ceil(train.count / BATCH);
const trainer = new Trainer(model, {
  loss: "softmax",
  optimizer: momentum({ learningRate: linear({ from: 0.2, steps }) }),
  seed,
});

console.log(heading(`Learning from ${integer(train.count)} digits`));
const progress = new Progress(epochs, train.count);
/** @type {number[]} */
const losses = [];
const data = { x: train.images, y: train.labels };
for await (const event of trainer.fit(data, { epochs, batchSize: BATCH })) {
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

const answers = model.classify(test.images);
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
${seconds.toFixed(1)} s of training, ${integer(speed)} digits/s; ${(performance.now() / 1000).toFixed(1)} s in all
memory: ${megabytes(bytesLive)} in use, ${megabytes(bytesReserved)} reserved`),
);

/**
 * @param {import("../support/idx.js").Digits} digits
 * @param {number} i
 */
function imageOf({ images }, i) {
  return images.subarray(i * 784, (i + 1) * 784);
}
