// Learns an exclusive or, and counts how many predictions a second come from it.

import { affine, createRuntime, momentum, Sequential, Trainer, tanh } from "lamella";

const runtime = await createRuntime();
const x = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
];
const y = [0, 1, 1, 0];

const model = new Sequential(runtime, { input: [2], layers: [affine(8), tanh(), affine(2)] });
const trainer = new Trainer(model, {
  loss: "softmax",
  optimizer: momentum({ learningRate: 0.1 }),
});
for (let step = 1; step <= 300; step++) {
  const { loss } = trainer.step(x, y);
  if (step % 100 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
}
const answers = model.classify(x);
for (const [i, pair] of x.entries()) console.log(`${pair.join(" xor ")} = ${answers[i]}`);

const predictor = model.compile();
const count = 200_000;
const start = performance.now();
for (let i = 0; i < count; i++) {
  predictor.input[0] = i & 1;
  predictor.run();
}
const seconds = (performance.now() - start) / 1000;
console.log(`${Math.floor(count / seconds)} predictions a second`);
