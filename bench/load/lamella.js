// @ts-check
// Without operands.js, whose weights are in the file already.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadPredictor } from "../../build/predict.js";

const read = (/** @type {string} */ name) => readFileSync(join(process.argv[2], name));
const predictor = await loadPredictor(read("model.safetensors"));
const input = new Float32Array(new Uint8Array(read("input")).buffer);
console.log(JSON.stringify([...predictor.predict(input)]));
