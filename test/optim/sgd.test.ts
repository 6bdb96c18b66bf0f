import { expect, test } from "vitest";
import { reportErrors } from "../layers/common.ts";
import { testOptimizer } from "./common.ts";

reportErrors();

const [rate, mu] = [0.01, 0.9];

testOptimizer({
  name: "sgd",
  states: 0,
  numbers: () => [rate],
  twin: (w, _, dw) => ({ w: w - rate * dw, states: [] }),
  golden: { run: "sgd", numbers: ({ lr }) => [lr!] },
});

testOptimizer({
  name: "sgd_momentum",
  states: 1,
  numbers: () => [rate, mu],
  twin(w, [v], dw) {
    const velocity = mu * v! - rate * dw;
    return { w: w + velocity, states: [velocity] };
  },
  golden: { run: "sgdMomentum", numbers: ({ lr, momentum }) => [lr!, momentum!] },
});

/** As the course's notes write it. */
function nesterov(w: number, v: number, dw: number) {
  const velocity = mu * v - rate * dw;
  return { w: w + (-mu * v + (1 + mu) * velocity), v: velocity };
}

testOptimizer({
  name: "sgd_nesterov",
  states: 1,
  numbers: () => [rate, mu],
  twin(w, [v], dw) {
    const next = nesterov(w, v!, dw);
    return { w: next.w, states: [next.v] };
  },
  golden: { run: "sgdNesterov", numbers: ({ lr, momentum }) => [lr!, momentum!] },
});

test("the course's Nesterov momentum is PyTorch's, with v = −rate · buffer", () => {
  let [w, v] = [1, 0];
  let [p, buffer] = [1, 0];
  for (let t = 0; t < 50; t++) {
    ({ w, v } = nesterov(w, v, 3 * w));
    const g = 3 * p;
    buffer = mu * buffer + g;
    p -= rate * (g + mu * buffer);
    expect(Math.abs(w - p)).toBeLessThan(1e-14);
    expect(Math.abs(v + rate * buffer)).toBeLessThan(1e-14);
  }
});
