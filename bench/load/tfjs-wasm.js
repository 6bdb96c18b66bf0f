// @ts-check
import { createRequire } from "node:module";
import { dirname } from "node:path";
import * as wasm from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { b1, b2, C, D, H, input, w1, w2 } from "./operands.js";

const require = createRequire(import.meta.url);
wasm.setWasmPaths(`${dirname(require.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
await tf.setBackend("wasm");
const hidden = tf.fused.matMul({
  a: tf.tensor2d(input, [1, D]),
  b: tf.tensor2d(w1, [D, H]),
  bias: tf.tensor1d(b1),
  activation: "relu",
});
const out = tf.fused.matMul({ a: hidden, b: tf.tensor2d(w2, [H, C]), bias: tf.tensor1d(b2) });
console.log(JSON.stringify([...out.dataSync()]));
