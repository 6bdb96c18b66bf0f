// The command `lamella`: one file beside the entries, with its libraries inside and the package
// itself outside.

import { chmodSync, readFileSync } from "node:fs";
import { bundle, bundleInputs } from "./bundle.js";

export const command = {
  name: "cli.js",
  inputs: [
    ...[...bundleInputs, "scripts/build/command.js"],
    ...["build/limits.wasm", "build/limits.relaxed.wasm"],
  ],
  outputs: ["build/cli.js"],
  async run() {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    const packages = await bundle({
      entryPoints: ["src/cli/index.ts"],
      outfile: "build/cli.js",
      platform: "node",
      format: "esm",
      minify: true,
      loader: { ".wasm": "binary" },
      define: { VERSION: JSON.stringify(version) },
      // Libraries that are CommonJS ask for Node's modules by `require`.
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
      plugins: [
        {
          name: "the package itself",
          setup({ onResolve }) {
            onResolve({ filter: /^lamella(\/[\w/-]+)?$/ }, ({ path }) => {
              const file = path === "lamella" ? "index" : path.split("/").at(-1);
              return { path: `./${file}.js`, external: true };
            });
          },
        },
      ],
    });
    chmodSync("build/cli.js", 0o755);
    return packages;
  },
};
