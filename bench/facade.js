// @ts-check
// What does a call through the facade cost beyond the kernel that it runs?

import { runtime } from "./contenders/lamella.js";
import {
  affineBackward,
  affineForward,
  openCore,
  reluBackward,
  reluForward,
} from "./support/lamella.js";
import { local, quantile, race } from "./support/measure.js";
import { printTable } from "./support/table.js";

const CALLS = 100; // in one scope, and in one timed call of each contender
const SIDE = 4;

/** @param {import("./support/field.js").Context} context */
export async function run({ profile }) {
  /** @type {{ name: string, way: string, seconds: number, beyondKernel: import("./support/measure.js").Spread }[]} */
  const rows = [];
  for (const { name, kernel, given, made, dispose } of operations()) {
    const many = (/** @type {() => unknown} */ call) => () => {
      for (let i = 0; i < CALLS; i++) call();
    };
    const inScope = (/** @type {() => unknown} */ call) => () => runtime.scope(many(call));
    /** @type {Record<string, () => unknown>} */
    const ways = {
      kernel: many(kernel),
      "given, in a scope": inScope(given),
      "given, disposed by hand": many(() => dispose(given())),
      "made, in a scope": inScope(made),
      "made, disposed by hand": many(() => dispose(made(), true)),
    };
    const figures = await race(
      Object.entries(ways).map(([name, call]) => ({ name, time: local(call) })),
      profile,
    );
    for (const way of Object.keys(ways)) {
      const { times, median } = figures[way];
      const beyond = times.map((time, i) => (time - figures.kernel.times[i]) / CALLS);
      const quartiles = [0.25, 0.5, 0.75].map((q) => quantile(beyond, q));
      const [low, middle, high] = quartiles;
      rows.push({
        ...{ name, way, seconds: median / CALLS },
        beyondKernel: { median: middle, low, high },
      });
    }
  }
  const columns = [...new Set(rows.map(({ way }) => way))];
  const micro = (/** @type {number} */ seconds) => `${(1e6 * seconds).toFixed(2)}`;
  printTable(
    `One call on a ${SIDE}×${SIDE} tensor: the kernel itself, and the facade beyond it with destinations given or made; µs, median`,
    ["", ...columns],
    [...new Set(rows.map(({ name }) => name))].map((name) => [
      name,
      ...columns.map((column) => {
        const row = rows.find((row) => row.name === name && row.way === column);
        return row ? micro(column === "kernel" ? row.seconds : row.beyondKernel.median) : "–";
      }),
    ]),
  );
  return rows;
}

/**
 * Each call on its kernel alone, with destinations, and without; `dispose` gives back by hand what a call made.
 */
function operations() {
  const { kernels } = openCore();
  // A place for each operand in the core's own memory: outputs, inputs, workspace.
  const start = kernels.heap_base();
  const place = (/** @type {number} */ i) => Math.ceil(start / 64) * 64 + 256 * i;
  const [out, dx, dw, db, x, w, b, dout, work] = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(place);

  const square = () => runtime.ones([SIDE, SIDE]);
  const tensors = {
    ...{ x: square(), w: square(), b: runtime.ones([SIDE]), dout: square(), out: square() },
    gradients: { dx: square(), dw: square(), db: runtime.ones([SIDE]) },
  };
  const { gradients } = tensors;
  const relu = reluForward(tensors.x).cache;
  const affine = affineForward(tensors.x, tensors.w, tensors.b).cache;

  /** @typedef {{ dispose(): void }} Resource */
  const forward = (/** @type {any} */ result, made = false) => {
    result.cache.dispose();
    if (made) result.out.dispose();
  };
  return [
    {
      name: "reluForward",
      kernel: () => kernels.relu_forward_f32(out, x, SIDE * SIDE),
      given: () => reluForward(tensors.x, { out: tensors.out }),
      made: () => reluForward(tensors.x),
      dispose: forward,
    },
    {
      name: "reluBackward",
      kernel: () => kernels.relu_backward_f32(dx, dout, x, SIDE * SIDE),
      given: () => reluBackward(tensors.dout, relu, { dx: gradients.dx }),
      made: () => reluBackward(tensors.dout, relu),
      dispose: (/** @type {any} */ result, made = false) => {
        if (made) result.dispose();
      },
    },
    {
      name: "affineForward",
      kernel: () => kernels.affine_forward_f32(out, x, w, b, work, SIDE, SIDE, SIDE),
      given: () => affineForward(tensors.x, tensors.w, tensors.b, { out: tensors.out }),
      made: () => affineForward(tensors.x, tensors.w, tensors.b),
      dispose: forward,
    },
    {
      name: "affineBackward",
      kernel: () => kernels.affine_backward_f32(dx, dw, db, dout, x, w, work, SIDE, SIDE, SIDE),
      given: () => affineBackward(tensors.dout, affine, gradients),
      made: () => affineBackward(tensors.dout, affine),
      dispose: (/** @type {any} */ result, made = false) => {
        if (made) for (const gradient of Object.values(result)) gradient.dispose();
      },
    },
  ];
}
