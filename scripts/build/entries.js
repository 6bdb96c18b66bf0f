// The entries `lamella` and `lamella/predict`, in each form that hosts want, those that read other
// formats, and the file that browsers start workers from.

import { writeFileSync } from "node:fs";
import { build } from "esbuild";
import { bundle, bundleInputs, common, importingHosts } from "./bundle.js";
import { importing } from "./inline.js";
import { entries as published, importers as publishedImporters } from "./published.js";

export const entries = published.map(({ file: entry, core }) => ({
  name: `${entry}.js`,
  inputs: [
    ...[...bundleInputs, "scripts/build/entries.js", "scripts/build/published.js"],
    `build/${core}.inline.js`,
  ],
  outputs: [".js", ".cjs", ...importingHosts.map(([host]) => `.${host}.js`)].map(
    (ending) => `build/${entry}${ending}`,
  ),
  async run() {
    const options = { entryPoints: [`src/${entry}.ts`] };
    const hosts = importingHosts.map(([host, query]) =>
      bundle({
        ...options,
        plugins: [importing(query)],
        format: "esm",
        outfile: `build/${entry}.${host}.js`,
      }),
    );
    const packages = await Promise.all([
      bundle({ ...options, format: "esm", outfile: `build/${entry}.js` }),
      bundle({ ...options, format: "cjs", outfile: `build/${entry}.cjs` }),
      ...hosts,
    ]);
    return packages.flat();
  },
}));

export const importers = publishedImporters.map(({ file }) => ({
  name: `${file}.js`,
  inputs: [...bundleInputs, "scripts/build/entries.js", "scripts/build/published.js"],
  outputs: [`build/${file}.js`, `build/${file}.cjs`],
  async run() {
    const options = { entryPoints: [`src/${file}.ts`], external: ["lamella"] };
    const packages = await Promise.all(
      ["js", "cjs"].map((ending) =>
        bundle({
          ...options,
          format: ending === "js" ? "esm" : "cjs",
          outfile: `build/${file}.${ending}`,
        }),
      ),
    );
    return packages.flat();
  },
}));

/**
 * Browsers start workers from it where they may not from a Blob; src/runtime/hosts/web_workers.ts
 * tells what is in it.
 */
export const worker = {
  name: "worker.js",
  inputs: [...bundleInputs, "scripts/build/entries.js"],
  outputs: ["build/worker.js"],
  async run() {
    const { outputFiles } = await build({
      ...common,
      ...{ entryPoints: ["src/runtime/hosts/web_workers.ts"], format: "esm", write: false },
    });
    const { SOURCE } = await import(
      `data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`
    );
    writeFileSync("build/worker.js", SOURCE);
  },
};
