// @ts-check
// What load.js has written for the scripts beside this one.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export const folder = process.argv[2];
export const [D, H, C] = [784, 128, 10];

const floats = (/** @type {string} */ name) =>
  new Float32Array(new Uint8Array(readFileSync(join(folder, name))).buffer);

export const input = floats("input");
const weights = floats("weights");
let end = 0;
const take = (/** @type {number} */ n) => {
  end += n;
  return weights.subarray(end - n, end);
};
export const [w1, b1, w2, b2] = [take(D * H), take(H), take(H * C), take(C)];
