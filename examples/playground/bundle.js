// @ts-check
// From the page's sources to the files that a browser gets.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const page = fileURLToPath(new URL("page/", import.meta.url));
const tfjs = "tfjs-backend-wasm-simd.wasm";

/** Everything that a browser loads by itself, or by the name that `new Worker` is given. */
const entries = [
  "main.ts",
  "style.css",
  "digits/digits.worker.ts",
  "points/points.worker.ts",
  "race/lamella.worker.ts",
  "race/tfjs.worker.ts",
];

/** @returns {Promise<Map<string, Uint8Array>>} Files by their paths */
export async function bundlePage() {
  const { outputFiles } = await build({
    entryPoints: entries.map((name) => join(page, name)),
    outdir: page,
    outbase: page,
    entryNames: "[name]",
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    legalComments: "none",
    logLevel: "warning",
  });
  const { resolve } = createRequire(import.meta.url);
  const backend = dirname(resolve("@tensorflow/tfjs-backend-wasm"));
  return new Map([
    ["/", readFileSync(join(page, "index.html"))],
    ["/favicon.svg", readFileSync(join(page, "favicon.svg"))],
    ...outputFiles.map(
      ({ path, contents }) => /** @type {const} */ ([path.slice(page.length - 1), contents]),
    ),
    [`/${tfjs}`, readFileSync(join(backend, tfjs))],
  ]);
}
