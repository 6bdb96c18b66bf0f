// @ts-check
// Which share of our own product's rate has a convolution, forward and both backward? And how near do the layers of
// images without a product, and depthwise convolution, come to the speed at which memory can be copied?

import { runtime } from "./contenders/lamella.js";
import {
  affineBackward,
  affineForward,
  avgPool2dBackward,
  avgPool2dForward,
  conv2dBackward,
  conv2dForward,
  globalAvgPoolForward,
  groupnormForward,
  layernormForward,
  maxPool2dBackward,
  maxPool2dForward,
} from "./support/lamella.js";
import { local, race, ratio } from "./support/measure.js";
import { checkClose, uniform } from "./support/numbers.js";
import { digits, duration, printTable } from "./support/table.js";

/**
 * N images [H, W, C], F filters K × K that are S apart, padded as "same".
 *
 * @typedef {{ N: number, H: number, W: number, C: number, F: number, K: number, S: number, groups: number }} Shape
 *
 * @type {[N: number, H: number, W: number, C: number, F: number, K: number, S: number][]}
 */
const SHAPES = [
  [16, 32, 32, 16, 16, 3, 1], // ResNet-8's
  [16, 32, 32, 16, 32, 3, 2],
  [16, 16, 16, 32, 32, 3, 1],
  [16, 16, 16, 32, 64, 3, 2],
  [16, 8, 8, 64, 64, 3, 1],
  [16, 32, 32, 16, 32, 1, 2],
  [4, 28, 28, 64, 64, 3, 1],
  [4, 28, 28, 64, 128, 1, 1],
  [32, 14, 14, 8, 16, 5, 1], // LeNet's
  [32, 28, 28, 1, 8, 5, 1],
];
const layout = /** @type {const} */ ("NHWC");

/** @typedef {"forward" | "dx" | "dw"} Direction */
const DIRECTIONS = /** @type {const} */ (["forward", "dx", "dw"]);

/** @param {Shape} shape */
function sizesOf({ N, H, W, S, K }) {
  const [OH, OW] = [Math.ceil(H / S), Math.ceil(W / S)];
  const before = (/** @type {number} */ out, /** @type {number} */ length) =>
    Math.floor(Math.max(0, (out - 1) * S + K - length) / 2);
  return { OH, OW, top: before(OH, H), left: before(OW, W), rows: N * OH * OW };
}

/**
 * What a convolution should give, by plain loops in float64.
 *
 * @param {Shape} shape
 * @param {Float32Array} x
 * @param {Float32Array} w
 * @param {Float32Array} dout
 */
function plain(shape, x, w, dout) {
  const { N, H, W, C, F, K, S, groups } = shape;
  const { OH, OW, top, left } = sizesOf(shape);
  const [depth, columns] = [C / groups, F / groups];
  const forward = new Float64Array(dout.length);
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < OH; i++) {
      for (let j = 0; j < OW; j++) {
        const out = ((n * OH + i) * OW + j) * F;
        for (let u = 0; u < K; u++) {
          const row = i * S + u - top;
          if (row < 0 || row >= H) continue;
          for (let v = 0; v < K; v++) {
            const column = j * S + v - left;
            if (column < 0 || column >= W) continue;
            const from = ((n * H + row) * W + column) * C;
            for (let c = 0; c < depth; c++) {
              const at = ((u * K + v) * depth + c) * F;
              for (let f = 0; f < F; f++) {
                const pixel = from + Math.floor(f / columns) * depth + c;
                forward[out + f] += x[pixel] * w[at + f];
                dx[pixel] += dout[out + f] * w[at + f];
                dw[at + f] += dout[out + f] * x[pixel];
              }
            }
          }
        }
      }
    }
  }
  return { forward, dx, dw };
}

/**
 * A convolution's calls, with their results.
 *
 * @param {Shape} shape
 */
