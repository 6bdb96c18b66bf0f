// @ts-check
// The network and its training step, from the library's calls: each hidden layer is
//
//   affine → batch normalisation → ReLU → dropout
//
// and an affine layer on top gives each class a score. The tensors that a step writes are made
// once, here, and given to the calls as destinations, so that training allocates next to nothing.

import {
  affineBackward,
  affineForward,
  batchnormBackward,
  batchnormForward,
  dropoutBackward,
  dropoutForward,
  reluBackward,
  reluForward,
  softmaxLoss,
} from "lamella";

/**
 * @typedef {import("lamella").Tensor<"float32">} Tensor
 * @typedef {{ value: Tensor, gradient: Tensor, velocity: Tensor }} Parameter
 */

export class Network {
  /**
   * @param {import("lamella").Runtime} runtime
   * @param {import("lamella").Random} random Draws the weights
   * @param {object} options
   * @param {number[]} options.sizes Of the input, of each hidden layer, and the number of classes
   * @param {number} options.batch The number of examples in every batch
   * @param {number} options.dropout The probability of dropping a hidden value in training
   * @param {number} options.momentum
   */
  constructor(runtime, random, { sizes, batch, dropout, momentum }) {
    this.runtime = runtime;
    this.momentum = momentum;
    this.dropout = dropout;

    /** @type {Parameter[]} */
    this.parameters = [];
    const parameter = (/** @type {Tensor} */ value) => {
      const [gradient, velocity] = [runtime.zeros(value.shape), runtime.zeros(value.shape)];
      this.parameters.push({ value, gradient, velocity });
      return { value, gradient };
    };
    // He et al., 2015: with this deviation the signal keeps its size from layer to layer.
    const weights = (/** @type {number} */ D, /** @type {number} */ M) =>
      runtime.scope(() => {
        const draws = random.randn(D, M).data;
        const deviation = Math.sqrt(2 / D);
        return runtime.tensor(
          Float32Array.from(draws, (draw) => draw * deviation),
          [D, M],
        );
      });
    const buffer = (/** @type {number} */ columns) => runtime.zeros([batch, columns]);

    const classes = sizes[sizes.length - 1];
    this.x = buffer(sizes[0]);
    this.hidden = sizes.slice(1, -1).map((M, i) => ({
      w: parameter(weights(sizes[i], M)),
      // Batch normalisation takes the mean away, and any bias with it: beta does that work, and
      // b stays 0.
      b: runtime.zeros([M]),
      gamma: parameter(runtime.ones([M])),
      beta: parameter(runtime.zeros([M])),
      /** @type {import("lamella").BatchnormParam<"float32">} */
      bnParam: { mode: "train" }, // the first batch puts the running mean and variance into it
      sums: buffer(M),
      dsums: buffer(M),
      active: buffer(M),
      dactive: buffer(M),
    }));
    this.top = {
      w: parameter(weights(sizes[sizes.length - 2], classes)),
      b: parameter(runtime.zeros([classes])),
      scores: buffer(classes),
      dscores: buffer(classes),
    };
  }

  /**
   * The scores of the batch in `x`, and what `backward` needs: a cache from every call.
   *
   * @param {"train" | "test"} mode
   */
  forward(mode) {
    let { x } = this;
    const caches = this.hidden.map(({ w, b, gamma, beta, bnParam, sums, active }) => {
      bnParam.mode = mode;
      const affine = affineForward(x, w.value, b, { out: sums });
      const norm = batchnormForward(sums, gamma.value, beta.value, bnParam, { out: active });
      // ReLU and dropout may work in place. ReLU's backward looks for what is above 0: a value that
      // dropout sets to 0 has gradient 0 either way.
      const relu = reluForward(active, { out: active });
      const drop = dropoutForward(active, { p: this.dropout, mode }, { out: active });
      x = active;
      return { affine: affine.cache, norm: norm.cache, relu: relu.cache, drop: drop.cache };
    });
    const { w, b, scores } = this.top;
    const top = affineForward(x, w.value, b.value, { out: scores }).cache;
    return { scores, caches: { hidden: caches, top } };
  }

  /**
   * The gradient of every parameter, from that of the scores in `top.dscores`.
   *
   * @param {ReturnType<Network["forward"]>["caches"]} caches
   */
  backward(caches) {
    const { top, hidden } = this;
    const last = hidden.length - 1;
    affineBackward(top.dscores, caches.top, {
      dx: hidden[last].dactive,
      dw: top.w.gradient,
      db: top.b.gradient,
    });
    for (let i = last; i >= 0; i--) {
      const { w, gamma, beta, dsums, dactive } = hidden[i];
      const { affine, norm, relu, drop } = caches.hidden[i];
      dropoutBackward(dactive, drop, { dx: dactive });
      reluBackward(dactive, relu, { dx: dactive });
      batchnormBackward(dactive, norm, {
        dx: dsums,
        dgamma: gamma.gradient,
        dbeta: beta.gradient,
      });
      affineBackward(dsums, affine, {
        // Nobody asks for the gradient of the pixels, and it would cost the most of all.
        dx: i > 0 ? hidden[i - 1].dactive : false,
        dw: w.gradient,
        db: false,
      });
    }
  }

  /**
   * Stochastic gradient descent with momentum.
   *
   * @param {number} rate
   */
  update(rate) {
    const { momentum } = this;
    for (const { value, gradient, velocity } of this.parameters) {
      const { size } = value;
      // `data` is a live view of the tensor: what is written here, the next forward computes with.
      const [w, dw, v] = [value.data, gradient.data, velocity.data];
      for (let i = 0; i < size; i++) {
        const move = momentum * v[i] - rate * dw[i];
        v[i] = move;
        w[i] += move;
      }
    }
  }

  /**
   * One step of training on the batch in `x`.
   *
   * @param {Uint8Array} labels
   * @param {number} rate
   * @returns {number} The loss, before the step
   */
  step(labels, rate) {
    // The scope frees what the calls still have to make: caches, and dropout's masks.
    return this.runtime.scope(() => {
      const { scores, caches } = this.forward("train");
      const { loss } = softmaxLoss(scores, labels, { dx: this.top.dscores });
      this.backward(caches);
      this.update(rate);
      return loss;
    });
  }

  /** Which class each example of the batch in `x` is taken for. */
  predict() {
    this.runtime.scope(() => {
      this.forward("test"); // not returned: what a scope returns, it does not free
    });
    return this.answers();
  }

  /** The class with the highest score, for each example of the batch that went through last. */
  answers() {
    const { data, shape } = this.top.scores;
    const [batch, classes] = shape;
    return Uint8Array.from({ length: batch }, (_, n) => {
      const scores = data.subarray(n * classes, (n + 1) * classes);
      return scores.indexOf(Math.max(...scores));
    });
  }
}
