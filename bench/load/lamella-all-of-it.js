// @ts-check
// Without operands.js, whose weights are in the file already.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRuntime, loadModel } from "../../build/index.js";

const read = (/** @type {string} */ name) => readFileSync(join(process.argv[2], name));
const model = loadModel(await createRuntime(), read("model.safetensors"));
const input = new Float32Array(new Uint8Array(read("input")).buffer);
console.log(JSON.stringify([...model.predict(input).data]));
