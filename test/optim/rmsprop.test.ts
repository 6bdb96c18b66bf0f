import { reportErrors } from "../layers/common.ts";
import { testOptimizer } from "./common.ts";

reportErrors();

const [rate, decay, eps] = [0.01, 0.99, 1e-8];

testOptimizer({
  name: "rmsprop",
  states: 1,
  squares: 0,
  numbers: () => [rate, decay, eps],
  twin(w, [cache], dw) {
    const next = decay * cache! + (1 - decay) * dw * dw;
    return { w: w - (rate * dw) / (Math.sqrt(next) + eps), states: [next] };
  },
  golden: { run: "rmsprop", numbers: ({ lr, alpha, eps }) => [lr!, alpha!, eps!] },
});
