// Convolutional networks follow PyTorch's float64 training, step by step: test/golden/make.py says
// what each network is and made the losses and the parameters at the end.

import { describe, expect, test } from "vitest";
import {
  adam,
  affine,
  avgPool2d,
  batchnorm,
  conv2d,
  createRuntimeSync,
  globalAvgPool,
  type LayerSpec,
  maxPool2d,
  momentum,
  relu,
  Sequential,
  Trainer,
} from "../../../src/index.ts";
import { golden } from "../../support/golden.ts";

const useBias = false;
const layers: Record<string, LayerSpec[]> = {
  pooled_network: [
    conv2d(6, 3, { padding: 1, useBias }),
    ...[batchnorm(), relu(), maxPool2d(2)],
    ...[conv2d(8, 3), relu(), globalAvgPool(), affine(4)],
  ],
  flat_network: [
    conv2d(6, [3, 2], { stride: [1, 2], padding: [1, 0], useBias }),
    ...[batchnorm(), relu(), maxPool2d(3, { stride: 2, padding: 1 })],
    conv2d(6, 3, { padding: 1, groups: 6, useBias }),
    ...[batchnorm(), relu(), avgPool2d([2, 1]), affine(4)],
  ],
};
const optimizers = {
  momentum: momentum({ learningRate: 0.02 }),
  adam: adam({ learningRate: 5e-3 }),
};

describe("200 steps over images in float64 are PyTorch's, to 1e-9", () => {
  const { shape, batch, y, runs } = golden("images");
  const [count, ...input] = shape as [number, ...number[]];

  test.each(runs)("$network, $optimizer", ({ network, optimizer, losses, last }) => {
    const runtime = createRuntimeSync();
    const uniform = (seed: number) => {
      const random = runtime.random(seed);
      return (size: number) =>
        random
          .rand(size)
          .toTypedArray()
          .map((value) => 2 * value - 1);
    };
    const size = input.reduce((product, length) => product * length, 1);
    const x = uniform(7)(count * size);
    const model = new Sequential(runtime, { input, layers: layers[network]!, dtype: "float64" });
    const draw = uniform(231);
    for (const value of Object.values(model.stateDict())) {
      if (value.shape.length === 1) continue;
      const D = value.size / value.shape.at(-1)!;
      value.data.set(draw(value.size).map((each) => each * Math.sqrt(6 / D)));
    }
    const trainer = new Trainer(model, { loss: "softmax", optimizer: optimizers[optimizer] });

    expect(losses).toHaveLength(200);
    const difference = (a: number, b: number) => Math.abs(a - b) / Math.max(1, Math.abs(b));
    let worst = 0;
    for (const [step, due] of losses.entries()) {
      const start = (step * batch) % count;
      const part = x.subarray(start * size, (start + batch) * size);
      const { loss } = trainer.step(part, y.slice(start, start + batch));
      worst = Math.max(worst, difference(loss, due));
    }
    const state = model.stateDict();
    expect(Object.keys(state).sort()).toEqual(Object.keys(last).sort());
    for (const [name, { shape, data }] of Object.entries(last)) {
      expect(state[name]!.shape).toEqual(shape);
      for (const [i, value] of state[name]!.data.entries()) {
        worst = Math.max(worst, difference(value, data[i]!));
      }
    }
    // Sums in another order, which 200 steps carry on: 1.1e-15 by momentum, 1.2e-13 by Adam, which
    // divides by small roots.
    expect(worst).toBeLessThan(1e-9);
  });
});