function convolution(shape) {
  const { N, H, W, C, F, K, S, groups } = shape;
  const { OH, OW } = sizesOf(shape);
  const [xs, ws] = [uniform(N * H * W * C, 1), uniform((K * K * C * F) / groups, 2)];
  const douts = uniform(N * OH * OW * F, 3);
  const x = runtime.tensor(xs, [N, H, W, C]);
  const w = runtime.tensor(ws, [K, K, C / groups, F]);
  const dout = runtime.tensor(douts, [N, OH, OW, F]);
  const out = runtime.zeros([N, OH, OW, F]);
  const [dx, dw] = [runtime.zeros(x.shape), runtime.zeros(w.shape)];
  const param = { stride: S, padding: /** @type {const} */ ("same"), groups, layout };
  const { cache } = conv2dForward(x, w, null, param, { out });
  /** @type {Record<Direction, () => unknown>} */
  const calls = {
    forward: () => runtime.scope(() => void conv2dForward(x, w, null, param, { out })),
    dx: () => conv2dBackward(dout, cache, { dx, dw: false, db: false }),
    dw: () => conv2dBackward(dout, cache, { dx: false, dw, db: false }),
  };
  const results = { forward: out, dx, dw };
  const check = (/** @type {string} */ what) => {
    const due = plain(shape, xs, ws, douts);
    for (const direction of DIRECTIONS) {
      calls[direction]();
      // float32 sums of up to 16,384 terms in another order
      checkClose(`${what}, ${direction}`, results[direction].data, due[direction], 1e-5);
    }
  };
  const dispose = () => {
    for (const each of [x, w, dout, out, dx, dw, cache]) each.dispose();
  };
  return { calls, check, dispose };
}

/**
 * A product of as many multiplications: (rows, K · K · C) by (K · K · C, F).
 *
 * @param {Shape} shape
 * @returns {{ calls: Record<Direction, () => unknown>, dispose: () => void }}
 */
function product(shape) {
  const { C, F, K } = shape;
  const { rows } = sizesOf(shape);
  const D = K * K * C;
  const x = runtime.tensor(uniform(rows * D, 4), [rows, D]);
  const w = runtime.tensor(uniform(D * F, 5), [D, F]);
  const b = runtime.zeros([F]);
  const dout = runtime.tensor(uniform(rows * F, 6), [rows, F]);
  const out = runtime.zeros([rows, F]);
  const [dx, dw] = [runtime.zeros([rows, D]), runtime.zeros([D, F])];
  const { cache } = affineForward(x, w, b, { out });
  return {
    calls: {
      forward: () => runtime.scope(() => void affineForward(x, w, b, { out })),
      dx: () => affineBackward(dout, cache, { dx, dw: false, db: false }),
      dw: () => affineBackward(dout, cache, { dx: false, dw, db: false }),
    },
    dispose() {
      for (const each of [x, w, b, dout, out, dx, dw, cache]) each.dispose();
    },
  };
}

/** @param {import("./support/field.js").Context} context */
async function besideProducts({ profile, failures, quick }) {
  const rows = [];
  for (const [N, H, W, C, F, K, S] of quick ? SHAPES.slice(0, 5) : SHAPES) {
    const shape = { N, H, W, C, F, K, S, groups: 1 };
    const name = `${H}×${W}×${C} → ${F}, ${K}×${K}${S > 1 ? ` / ${S}` : ""}`;
    const own = convolution(shape);
    const other = product(shape);
    const flop = 2 * sizesOf(shape).rows * K * K * C * F;
    try {
      own.check(name);
      /** @type {Partial<Record<Direction, { rate: number, ofProduct: import("./support/measure.js").Spread }>>} */
      const directions = {};
      for (const direction of DIRECTIONS) {
        const figures = await race(
          [
            { name: "convolution", time: local(own.calls[direction]) },
            { name: "product", time: local(other.calls[direction]) },
          ],
          profile,
        );
        directions[direction] = {
          rate: flop / figures.convolution.median / 1e9,
          ofProduct: ratio(figures.product, figures.convolution),
        };
      }
      rows.push({ name, batch: N, flop, directions });
    } catch (error) {
      failures.push(`convolution ${error instanceof Error ? error.message : error}`);
    }
    own.dispose();
    other.dispose();
  }
  printTable(
    "Convolutions: GFLOP/s, and the share of our own product's rate at the same FLOP, median (quartiles)",
    ["images, filters", "batch", ...DIRECTIONS.flatMap((d) => [`${d}, GFLOP/s`, "of the product"])],
    rows.map(({ name, batch, directions }) => [
      ...[name, `${batch}`],
      ...DIRECTIONS.flatMap((direction) => {
        const { rate, ofProduct } = /** @type {NonNullable<typeof directions["forward"]>} */ (
          directions[direction]
        );
        return [digits(rate), percent(ofProduct)];
      }),
    ]),
  );
  return rows;
}

