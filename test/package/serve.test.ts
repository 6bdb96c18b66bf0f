// lamella/predict as a stranger uses it: a model's file and nothing else.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  affine,
  batchnorm,
  createRuntimeSync,
  relu,
  Sequential,
  saveModel,
  zeros,
} from "../../src/index.ts";
import { Project } from "./installed.ts";

const project = new Project();
const runtime = createRuntimeSync();
const layers = [affine(32), batchnorm(), relu(), affine(10)];
const model = new Sequential(runtime, { input: [64], layers, seed: 4 });
const x = runtime.random(8).randn(64).toTypedArray();
const expected = JSON.stringify([...model.compile().predict(x)]);

beforeAll(async () => {
  await project.install();
  project.write("model.json", JSON.stringify([...saveModel(model)]));
  project.write("x.json", JSON.stringify([...x]));
}, 120_000);
afterAll(() => project.remove());

const reading = `
  const read = (name) => JSON.parse(fs.readFileSync(new URL(name, location), "utf8"));
  const [bytes, x] = [Uint8Array.from(read("model.json")), read("x.json")];
`;
const inModule = `import fs from "node:fs";\nconst location = import.meta.url;\n${reading}`;
const inScript = `const fs = require("node:fs");
  const location = require("node:url").pathToFileURL(__filename);\n${reading}`;
const predicting = `loadPredictor(bytes).then((predictor) => {
  console.log(JSON.stringify([...predictor.predict(x)]));
});\n`;

describe("in Node", () => {
  test("gives the model's scores by import, by require, and at once", async () => {
    const outputs = await Promise.all([
      project.node(
        "predict.mjs",
        `import { loadPredictor } from "lamella/predict";\n${inModule}${predicting}`,
      ),
      project.node(
        "predict.cjs",
        `const { loadPredictor } = require("lamella/predict");\n${inScript}${predicting}`,
      ),
      project.node(
        "sync.mjs",
        `import { loadPredictorSync } from "lamella/predict";\n${inModule}
         console.log(JSON.stringify([...loadPredictorSync(bytes).predict(x)]));`,
      ),
      project.node(
        "given.mjs",
        `import { loadPredictor as load } from "lamella/predict";\n${inModule}
         const wasm = fs.readFileSync(new URL(import.meta.resolve("lamella/predict.wasm")));
         const loadPredictor = (bytes) => load(bytes, { wasm });\n${predicting}`,
      ),
    ]);
    for (const output of outputs) expect(output).toBe(expected);
  });

  test("needs no timer, no clock, no chance, no network and no code from strings", async () => {
    const forbidden =
      "setTimeout setInterval setImmediate queueMicrotask fetch MessageChannel performance crypto";
    const output = await project.node(
      "bare.mjs",
      `import { loadPredictor } from "lamella/predict";\n${inModule}
       for (const name of "${forbidden}".split(" ")) {
         Object.defineProperty(globalThis, name, { get() { throw new Error(name); } });
       }
       Date.now = () => { throw new Error("Date.now"); };
       Math.random = () => { throw new Error("Math.random"); };
       const predictor = await loadPredictor(bytes);
       const scores = JSON.stringify([...predictor.predict(x)]);
       predictor.input.set(x);
       predictor.run();
       const begins = predictor.input.buffer.byteLength <= 1 << 20;
       fs.writeSync(1, scores === JSON.stringify([...predictor.output]) && begins ? scores : "no");`,
      ["--disallow-code-generation-from-strings"],
    );
    expect(output).toBe(expected);
  });

  test("takes, beyond an empty process, less than a Worker may have for a model of 25 MB", async () => {
    const own = createRuntimeSync();
    // The worst there is: one layer, which waits a second time to be packed.
    const large = new Sequential(own, {
      input: [2500],
      layers: [affine(2500)],
      initializer: zeros(),
    });
    writeFileSync(join(project.folder, "large"), saveModel(large));
    own.dispose();
    const peak = (text: string, name: string) =>
      project.node(name, `${text}\nconsole.log(process.resourceUsage().maxRSS);`);
    const [empty, full] = await Promise.all([
      peak('import fs from "node:fs";', "empty.mjs"),
      peak(
        `import fs from "node:fs"; import { loadPredictor } from "lamella/predict";
         const predictor = await loadPredictor(fs.readFileSync("large"));
         predictor.predict(new Float32Array(2500));`,
        "large.mjs",
      ),
    ]);
    const kilobytes = Number(full) - Number(empty);
    console.info(`25 MB of model: ${Math.round(kilobytes / 1024)} MiB beyond an empty process`);
    expect(kilobytes).toBeLessThan(110 * 1024);
  });

  test("works from a folder that only an old resolver finds", async () => {
    // What resolvers do that do not know exports: Parcel, TypeScript's node10.
    const manifest = JSON.parse(project.read("predict/package.json"));
    for (const key of ["main", "module", "types"]) {
      expect(project.files()).toContain(manifest[key].replace("../", ""));
    }
  });
});
