// @ts-check
import { availableParallelism } from "node:os";

import relaxed from "../../build/relaxed.js";
import shared from "../../build/shared.js";
import {
  affine,
  affineBackward,
  affineForward,
  conv2d,
  createRuntime,
  createRuntimeSync,
  globalAvgPool,
  maxPool2d,
  momentum as momentumOptimizer,
  relu,
  Sequential,
  softmaxLoss,
  Trainer,
  version,
} from "../support/lamella.js";
import { local } from "../support/measure.js";

const name = "Lamella";
/** The layers again, on the core with fused multiply-add. */
export const RELAXED = "Lamella, relaxed";
/** On two threads, strict. */
export const TWO_THREADS = "Lamella, 2 threads";
/** What a network is served by. */
export const PREDICTOR = "Lamella, compiled";

/** All share one, as in any program. */
export const runtime = createRuntimeSync();

/**
 * Whose layers are measured.
 *
 * @typedef {{ name: string, runtime: import("../../build/index.js").Runtime }} Own
 */

/** @type {Own} */
export const strict = { name, runtime };

/** @returns {import("./index.js").Participant[]} */
export function open() {
  const full = `${version}, ${runtime.variant}`;
  return [
    { ...layers(strict), version: full },
    { name: PREDICTOR, version: full, network: predictor, images },
    { name: "Lamella, Trainer", version: full, training: trainer },
  ];
}

/** @returns {import("./index.js").Participant} */
export function openRelaxed() {
  const own = { name: RELAXED, runtime: createRuntimeSync({ wasm: relaxed }) };
  const { variant } = own.runtime;
  if (variant !== "relaxed") throw new Error("this Node does not know relaxed SIMD");
  const { product, training } = layers(own);
  return { name: RELAXED, version: `${version}, ${variant}`, product, training };
}

/** @returns {Promise<import("./index.js").Participant>} */
export async function openThreads() {
  if (availableParallelism() < 2) throw new Error("there is one core");
  const runtime = await createRuntime({ wasm: shared, threads: 2 });
  const { product, training } = layers({ name: TWO_THREADS, runtime });
  const close = () => runtime.dispose();
  return { name: TWO_THREADS, version: `${version}, ${runtime.variant}`, product, training, close };
}

/** @param {Own} own */
const layers = (own) => ({
  name: own.name,
  product: (/** @type {import("./index.js").Product} */ work) => product(own, work),
  network: (/** @type {import("./index.js").Network} */ work, /** @type {Float32Array} */ input) =>
    network(own, work, input),
  training: (/** @type {import("./index.js").Training} */ work) => training(own, work),
});

/** What a contender holds until it is disposed. */
function holder() {
  /** @type {{ dispose(): void }[]} */
  const held = [];
  return {
    /**
     * @template {{ dispose(): void }} R
     * @param {R} resource
     */
    hold(resource) {
      held.push(resource);
      return resource;
    },
    dispose() {
      for (const resource of held) resource.dispose();
    },
  };
}

/**
 * @param {Own} own
 * @param {import("./index.js").Product} work
 */
function product({ name, runtime }, { M, N, K, direction, x, w, dout }) {
  const { hold, dispose } = holder();
  const xs = hold(runtime.tensor(x, [M, K]));
  const ws = hold(runtime.tensor(w, [K, N]));
  const b = hold(runtime.zeros([N]));
  const upstream = hold(runtime.tensor(dout, [M, N]));
  const out = hold(runtime.zeros([M, N]));
  const dx = hold(runtime.zeros([M, K]));
  const dw = hold(runtime.zeros([K, N]));
  const cache = hold(affineForward(xs, ws, b, { out }).cache);
  const calls = {
    forward: () => affineForward(xs, ws, b, { out }),
    dx: () => affineBackward(upstream, cache, { dx, dw: false, db: false }),
    dw: () => affineBackward(upstream, cache, { dx: false, dw, db: false }),
  };
  const call = calls[direction];
  const inScope = () =>
    runtime.scope(() => {
      call();
    });
  return {
    name,
    time: local(inScope),
    result() {
      inScope();
      return { forward: out, dx, dw }[direction].toTypedArray();
    },
    dispose,
  };
}

/**
 * @param {Own} own
 * @param {import("./index.js").Network} work
 * @param {Float32Array} input
 */
function network({ name, runtime }, { sizes, batch, weights, biases }, input) {
  const { hold, dispose } = holder();
  const x = hold(runtime.zeros([batch, sizes[0]]));
  const layers = weights.map((w, i) => ({
    w: hold(runtime.tensor(w, [sizes[i], sizes[i + 1]])),
    b: hold(runtime.tensor(biases[i])),
    options: {
      out: hold(runtime.zeros([batch, sizes[i + 1]])),
      activation: i < weights.length - 1 ? /** @type {const} */ ("relu") : undefined,
    },
  }));
  const scores = layers[layers.length - 1].options.out;
  const call = () => {
    x.data.set(input);
    runtime.scope(() => {
      let h = x;
      for (const { w, b, options } of layers) h = affineForward(h, w, b, options).out;
    });
    return scores.data;
  };
  return {
    name,
    time: local(call),
    result: () => call().slice(),
    dispose,
  };
}

/** @param {Pick<import("./index.js").Network, "sizes" | "weights" | "biases">} work */
function modelOf({ sizes, weights, biases }) {
  const last = weights.length - 1;
  const model = new Sequential(runtime, {
    input: [sizes[0]],
    layers: weights.flatMap((_, i) =>
      i < last ? [affine(sizes[i + 1]), relu()] : [affine(sizes[i + 1])],
    ),
  });
  const values = weights.flatMap((w, i) => [w, biases[i]]);
  model.parameters().forEach(({ value }, i) => {
    value.data.set(values[i]);
  });
  return model;
}

