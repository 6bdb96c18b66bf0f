// @ts-check
// From the Worker's sources to what workerd is given: one script, the modules that it imports, and a config.

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const COMPATIBILITY_DATE = "2025-11-01";
const MAIN = "worker.js";

/** workerd's name for each kind of module. */
const kinds = { ".js": "esModule", ".wasm": "wasm", ".safetensors": "data", ".html": "text" };

/**
 * Bundles worker/index.js as a deployment does: package conditions of Workers, and everything that is no JavaScript as
 * a module of its own.
 *
 * @param {string} folder Which gets the files
 * @returns {string} The path of a config for `workerd serve`
 */
export function bundleWorker(folder) {
  // In step with this process, so that no process of esbuild's is left to be ended.
  buildSync({
    entryPoints: { worker: fileURLToPath(new URL("worker/index.js", import.meta.url)) },
    outdir: folder,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser"],
    loader: { ".wasm": "copy", ".safetensors": "copy", ".html": "copy" },
    assetNames: "[name]",
    legalComments: "none",
  });
  return writeConfig(folder);
}

/**
 * A Worker that does nothing, to compare with.
 *
 * @param {string} folder
 */
export function emptyWorker(folder) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, MAIN), "export default { fetch: () => new Response('nothing') };\n");
  return writeConfig(folder);
}

/** @param {string} folder */
function writeConfig(folder) {
  const modules = Object.entries(kinds).flatMap(([ending, kind]) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => `(name = "${name}", ${kind} = embed "${name}")`),
  );
  const path = join(folder, "config.capnp");
  writeFileSync(
    path,
    `# Made by examples/worker/bundle.js.
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    ${modules.join(",\n    ")},
  ],
  compatibilityDate = "${COMPATIBILITY_DATE}",
);
`,
  );
  return path;
}
