// @ts-check
// ONNX Runtime's two faces share an interface: WebAssembly and native. Neither trains.

import onnxProto from "onnx-proto";
import { localAsync } from "../support/measure.js";

const { onnx } = onnxProto;
const FLOAT = onnx.TensorProto.DataType.FLOAT;

export async function openWeb() {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  // Its first session makes Worker a global of Node, by which jax-js would then judge this host: take it back.
  const hadWorker = "Worker" in globalThis;
  await ort.InferenceSession.create(productModel(1, 1, 1, Float32Array.of(1)));
  if (!hadWorker) Reflect.deleteProperty(globalThis, "Worker");
  return participant(ort, "onnxruntime-web", "wasm", `${ort.env.versions.web}`);
}

export async function openNative() {
  const ort = await import("onnxruntime-node");
  const version = `${ort.env.versions.node}, native, its widest vectors`;
  return participant(ort, "onnxruntime-node", "cpu", version);
}

/**
 * @param {any} ort
 * @param {string} name
 * @param {"wasm" | "cpu"} provider
 * @param {string} version
 * @returns {import("./index.js").Participant}
 */
function participant(ort, name, provider, version) {
  /**
   * @param {Uint8Array} model
   * @param {Float32Array} input
   * @param {number[]} shape
   */
  async function contender(model, input, shape) {
    const session = await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      graphOptimizationLevel: "all",
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    });
    const feeds = { x: new ort.Tensor("float32", input, shape) };
    return {
      name,
      time: localAsync(() => session.run(feeds)),
      result: async () => /** @type {Float32Array} */ ((await session.run(feeds)).scores.data),
      dispose: () => session.release(),
    };
  }
  return {
    name,
    version,
    // What it is made for: the weights are constants of the model, the input comes and goes as an array.
    product: ({ M, N, K, direction, x, w }) =>
      direction === "forward" ? contender(productModel(M, N, K, w), x, [M, K]) : null,
    network: (work, input) => contender(networkModel(work), input, [work.batch, work.sizes[0]]),
  };
}

/**
 * @param {number} M
 * @param {number} N
 * @param {number} K
 * @param {Float32Array} w
 */
function productModel(M, N, K, w) {
  const node = [{ opType: "MatMul", input: ["x", "w"], output: ["scores"] }];
  return model(node, [constant("w", [K, N], w)], [M, K], [M, N]);
}

/** @param {import("./index.js").Network} work */
export function networkModel({ sizes, batch, weights, biases }) {
  const nodes = [];
  const constants = [];
  let input = "x";
  for (const [i, w] of weights.entries()) {
    const isLast = i === weights.length - 1;
    const output = isLast ? "scores" : `sum${i}`;
    nodes.push({ opType: "Gemm", input: [input, `w${i}`, `b${i}`], output: [output] });
    if (!isLast) nodes.push({ opType: "Relu", input: [output], output: [`active${i}`] });
    constants.push(constant(`w${i}`, [sizes[i], sizes[i + 1]], w));
    constants.push(constant(`b${i}`, [sizes[i + 1]], biases[i]));
    input = `active${i}`;
  }
  return model(nodes, constants, [batch, sizes[0]], [batch, sizes[sizes.length - 1]]);
}

/**
 * @param {string} name
 * @param {number[]} dims
 * @param {Float32Array} values
 */
function constant(name, dims, values) {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, dims, dataType: FLOAT, rawData };
}

/**
 * @param {import("onnx-proto").onnx.INodeProto[]} node
 * @param {import("onnx-proto").onnx.ITensorProto[]} initializer
 * @param {number[]} inputShape
 * @param {number[]} outputShape
 */
function model(node, initializer, inputShape, outputShape) {
  const value = (/** @type {string} */ name, /** @type {number[]} */ shape) => ({
    name,
    type: { tensorType: { elemType: FLOAT, shape: { dim: shape.map((d) => ({ dimValue: d })) } } },
  });
  return onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: "", version: 13 }],
    graph: {
      name: "network",
      node,
      initializer,
      input: [value("x", inputShape)],
      output: [value("scores", outputShape)],
    },
  }).finish();
}
