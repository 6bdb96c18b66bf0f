// @ts-check
import { affineForward, createRuntime } from "../../build/index.js";
import { b1, b2, C, D, H, input, w1, w2 } from "./operands.js";

const runtime = await createRuntime();
const x = runtime.tensor(input, [1, D]);
const hidden = affineForward(x, runtime.tensor(w1, [D, H]), runtime.tensor(b1), {
  activation: "relu",
});
const { out } = affineForward(hidden.out, runtime.tensor(w2, [H, C]), runtime.tensor(b2));
console.log(JSON.stringify([...out.data]));
