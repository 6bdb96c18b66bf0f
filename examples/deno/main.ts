// Learns whether two numbers have the same sign, by a single score and its sigmoid. Deno checks the types as well: deno check main.ts

import { adam, affine, createRuntime, Sequential, saveModel, Trainer, tanh } from "lamella";
import { loadPredictor } from "lamella/predict";

const runtime = await createRuntime();
const points = (seed: number, count: number) => {
  const x = runtime.random(seed).randn(count, 2).toTypedArray();
  const y = Array.from({ length: count }, (_, n) => [
    (x[2 * n] as number) * (x[2 * n + 1] as number) > 0 ? 1 : 0,
  ]);
  return { x, y };
};

const model = new Sequential(runtime, { input: [2], layers: [affine(16), tanh(), affine(1)] });
const trainer = new Trainer(model, { loss: "bce", optimizer: adam({ learningRate: 0.02 }) });
for await (const event of trainer.fit(points(1, 1000), { epochs: 50 })) {
  if (event.type === "epoch" && event.epoch % 10 === 0) {
    console.log(`epoch ${event.epoch}: loss ${event.loss.toFixed(4)}`);
  }
}
const { accuracy } = trainer.evaluate(points(2, 500));
console.log(`${(100 * accuracy).toFixed(1)} % of 500 other pairs are told right`);

// What a program that only serves would do with the file.
const predictor = await loadPredictor(saveModel(model));
for (const pair of [
  [1, 2],
  [1, -2],
]) {
  const [score] = predictor.predict(pair);
  console.log(`${pair.join(" and ")}: ${(score as number) > 0 ? "the same sign" : "two signs"}`);
}