/**
 * What moves memory: the bytes that its operands and results have.
 *
 * @typedef {{ name: string, bytes: number, call: () => unknown, check: () => void }} Mover
 */

/** @returns {{ movers: Mover[], dispose: () => void }} */
function movers() {
  const [N, H, W, C] = [4, 56, 56, 64];
  const size = N * H * W * C;
  const xs = uniform(size, 7);
  const x = runtime.tensor(xs, [N, H, W, C]);
  const full = runtime.zeros(x.shape);
  /** @type {{ dispose(): void }[]} */
  const held = [x, full];
  const hold = (/** @type {number[]} */ shape) => {
    const tensor = runtime.zeros(shape);
    held.push(tensor);
    return tensor;
  };
  const inScope = (/** @type {() => unknown} */ call) => () => runtime.scope(() => void call());

  /**
   * A pooling, forward and backward, against plain loops.
   *
   * @param {string} name
   * @param {number} kernel
   * @param {number} stride
   * @param {boolean} isMax
   * @returns {Mover[]}
   */
  const pooling = (name, kernel, stride, isMax) => {
    const [OH, OW] = [H, W].map((length) => Math.floor((length - kernel) / stride) + 1);
    const out = hold([N, OH, OW, C]);
    const param = { kernel, stride, layout };
    const forward = isMax ? maxPool2dForward : avgPool2dForward;
    const backward = /** @type {typeof maxPool2dBackward} */ (
      isMax ? maxPool2dBackward : avgPool2dBackward
    );
    const cache = /** @type {any} */ (forward(x, param, { out }).cache);
    held.push(cache);
    const douts = uniform(out.size, 8);
    const dout = hold(out.shape);
    dout.data.set(douts);
    const due = new Float64Array(out.size);
    const dueDx = new Float64Array(size);
    for (let at = 0; at < out.size; at++) {
      const [c, j, i, n] = [
        at % C,
        Math.floor(at / C) % OW,
        Math.floor(at / (C * OW)) % OH,
        Math.floor(at / (C * OW * OH)),
      ];
      let [most, place] = [Number.NEGATIVE_INFINITY, 0];
      for (let u = 0; u < kernel; u++) {
        for (let v = 0; v < kernel; v++) {
          const from = ((n * H + i * stride + u) * W + j * stride + v) * C + c;
          if (!isMax) {
            due[at] += xs[from] / kernel ** 2;
            dueDx[from] += douts[at] / kernel ** 2;
          } else if (xs[from] > most) [most, place] = [xs[from], from];
        }
      }
      if (isMax) {
        due[at] = most;
        dueDx[place] += douts[at];
      }
    }
    // A maximum leaves behind where it was, in as many bytes as its output has.
    const moved = 4 * (size + (isMax ? 2 : 1) * out.size);
    return [
      {
        name: `${name}, forward`,
        bytes: moved,
        call: inScope(() => forward(x, param, { out })),
        check: () => checkClose(name, out.data, due, 1e-6),
      },
      {
        name: `${name}, backward`,
        bytes: moved,
        call: () => backward(dout, cache, { dx: full }),
        check: () => checkClose(`${name}, backward`, full.data, dueDx, 1e-6),
      },
    ];
  };

  const mean = hold([N, C]);
  const [gamma, beta] = [runtime.ones([C]), runtime.zeros([C])];
  held.push(gamma, beta);
  /** Checks groups of normalised values by their mean and deviation. */
  const normalised = (
    /** @type {string} */ name,
    /** @type {(at: number) => number} */ groupOf,
  ) => {
    const sums = new Map();
    full.data.forEach((value, at) => {
      const group = groupOf(at);
      const [count, sum, squares] = sums.get(group) ?? [0, 0, 0];
      sums.set(group, [count + 1, sum + value, squares + value * value]);
    });
    const all = [...sums.values()];
    const ones = all.map(() => 1);
    checkClose(
      `${name}, mean + 1`,
      all.map(([n, sum]) => 1 + sum / n),
      ones,
      1e-5,
    );
    checkClose(
      `${name}, variance`,
      all.map(([n, , squares]) => squares / n),
      ones,
      1e-3,
    ); // eps
  };
  // It takes (N, C, H, W): the same numbers, read otherwise.
  const [planes, fullPlanes] = [x, full].map((each) => each.reshape([N, C, H, W]));
  held.push(planes, fullPlanes);
  const depthwise = { N, H, W, C, F: C, K: 3, S: 1, groups: C };
  const conv = convolution(depthwise);
  held.push(conv);
  return {
    movers: [
      ...pooling("max pooling 2×2", 2, 2, true),
      ...pooling("max pooling 3×3 / 2", 3, 2, true),
      ...pooling("average pooling 2×2", 2, 2, false),
      {
        name: "global average pooling",
        bytes: 4 * size,
        call: inScope(() => globalAvgPoolForward(x, { out: mean, layout })),
        check() {
          const due = new Float64Array(N * C);
          xs.forEach((value, at) => {
            due[Math.floor(at / (H * W * C)) * C + (at % C)] += value / (H * W);
          });
          checkClose("global average pooling", mean.data, due, 1e-5);
        },
      },
      {
        name: "layernorm over 64, forward",
        bytes: 4 * 2 * size,
        call: inScope(() => layernormForward(x, gamma, beta, {}, { out: full })),
        check: () => normalised("layernorm", (at) => Math.floor(at / C)),
      },
      {
        name: "groupnorm of 8 groups, forward",
        bytes: 4 * 3 * size, // x twice
        call: inScope(() =>
          groupnormForward(planes, gamma, beta, { groups: 8 }, { out: fullPlanes }),
        ),
        check: () => normalised("groupnorm", (at) => Math.floor((at * 8) / (C * H * W))),
      },
      ...DIRECTIONS.map((direction) => ({
        name: `depthwise 3×3, ${direction}`,
        bytes: 4 * 2 * size,
        call: conv.calls[direction],
        check: () => conv.check("depthwise 3×3"),
      })),
    ],
    dispose() {
      for (const each of held) each.dispose();
    },
  };
}

