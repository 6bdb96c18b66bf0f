// @ts-check
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { env, InferenceSession, Tensor } from "onnxruntime-web";
import { D, folder, input } from "./operands.js";

env.wasm.numThreads = 1;
const session = await InferenceSession.create(readFileSync(join(folder, "model.onnx")));
const { scores } = await session.run({ x: new Tensor("float32", input, [1, D]) });
console.log(JSON.stringify([.../** @type {Float32Array} */ (scores.data)]));
