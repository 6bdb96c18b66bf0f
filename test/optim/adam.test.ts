import { expect, test } from "vitest";
import { reportErrors } from "../layers/common.ts";
import { dtypes, openCore } from "../support/core.ts";
import { type Optimizer, testOptimizer } from "./common.ts";

reportErrors();

const [rate, beta1, beta2, eps, decay] = [0.01, 0.9, 0.999, 1e-8, 0.1];

function adam(weightDecay: number): Optimizer["twin"] {
  return (w, [m, v], dw, t) => {
    const mean = beta1 * m! + (1 - beta1) * dw;
    const power = beta2 * v! + (1 - beta2) * dw * dw;
    const decayed = w - rate * weightDecay * w;
    const unbiased = [mean / (1 - beta1 ** t), power / (1 - beta2 ** t)] as const;
    const step = (rate * unbiased[0]) / (Math.sqrt(unbiased[1]) + eps);
    return { w: decayed - step, states: [mean, power] };
  };
}

const corrections = (t: number, b1 = beta1, b2 = beta2) => [1 - b1 ** t, 1 - b2 ** t];

const torchNumbers = (options: Record<string, unknown>, t: number): number[] => {
  const [b1, b2] = options.betas as [number, number];
  const { lr, eps } = options as Record<string, number>;
  return [lr!, b1, b2, eps!, ...corrections(t, b1, b2)];
};

testOptimizer({
  name: "adam",
  states: 2,
  squares: 1,
  numbers: (t) => [rate, beta1, beta2, eps, ...corrections(t)],
  twin: adam(0),
  golden: { run: "adam", numbers: torchNumbers },
});

testOptimizer({
  name: "adamw",
  states: 2,
  squares: 1,
  numbers: (t) => [rate, beta1, beta2, eps, ...corrections(t), decay],
  twin: adam(decay),
  golden: {
    run: "adamw",
    numbers: (options, t) => [...torchNumbers(options, t), options.weight_decay!],
  },
});

test.each(dtypes)(
  "the first step of $dtype is the learning rate, whatever the gradient's size",
  ({ suffix, array }) => {
    const core = openCore("release");
    const w = core.inout(array.of(1, 1, 1));
    const [m, v] = [core.inout(array.of(0, 0, 0)), core.inout(array.of(0, 0, 0))];
    const dw = core.input(array.of(1000, -0.5, 0.001));
    const [c1, c2] = corrections(1) as [number, number];
    const kernel = core.exports[`adam_${suffix}`];
    kernel(w.address, m.address, v.address, dw.address, 3, rate, beta1, beta2, 1e-12, c1, c2);
    for (const [i, sign] of [1, -1, 1].entries()) {
      expect(Math.abs(w.values()[i]! - (1 - sign * rate))).toBeLessThan(2e-7);
    }
  },
);
