// @ts-check
// Learns which of two interleaved moons a point is in, stops by itself, keeps the network in a file, and asks the file.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adam, affine, createRuntime, relu, Sequential, saveModel, Trainer } from "lamella";
import { loadPredictor } from "lamella/predict";

const runtime = await createRuntime();

/** Points of two half circles, with some noise. */
function moons(seed, count) {
  const random = runtime.random(seed);
  const [around, off] = [random.rand(count).data, random.randn(count, 2).data];
  const x = [];
  const y = [];
  for (let n = 0; n < count; n++) {
    // A point of the half circle without a cosine, which engines compute differently.
    const across = 2 * around[n] - 1;
    const up = Math.sqrt(1 - across * across);
    const moon = n % 2;
    x.push([
      (moon ? across + 1 : across) + 0.25 * off[2 * n],
      (moon ? 0.5 - up : up) + 0.25 * off[2 * n + 1],
    ]);
    y.push(moon);
  }
  return { x, y };
}

const layers = [affine(32), relu(), affine(32), relu(), affine(2)];
const model = new Sequential(runtime, { input: [2], layers });
console.log(`${model}\n`);

const trainer = new Trainer(model, { loss: "softmax", optimizer: adam({ learningRate: 0.01 }) });
const data = { ...moons(1, 1000), validation: moons(2, 200) };
for await (const event of trainer.fit(data, { epochs: 100, earlyStopping: { patience: 10 } })) {
  if (event.type === "step" || !(event.stopped || event.epoch % 10 === 1)) continue;
  const { loss, accuracy } = event.validation ?? { loss: Number.NaN, accuracy: Number.NaN };
  console.log(
    `epoch ${event.epoch}: loss ${loss.toFixed(4)}, ${(100 * accuracy).toFixed(1)} % right`,
  );
}

const folder = mkdtempSync(join(tmpdir(), "lamella-example-"));
const file = join(folder, "moons.safetensors");
writeFileSync(file, saveModel(model));
const predictor = await loadPredictor(readFileSync(file));
const [first, second] = predictor.predict([1, -0.5]);
console.log(`\nFrom the file: (1, -0.5) is in the ${second > first ? "lower" : "upper"} moon`);
rmSync(folder, { recursive: true });
