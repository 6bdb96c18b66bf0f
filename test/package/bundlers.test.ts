// The bundlers with their defaults: each makes one file that trains and serves as Node does,
// without a word and without a file beside it.

import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import * as esbuild from "esbuild";
import { rollup } from "rollup";
import * as vite from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import webpack from "webpack";
import * as lamella from "../../src/index.ts";
import { affine, createRuntimeSync, relu, Sequential, saveModel } from "../../src/index.ts";
import { Project } from "./installed.ts";
import { train } from "./train.ts";

const project = new Project();
const runtime = createRuntimeSync();
const model = new Sequential(runtime, {
  input: [4],
  layers: [affine(8), relu(), affine(3)],
  seed: 6,
});
const x = [1, -2, 3, -4];
let expected = "";

beforeAll(async () => {
  await project.install();
  expected = `${await train(lamella)} ${model.predict(x).data}`;
  const names = [...new Set(String(train).match(/(?<=\blamella\.)\w+/g))].join(", ");
  project.write(
    "entry.js",
    `import { ${names} } from "lamella";
     import { loadPredictor } from "lamella/predict";
     const lamella = { ${names} };
     ${train}
     const bytes = new Uint8Array(${JSON.stringify([...saveModel(model)])});
     globalThis.result = Promise.all([train(lamella), loadPredictor(bytes)]).then(
       ([loss, predictor]) => loss + " " + predictor.predict(${JSON.stringify(x)}),
     );`,
  );
}, 120_000);
afterAll(() => project.remove());

type Bundler = (entry: string, folder: string) => Promise<string[]>;

const webpacks =
  (target: string): Bundler =>
  async (entry, folder) => {
    const compiler = webpack({
      ...{ mode: "production", target, entry, context: project.folder },
      output: { path: folder },
      // Sizes are package.test.ts's; webpack warns from 244 KiB on, before compression.
      performance: { hints: false },
    })!;
    const stats = await new Promise<webpack.Stats>((done, fail) =>
      compiler.run((error, stats) => (error ? fail(error) : done(stats!))),
    );
    await new Promise((closed) => compiler.close(closed));
    const { errors = [], warnings = [] } = stats.toJson();
    return [...errors, ...warnings].map(({ message }) => message);
  };

/** Each writes into the folder, and gives what it has to complain of. */
const bundlers: Record<string, Bundler> = {
  async esbuild(entry, outdir) {
    const options = { entryPoints: [entry], outdir, bundle: true };
    const { warnings } = await esbuild.build({ ...options, logLevel: "silent" });
    return warnings.map(({ text }) => text);
  },
  async vite(entry, outDir) {
    const warnings: string[] = [];
    const logger = vite.createLogger("silent");
    logger.info = () => {};
    logger.warn = (message) => warnings.push(message);
    logger.error = (message) => warnings.push(message);
    await vite.build({
      ...{ root: project.folder, configFile: false, customLogger: logger },
      // Sizes are package.test.ts's; the program has two cores, and vite warns from 500 kB on.
      build: { outDir, rollupOptions: { input: entry }, chunkSizeWarningLimit: 1_000 },
    });
    return warnings;
  },
  async rollup(entry, dir) {
    const warnings: string[] = [];
    const bundle = await rollup({
      ...{ input: entry, plugins: [nodeResolve()] },
      onwarn: ({ message }) => warnings.push(message),
    });
    await bundle.write({ dir });
    await bundle.close();
    return warnings;
  },
  "webpack, for the web": webpacks("web"),
  // It sets the condition "worker", which must not be taken for Cloudflare's Workers.
  "webpack, for a web worker": webpacks("webworker"),
  "webpack, for Node": webpacks("node"),
};

test.each(Object.entries(bundlers))("%s", async (name, bundle) => {
  const folder = join(project.folder, "dist", name.replace(/\W+/g, "-"));
  mkdirSync(folder, { recursive: true });
  expect(await bundle(join(project.folder, "entry.js"), folder)).toEqual([]);

  const files = readdirSync(folder, { recursive: true })
    .map((file) => join(folder, String(file)))
    .filter((file) => statSync(file).isFile());
  expect(files).toHaveLength(1);
  const text = readFileSync(files[0]!, "utf8");
  expect(text.match(/0061736d01000000/g)).toHaveLength(2); // of two cores

  const globals = { TextDecoder, TextEncoder, URL, Response, fetch, self: undefined as unknown };
  const context = createContext(globals);
  context.self = context;
  runInContext(text, context);
  expect(await context.result).toBe(expected);
});
