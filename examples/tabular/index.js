// @ts-check
// Learns to tell three species of iris from four measurements, keeps the network in a file, and asks the file:
//
//   node examples/tabular/index.js [model.safetensors]

import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import {
  adam,
  affine,
  createRuntime,
  loadModel,
  normalize,
  relu,
  Sequential,
  saveModel,
  Trainer,
} from "lamella";

const file = process.argv[2] ?? "model.safetensors";
if (!file.endsWith(".safetensors")) {
  // What stands first might be a table that somebody wants to be read; it would be written over.
  console.error(
    `expected the name of a .safetensors file for the network, got ${JSON.stringify(file)}`,
  );
  process.exit(2);
}

/** @type {Record<string, string>[]} */
const table = parse(readFileSync(new URL("iris.csv", import.meta.url)), { columns: true });
const features = Object.keys(table[0]).filter((name) => name !== "species");
const species = [...new Set(table.map((row) => row.species))];

const runtime = await createRuntime();
const order = runtime.random(0).permutation(table.length).toTypedArray();
const [training, test] = [order.slice(0, 120), order.slice(120)].map((part) => ({
  x: Array.from(part, (i) => features.map((name) => Number(table[i][name]))),
  y: Array.from(part, (i) => species.indexOf(table[i].species)),
}));

// Of each column. They become a part of the network, which then takes centimetres, from the file as well.
const columns = features.map((_, j) => training.x.map((row) => row[j]));
const mean = columns.map((column) => column.reduce((sum, v) => sum + v) / column.length);
const std = columns.map((column, j) =>
  Math.sqrt(column.reduce((sum, v) => sum + (v - mean[j]) * (v - mean[j]), 0) / column.length),
);

const model = new Sequential(runtime, {
  input: [features.length],
  layers: [normalize({ mean, std }), affine(16), relu(), affine(species.length)],
});
console.log(`${model}\n`);

const trainer = new Trainer(model, { loss: "softmax", optimizer: adam({ learningRate: 1e-2 }) });
for await (const event of trainer.fit(training, { epochs: 50, batchSize: 16 })) {
  if (event.type === "epoch" && event.epoch % 10 === 0) {
    console.log(`epoch ${event.epoch}: loss ${event.loss.toFixed(4)}`);
  }
}
const { accuracy } = trainer.evaluate(test);
console.log(
  `${(100 * accuracy).toFixed(1)} % of ${test.y.length} flowers that it never saw are told right\n`,
);

writeFileSync(file, saveModel(model));

const reader = loadModel(await createRuntime(), readFileSync(file));
console.log(`From ${file}:`);
const answers = reader.classify(test.x);
for (const [i, flower] of test.x.slice(0, 3).entries()) {
  console.log(`${flower.join(", ")} cm: ${species[answers[i]]} (is ${species[test.y[i]]})`);
}
