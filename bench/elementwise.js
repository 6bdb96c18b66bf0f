// @ts-check
// How near do the layers without a product come to the speed at which memory can be copied?

import { runtime, sgdMomentum } from "./contenders/lamella.js";
import {
  batchnormBackward,
  batchnormForward,
  dropoutBackward,
  dropoutForward,
  reluBackward,
  reluForward,
  softmaxLoss,
  svmLoss,
} from "./support/lamella.js";
import { local, race, ratio } from "./support/measure.js";
import { checkClose, uniform } from "./support/numbers.js";
import { digits, duration, printTable } from "./support/table.js";

const SIZE = 1 << 20;
const SHAPE = [2048, 512];
const CLASSES = 16;
const P = 0.5;

/**
 * @typedef {object} Operation
 * @property {string} name
 * @property {number} passes How many times SIZE elements are read or written
 * @property {boolean} hasTarget
 * @property {() => unknown} call
 * @property {() => void} check Throws where the result of a call is wrong
 */

/** @returns {Operation[]} */
function operations() {
  const x = runtime.tensor(uniform(SIZE, 5), SHAPE);
  const dout = runtime.tensor(uniform(SIZE, 6), SHAPE);
  const out = runtime.zeros(SHAPE);
  const dx = runtime.zeros(SHAPE);
  const inScope = (/** @type {() => unknown} */ call) => () =>
    runtime.scope(() => {
      call();
    });
  /** @param {(x: number, dout: number) => number} f */
  const map = (f) => {
    const [xs, douts] = [x.data, dout.data];
    return xs.map((value, i) => f(value, douts[i]));
  };

  const relu = reluForward(x, { out }).cache;
  const dropoutParam = /** @type {const} */ ({ p: P, mode: "train" });
  const dropout = dropoutForward(x, dropoutParam, { out }).cache;
  const gamma = runtime.ones([SHAPE[1]]);
  const beta = runtime.zeros([SHAPE[1]]);
  /** @type {import("../build/index.js").BatchnormParam<"float32">} */
  const bnParam = { mode: "train" };
  const batchnorm = batchnormForward(x, gamma, beta, bnParam, { out }).cache;
  const dgamma = runtime.zeros([SHAPE[1]]);
  const dbeta = runtime.zeros([SHAPE[1]]);

  const rows = SIZE / CLASSES;
  const scores = x.reshape([rows, CLASSES]);
  const dscores = dx.reshape([rows, CLASSES]);
  const labels = Int32Array.from({ length: rows }, (_, i) => (7 * i) % CLASSES);
  const y = runtime.tensor(labels);

  const parameter = {
    value: runtime.tensor(uniform(SIZE, 7)),
    velocity: runtime.tensor(uniform(SIZE, 8)),
    gradient: runtime.tensor(uniform(SIZE, 9)),
  };
  const [rate, momentum] = [1e-3, 0.9];
  const update = sgdMomentum(rate, momentum, runtime);

  return [
    {
      name: "ReLU forward",
      passes: 2,
      hasTarget: true,
      call: inScope(() => reluForward(x, { out })),
      check: () =>
        checkClose(
          "ReLU forward",
          out.data,
          map((v) => Math.max(0, v)),
          0,
        ),
    },
    {
      name: "ReLU backward",
      passes: 3,
      hasTarget: true,
      call: () => reluBackward(dout, relu, { dx }),
      check: () =>
        checkClose(
          "ReLU backward",
          dx.data,
          map((v, d) => (v > 0 ? d : 0)),
          0,
        ),
    },
    {
      name: "dropout forward, unseeded",
      passes: 3, // x, mask, out
      hasTarget: true,
      call: inScope(() => dropoutForward(x, dropoutParam, { out })),
      check() {
        const xs = x.data;
        let kept = 0;
        const expected = out.data.map((value, i) => {
          if (value !== 0) kept++;
          return value === 0 ? 0 : xs[i] / (1 - P);
        });
        checkClose("dropout forward", out.data, expected, 1e-6);
        checkClose("dropout forward, what it keeps", [kept / SIZE], [1 - P], 0.01);
      },
    },
    {
      name: "dropout backward",
      passes: 3,
      hasTarget: true,
      call: () => dropoutBackward(dout, dropout, { dx }),
      check() {
        const mask = /** @type {import("../build/index.js").Tensor<"float32">} */ (dropout.mask);
        const [masks, douts] = [mask.data, dout.data];
        checkClose(
          "dropout backward",
          dx.data,
          douts.map((d, i) => d * masks[i]),
          0,
        );
      },
    },
    {
      name: "batchnorm forward, training",
      passes: 3, // x for the statistics, x again, out
      hasTarget: true,
      call: inScope(() => batchnormForward(x, gamma, beta, bnParam, { out })),
      check() {
        const { mean, variance } = columnMoments(out.data);
        checkClose(
          "batchnorm forward, mean + 1",
          mean.map((m) => m + 1),
          mean.map(() => 1),
          1e-5,
        );
        checkClose(
          "batchnorm forward, variance",
          variance,
          variance.map(() => 1),
          1e-4,
        ); // eps
      },
    },
    {
      name: "batchnorm backward",
      passes: 5, // dout and x for the sums, both again, dx
      hasTarget: true,
      call: () => batchnormBackward(dout, batchnorm, { dx, dgamma, dbeta }),
      check() {
        const { mean: m, variance } = columnMoments(x.data);
        const [xs, douts, D] = [x.data, dout.data, SHAPE[1]];
        const invStd = variance.map((v) => 1 / Math.sqrt(v + 1e-5));
        const normal = (/** @type {number} */ i) => (xs[i] - m[i % D]) * invStd[i % D];
        const { mean: sum } = columnMoments(douts);
        const { mean: weighted } = columnMoments(douts.map((d, i) => d * normal(i)));
        const expected = douts.map(
          (d, i) => invStd[i % D] * (d - sum[i % D] - normal(i) * weighted[i % D]),
        );
        checkClose("batchnorm backward", dx.data, expected, 1e-5); // float32 against float64
      },
    },
    {
      name: "softmax loss",
      passes: 2,
      hasTarget: false,
      call: () => softmaxLoss(scores, y, { dx: dscores }),
      check() {
        const exps = x.data.map(Math.exp);
        const sums = rowSums(exps);
        const expected = exps.map(
          (e, i) => (e / sums[Math.floor(i / CLASSES)] - isLabel(labels, i)) / rows,
        );
        checkClose("softmax loss", dx.data, expected, 1e-5); // float32 against float64
      },
    },
    {
      name: "SVM loss",
      passes: 2,
      hasTarget: false,
      call: () => svmLoss(scores, y, { dx: dscores }),
      check() {
        const xs = x.data;
        const above = xs.map((v, i) => {
          const row = Math.floor(i / CLASSES);
          const margin = Math.fround(v - xs[row * CLASSES + labels[row]]) + 1;
          return margin > 0 && !isLabel(labels, i) ? 1 : 0;
        });
        const sums = rowSums(above);
        const expected = above.map(
          (a, i) => (isLabel(labels, i) ? -sums[Math.floor(i / CLASSES)] : a) / rows,
        );
        checkClose("SVM loss", dx.data, expected, 1e-6);
      },
    },
    {
      name: "SGD with momentum",
      passes: 5, // w, v and dw read, w and v written
      hasTarget: true,
      call: () => update(parameter),
      check() {
        const gradients = parameter.gradient.data;
        const velocity = uniform(SIZE, 8).map((v, i) => momentum * v - rate * gradients[i]);
        const value = uniform(SIZE, 7).map((w, i) => w + velocity[i]);
        checkClose("SGD with momentum", parameter.value.data, value, 1e-6);
      },
    },
  ];
}

