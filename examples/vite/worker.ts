// Trains, and leaves the page to itself.

import { adam, affine, cosine, createRuntime, Sequential, Trainer, tanh } from "lamella";
import { curve, type Progress } from "./curve.ts";

const runtime = await createRuntime();
const layers = [affine(32), tanh(), affine(32), tanh(), affine(1)];
const model = new Sequential(runtime, { input: [1], layers });
const learningRate = cosine({ from: 0.02, steps: 100 * 16 });
const trainer = new Trainer(model, { loss: "mse", optimizer: adam({ learningRate }) });

const xs = Float32Array.from({ length: 121 }, (_, i) => (i - 60) / 20);
const x = runtime
  .random(1)
  .rand(512)
  .toTypedArray()
  .map((u) => 6 * u - 3);
const y = x.map(curve);

for await (const event of trainer.fit({ x, y }, { epochs: 100 })) {
  if (event.type === "step") continue;
  const ys = runtime.scope(() => model.predict(xs).toTypedArray());
  postMessage({ epoch: event.epoch, loss: event.loss, xs, ys } satisfies Progress);
}
