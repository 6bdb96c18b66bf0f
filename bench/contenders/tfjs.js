// @ts-check
import { createRequire } from "node:module";
import { dirname } from "node:path";
// Where the gradients are registered; the core's own bundle for Node leaves them out.
import "@tensorflow/tfjs";
import * as wasm from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { local } from "../support/measure.js";

const name = "tfjs-wasm";

/** @returns {Promise<import("./index.js").Participant>} */
export async function open() {
  const require = createRequire(import.meta.url);
  wasm.setWasmPaths(`${dirname(require.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
  wasm.setThreadsCount(1);
  if (!(await tf.setBackend("wasm"))) throw new Error("its wasm backend does not start");
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  return {
    name,
    version: `${tf.version_core}, ${simd ? "SIMD" : "no SIMD"}`,
    product,
    network,
    training,
    images,
  };
}

/**
 * The core's fused operations, as a converted graph runs.
 *
 * @param {import("./index.js").ImageNetwork} work
 * @param {number} batch
 * @param {Float32Array} input
 */
function images({ input: shape, layers }, batch, input) {
  const weights = layers.map((layer) => {
    if (!("weight" in layer)) return null;
    const { weight, bias } = layer;
    if (layer.kind === "affine") {
      const shape = /** @type {[number, number]} */ ([weight.length / layer.units, layer.units]);
      return { filter: tf.tensor2d(weight, shape), bias: tf.tensor1d(bias) };
    }
    const { kernel, filters, groups } = layer;
    const depth = layer.in[2] / groups;
    const last = groups > 1 ? [filters, 1] : [depth, filters];
    return { filter: tf.tensor(weight, [...kernel, ...last]), bias: tf.tensor1d(bias) };
  });
  const call = () => {
    const scores = tf.tidy(() => {
      /** @type {any} */
      let x = tf.tensor(input, [batch, ...shape]);
      for (const [i, layer] of layers.entries()) {
        if (layer.kind === "maxPool") x = tf.maxPool(x, 2, 2, "valid");
        else if (layer.kind === "globalAverage") x = tf.mean(x, [1, 2]);
        else {
          const { filter, bias } = /** @type {any} */ (weights[i]);
          const activation = layer.relu ? "relu" : "linear";
          if (layer.kind === "affine") {
            x = tf.fused.matMul({ a: x.reshape([batch, -1]), b: filter, bias, activation });
          } else {
            const fused = layer.groups > 1 ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
            x = fused({ x, filter, strides: layer.stride, pad: "same", bias, activation });
          }
        }
      }
      return x;
    });
    const data = /** @type {Float32Array} */ (scores.dataSync());
    scores.dispose();
    return data;
  };
  return {
    name,
    time: local(call),
    result: () => call().slice(),
    dispose: () => tf.dispose(weights),
  };
}

/** @param {import("./index.js").Product} work */
function product({ M, N, K, direction, x, w, dout }) {
  const [xs, ws, ds] = [tf.tensor2d(x, [M, K]), tf.tensor2d(w, [K, N]), tf.tensor2d(dout, [M, N])];
  const calls = {
    forward: () => tf.matMul(xs, ws),
    dx: () => tf.matMul(ds, ws, false, true),
    dw: () => tf.matMul(xs, ds, true, false),
  };
  const call = calls[direction];
  return {
    name,
    time: local(() => call().dispose()),
    result: () => /** @type {Float32Array} */ (tf.tidy(() => call().dataSync())),
    dispose: () => tf.dispose([xs, ws, ds]),
  };
}

/**
 * @param {tf.Tensor} x
 * @param {{ w: tf.Tensor, b: tf.Tensor }[]} layers
 */
function scores(x, layers) {
  let a = x;
  for (const [i, { w, b }] of layers.entries()) {
    const activation = i < layers.length - 1 ? "relu" : "linear";
    a = tf.fused.matMul({ a, b: w, bias: b, activation });
  }
  return a;
}

/**
 * @param {import("./index.js").Network} work
 * @param {Float32Array} input
 */
function network({ sizes, batch, weights, biases }, input) {
  const layers = weights.map((w, i) => ({
    w: tf.tensor2d(w, [sizes[i], sizes[i + 1]]),
    b: tf.tensor1d(biases[i]),
  }));
  const call = () =>
    /** @type {Float32Array} */ (
      tf.tidy(() => scores(tf.tensor2d(input, [batch, sizes[0]]), layers).dataSync())
    );
  return { name, time: local(call), result: call, dispose: () => tf.dispose(layers) };
}

/** @param {import("./index.js").Training} work */
function training({ sizes, batch, weights, biases, inputs, labels, rate, momentum }) {
  const layers = weights.map((w, i) => ({
    w: tf.variable(tf.tensor2d(w, [sizes[i], sizes[i + 1]])),
    b: tf.variable(tf.tensor1d(biases[i])),
  }));
  const classes = sizes[sizes.length - 1];
  const batches = inputs.map((x, i) => ({
    x: tf.tensor2d(x, [batch, sizes[0]]),
    y: tf.oneHot(tf.tensor1d(labels[i], "int32"), classes),
  }));
  const optimizer = tf.train.momentum(rate, momentum);
  let step = 0;
  const call = () =>
    tf.tidy(() => {
      const { x, y } = batches[step++ % batches.length];
      optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, scores(x, layers)));
    });
  return {
    name,
    time: local(call),
    result() {
      const parts = layers.flatMap(({ w, b }) => [...w.dataSync(), ...b.dataSync()]);
      return Float32Array.from(parts);
    },
    dispose() {
      optimizer.dispose();
      tf.dispose([layers, batches]);
    },
  };
}
