// @ts-check
// From the page's sources to the files that a browser gets, in build/playground/. What has not
// changed is not made again.

import { copyFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";

const page = "examples/playground/page";
const tfjs = "tfjs-backend-wasm-simd.wasm";
/** Where the files come to stand, from the repository's root. */
export const folder = "build/playground";

/** Everything that a browser loads by itself, or by the name that `new Worker` is given. */
const entries = [
  "main.ts",
  "style.css",
  "digits/digits.worker.ts",
  "points/points.worker.ts",
  "race/lamella.worker.ts",
  "race/tfjs.worker.ts",
];

const bundled = entries.map(
  (name) => `${folder}/${name.replace(/^.*\//, "").replace(/ts$/, "js")}`,
);
const copied = ["index.html", "favicon.svg"];

/** @type {import("../support/make.js").Task} */
export const pageTask = {
  name: "the playground's page",
  inputs: [
    page,
    "examples/playground/bundle.js",
    "examples/playground/package-lock.json",
    "examples/support/centre_digit.js",
    "examples/support/parse_idx.js",
    "build/index.js",
    "build/shared.js",
  ],
  outputs: [...bundled, ...[...copied, tfjs].map((name) => `${folder}/${name}`)],
  async run() {
    await build({
      entryPoints: entries.map((name) => join(page, name)),
      outdir: folder,
      outbase: page,
      entryNames: "[name]",
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      legalComments: "none",
      logLevel: "warning",
    });
    for (const name of copied) copyFileSync(join(page, name), join(folder, name));
    const { resolve } = createRequire(import.meta.url);
    const backend = dirname(resolve("@tensorflow/tfjs-backend-wasm"));
    copyFileSync(join(backend, tfjs), join(folder, tfjs));
  },
};