/** @param {import("./index.js").ImageNetwork} work */
export function imageModelOf({ input, layers }) {
  const model = new Sequential(runtime, {
    input,
    layers: layers.flatMap((layer) => {
      if (layer.kind === "maxPool") return [maxPool2d(2)];
      if (layer.kind === "globalAverage") return [globalAvgPool()];
      const { kind, relu: isActive } = layer;
      const after = isActive ? [relu()] : [];
      if (kind === "affine") return [affine(layer.units), ...after];
      const { filters, kernel, stride, groups } = layer;
      return [conv2d(filters, kernel, { stride, groups, padding: "same" }), ...after];
    }),
  });
  const values = layers.flatMap((layer) => ("weight" in layer ? [layer.weight, layer.bias] : []));
  model.parameters().forEach(({ value }, i) => {
    value.data.set(values[i]);
  });
  return model;
}

/**
 * @param {import("./index.js").Network} work
 * @param {Float32Array} input
 */
const predictor = (work, input) => compiled(modelOf(work), work.batch, input);

/**
 * @param {import("./index.js").ImageNetwork} work
 * @param {number} batch
 * @param {Float32Array} input
 */
const images = (work, batch, input) => compiled(imageModelOf(work), batch, input);

/**
 * As one serves: the caller's array goes into the predictor's input, and its output is read where it lies.
 *
 * @param {import("../../build/index.js").Sequential} model
 * @param {number} maxBatch
 * @param {Float32Array} input
 */
function compiled(model, maxBatch, input) {
  const compiled = model.compile({ maxBatch });
  model.dispose();
  const call = () => {
    compiled.input.set(input);
    compiled.run();
    return compiled.output;
  };
  return {
    name: PREDICTOR,
    time: local(call),
    result: () => call().slice(),
    dispose: () => compiled.dispose(),
  };
}

/** @param {import("./index.js").Training} work */
function trainer(work) {
  const { inputs, labels, rate, momentum } = work;
  const model = modelOf(work);
  const optimizer = momentumOptimizer({ learningRate: rate, momentum });
  const training = new Trainer(model, { loss: "softmax", optimizer });
  let step = 0;
  return {
    name: "Lamella, Trainer",
    time: local(() => {
      const i = step++ % inputs.length;
      training.step(inputs[i], labels[i]);
    }),
    result: () => Float32Array.from(model.parameters().flatMap(({ value }) => [...value.data])),
    dispose() {
      training.dispose();
      model.dispose();
    },
  };
}

/**
 * @param {Own} own
 * @param {import("./index.js").Training} work
 */
export function training({ name, runtime }, work) {
  const { sizes, batch, weights, biases, inputs, labels, rate, momentum } = work;
  const { hold, dispose } = holder();
  /** @param {import("../../build/index.js").Tensor<"float32">} value */
  const parameter = (value) => ({
    value: hold(value),
    gradient: hold(runtime.zeros(value.shape)),
    velocity: hold(runtime.zeros(value.shape)),
  });
  const layers = weights.map((w, i) => ({
    w: parameter(runtime.tensor(w, [sizes[i], sizes[i + 1]])),
    b: parameter(runtime.tensor(biases[i])),
    out: hold(runtime.zeros([batch, sizes[i + 1]])),
    dout: hold(runtime.zeros([batch, sizes[i + 1]])),
  }));
  const last = layers.length - 1;
  const batches = inputs.map((x, i) => ({
    x: hold(runtime.tensor(x, [batch, sizes[0]])),
    y: hold(runtime.tensor(labels[i])),
  }));
  const update = sgdMomentum(rate, momentum, runtime);

  let step = 0;
  const call = () =>
    runtime.scope(() => {
      const { x, y } = batches[step++ % batches.length];
      let h = x;
      const caches = layers.map(({ w, b, out }, i) => {
        const activation = i < last ? /** @type {const} */ ("relu") : undefined;
        const { cache } = affineForward(h, w.value, b.value, { out, activation });
        h = out;
        return cache;
      });
      softmaxLoss(h, y, { dx: layers[last].dout });
      for (let i = last; i >= 0; i--) {
        const { w, b, dout } = layers[i];
        const dx = i > 0 ? layers[i - 1].dout : false; // nobody asks for the gradient of the input
        affineBackward(dout, caches[i], { dx, dw: w.gradient, db: b.gradient });
      }
      for (const { w, b } of layers) {
        update(w);
        update(b);
      }
    });
  return {
    name,
    time: local(call),
    result() {
      const parts = layers.flatMap(({ w, b }) => [...w.value.data, ...b.value.data]);
      return Float32Array.from(parts);
    },
    dispose,
  };
}

/**
 * The update of one parameter by the core's own kernel, behind the facade's back, as Trainer calls it; nothing else here
 * knows the inside of a runtime.
 *
 * @param {number} rate
 * @param {number} momentum
 * @param {import("../../build/index.js").Runtime} runtime
 */
export function sgdMomentum(rate, momentum, runtime) {
  const { core } = /** @type {any} */ (runtime);
  const kernel = core.float32.sgd_momentum;
  return (/** @type {Record<"value" | "velocity" | "gradient", any>} */ parameter) => {
    const { value, velocity, gradient } = parameter;
    kernel(value.address, velocity.address, gradient.address, value.size, rate, momentum);
  };
}
