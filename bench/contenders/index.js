// @ts-check
// Who takes part. Each module opens one participant, who answers the questions that it can; what cannot be opened
// is named with its reason.

/**
 * One product of an affine layer: x (M, K), w (K, N), dout (M, N);
 * forward x · w → (M, N), dx dout · wᵀ → (M, K), dw xᵀ · dout → (K, N).
 *
 * @typedef {object} Product
 * @property {number} M
 * @property {number} N
 * @property {number} K
 * @property {"forward" | "dx" | "dw"} direction
 * @property {Float32Array} x
 * @property {Float32Array} w
 * @property {Float32Array} dout
 *
 * Affine layers with ReLU between them; weights[i] is (sizes[i], sizes[i + 1]).
 *
 * @typedef {object} Network
 * @property {number[]} sizes
 * @property {number} batch
 * @property {Float32Array[]} weights
 * @property {Float32Array[]} biases
 *
 * The same with the mean softmax loss and SGD with momentum; each step takes the next batch.
 *
 * @typedef {Network & { inputs: Float32Array[], labels: Int32Array[], rate: number, momentum: number }} Training
 *
 * @typedef {import("../support/measure.js").Timed & {
 *   result: () => Promise<Float32Array> | Float32Array,
 *   dispose: () => unknown,
 * }} Contender `result` is that of one call, and for a training all parameters as they are, layer by layer: w, b
 *
 * @typedef {object} Participant
 * @property {string} name
 * @property {string} version With what must be known to read its figures
 * @property {(work: Product) => Contender | Promise<Contender> | null} [product]
 * @property {(work: Network, input: Float32Array) => Contender | Promise<Contender>} [network] From an array to
 *   scores that JavaScript can read
 * @property {(work: Training) => Contender | Promise<Contender>} [training]
 * @property {(work: ImageNetwork, batch: number, input: Float32Array) => Contender | Promise<Contender>} [images] As
 *   network; input (batch, H, W, C)
 * @property {() => void} [close]
 *
 * @typedef {import("../support/image_networks.js").ImageNetwork} ImageNetwork
 * @typedef {{ name: string, reason: string }} Missing
 */

/** @type {[name: string, open: () => Promise<Participant | Participant[]>][]} */
const modules = [
  ["Lamella", async () => (await import("./lamella.js")).open()],
  ["Lamella, relaxed", async () => (await import("./lamella.js")).openRelaxed()],
  ["Lamella, 2 threads", async () => (await import("./lamella.js")).openThreads()],
  ["tfjs-wasm", async () => (await import("./tfjs.js")).open()],
  ["onnxruntime-web", async () => (await import("./onnxruntime.js")).openWeb()],
  ["jax-js", async () => (await import("./jax.js")).open()],
  ["onnxruntime-node", async () => (await import("./onnxruntime.js")).openNative()],
  ["NumPy", async () => (await import("./numpy.js")).open()],
];

/** @param {boolean} isAlone Lamella without its peers */
export async function openParticipants(isAlone) {
  /** @type {Participant[]} */
  const participants = [];
  /** @type {Missing[]} */
  const missing = [];
  for (const [name, open] of isAlone ? modules.slice(0, 1) : modules) {
    try {
      participants.push(...[await open()].flat());
    } catch (error) {
      if (name === "Lamella") throw error;
      const message = error instanceof Error ? error.message : String(error);
      const [reason] = message.split(/\n| imported from /); // no paths of this machine in the report
      missing.push({ name, reason });
    }
  }
  return { participants, missing };
}