/** @param {Float32Array} values In SHAPE */
function columnMoments(values) {
  const [N, D] = SHAPE;
  const mean = new Float64Array(D);
  const variance = new Float64Array(D);
  values.forEach((value, i) => {
    mean[i % D] += value / N;
  });
  values.forEach((value, i) => {
    variance[i % D] += (value - mean[i % D]) ** 2 / N;
  });
  return { mean, variance };
}

/** @param {Float32Array} values In rows of CLASSES */
function rowSums(values) {
  const sums = new Float64Array(values.length / CLASSES);
  values.forEach((value, i) => {
    sums[Math.floor(i / CLASSES)] += value;
  });
  return sums;
}

/**
 * @param {Int32Array} labels
 * @param {number} i
 */
const isLabel = (labels, i) => (labels[Math.floor(i / CLASSES)] === i % CLASSES ? 1 : 0);

/** @param {import("./support/field.js").Context} context */
export async function run({ limits: { strict }, profile, failures }) {
  const rows = [];
  for (const { name, passes, hasTarget, call, check } of operations()) {
    call();
    try {
      check();
    } catch (error) {
      failures.push(`elementwise ${error instanceof Error ? error.message : error}`);
      continue;
    }
    // Half of what is moved is read and half is written.
    const bytes = (passes * 4 * SIZE) / 2;
    const copies = [
      { name: "copy", time: local(() => strict.copy(0, bytes, bytes)) },
      { name: "copy by vectors", time: local(() => strict.copy_vectors(0, bytes, bytes)) },
    ];
    const figures = await race([{ name, time: local(call) }, ...copies], profile);
    rows.push({
      ...{ name, hasTarget, passes },
      seconds: figures[name].median,
      bandwidth: (2 * bytes) / figures[name].median / 1e9,
      ofCopy: ratio(figures.copy, figures[name]),
      ofVectorCopy: ratio(figures["copy by vectors"], figures[name]),
    });
  }
  printTable(
    "Layers and updates on 1 M elements, beside copies that move as many bytes, median (quartiles)",
    ["", "passes", "median", "GB/s", "of memory.copy", "of a copy by 128-bit vectors"],
    rows.map(({ name, passes, seconds, bandwidth, ofCopy, ofVectorCopy }) => [
      name,
      `${passes}`,
      duration(seconds),
      digits(bandwidth),
      percent(ofCopy),
      percent(ofVectorCopy),
    ]),
  );
  return rows;
}

/** @param {import("./support/measure.js").Spread} spread */
function percent({ median, low, high }) {
  const [a, b, c] = [median, low, high].map((share) => (100 * share).toFixed(0));
  return `${a} % (${b}–${c})`;
}
