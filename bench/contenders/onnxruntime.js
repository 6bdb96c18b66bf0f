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
    images(work, batch, input) {
      const [H, W, C] = work.input;
      if (C === undefined) return contender(imageModel(work, batch), input, [batch, H]);
      const planes = permuted(input, [batch, H, W, C], [0, 3, 1, 2]);
      return contender(imageModel(work, batch), planes, [batch, C, H, W]);
    },
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
 * The values with their axes in another order.
 *
 * @param {Float32Array} values
 * @param {number[]} shape
 * @param {number[]} order
 */
function permuted(values, shape, order) {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const out = new Float32Array(values.length);
  let at = 0;
  /** @param {number} axis @param {number} place */
  const visit = (axis, place) => {
    if (axis === order.length) out[at++] = values[place];
    else {
      for (let i = 0; i < shape[order[axis]]; i++)
        visit(axis + 1, place + i * strides[order[axis]]);
    }
  };
  visit(0, 0);
  return out;
}

/**
 * Images are (N, C, H, W) there, and filters (F, C / groups, KH, KW).
 *
 * @param {import("./index.js").ImageNetwork} work
 * @param {number} batch
 */
export function imageModel({ input, layers }, batch) {
  /** @type {any[]} */
  const nodes = [];
  /** @type {any[]} */
  const constants = [];
  let value = "x";
  /** @param {string} opType @param {string[]} more @param {Record<string, number | number[] | string>} settings */
  const add = (opType, more = [], settings = {}) => {
    const output = `value${nodes.length}`;
    const attribute = Object.entries(settings).map(([name, given]) => {
      const { AttributeType } = onnx.AttributeProto;
      if (typeof given === "number") return { name, type: AttributeType.INT, i: given };
      if (typeof given === "string") {
        return { name, type: AttributeType.STRING, s: new TextEncoder().encode(given) };
      }
      return { name, type: AttributeType.INTS, ints: given };
    });
    nodes.push({ opType, input: [value, ...more], output: [output], attribute });
    value = output;
  };
  for (const [i, layer] of layers.entries()) {
    if (layer.kind === "maxPool") add("MaxPool", [], { kernel_shape: [2, 2], strides: [2, 2] });
    else if (layer.kind === "globalAverage") {
      add("GlobalAveragePool");
      add("Flatten");
    } else {
      const [H, W, C] = layer.in;
      let { weight } = layer;
      if (layer.kind === "affine") {
        if (C !== undefined) {
          add("Flatten");
          weight = permuted(weight, [H, W, C, layer.units], [2, 0, 1, 3]);
        }
        constants.push(constant(`w${i}`, [weight.length / layer.units, layer.units], weight));
      } else {
        const [KH, KW] = layer.kernel;
        const shape = [KH, KW, C / layer.groups, layer.filters];
        const order = [3, 2, 0, 1];
        const dims = order.map((axis) => shape[axis]);
        constants.push(constant(`w${i}`, dims, permuted(weight, shape, order)));
      }
      constants.push(constant(`b${i}`, [layer.bias.length], layer.bias));
      const operands = [`w${i}`, `b${i}`];
      if (layer.kind === "affine") add("Gemm", operands);
      else {
        const { kernel, stride, groups: group } = layer;
        const settings = { kernel_shape: kernel, strides: [stride, stride], group };
        add("Conv", operands, { ...settings, auto_pad: "SAME_UPPER" });
      }
      if (layer.relu) add("Relu");
    }
  }
  nodes[nodes.length - 1].output = ["scores"];
  const [H, W, C] = input;
  const inputShape = C === undefined ? [batch, H] : [batch, C, H, W];
  return model(nodes, constants, inputShape, [batch, layers[layers.length - 1].out[0]]);
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