/** @param {import("./support/field.js").Context} context */
async function besideCopies({ limits: { strict }, profile, failures }) {
  const rows = [];
  const { movers: all, dispose } = movers();
  for (const { name, bytes, call, check } of all) {
    call();
    try {
      check();
    } catch (error) {
      failures.push(`convolution ${error instanceof Error ? error.message : error}`);
      continue;
    }
    // Half of what is moved is read and half is written, in whole vectors.
    const half = Math.ceil(bytes / 32) * 16;
    const copy = { name: "copy", time: local(() => strict.copy_vectors(0, half, half)) };
    const figures = await race([{ name, time: local(call) }, copy], profile);
    const { median } = figures[name];
    const ofVectorCopy = ratio(figures.copy, figures[name]);
    rows.push({ name, seconds: median, bandwidth: bytes / median / 1e9, ofVectorCopy });
  }
  dispose();
  printTable(
    "Layers of 4 images of 56 × 56 × 64, beside a copy by 128-bit vectors of as many bytes, median (quartiles)",
    ["", "median", "GB/s", "of the copy"],
    rows.map(({ name, seconds, bandwidth, ofVectorCopy }) => [
      ...[name, duration(seconds), digits(bandwidth), percent(ofVectorCopy)],
    ]),
  );
  return rows;
}

/** @param {import("./support/field.js").Context} context */
export async function run(context) {
  return { products: await besideProducts(context), copies: await besideCopies(context) };
}

/** @param {import("./support/measure.js").Spread} spread */
function percent({ median, low, high }) {
  const [a, b, c] = [median, low, high].map((share) => (100 * share).toFixed(0));
  return `${a} % (${b}–${c})`;
}
