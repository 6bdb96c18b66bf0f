// The other builds of the core, each an import of its own: nobody pays for one that is not asked
// for. Those with a shared memory bring along what starts workers.

import { readFileSync, writeFileSync } from "node:fs";
import { bundle, bundleInputs, importingHosts } from "./bundle.js";
import { importing } from "./inline.js";
import { variants as published } from "./published.js";

const endings = ["js", "cjs", ...importingHosts.map(([host]) => `${host}.js`), "d.ts", "d.cts"];

export const variants = published.map((variant) => ({
  name: `${variant}.js`,
  inputs: [...bundleInputs, `build/core.${variant}.wasm`, "scripts/build/variants.js"],
  outputs: endings.map((ending) => `build/${variant}.${ending}`),
  async run() {
    const file = `core.${variant}.wasm`;
    const hasPool = variant.endsWith("shared");
    const contents = (before, code) => `${before}
    ${hasPool ? 'import { Pool } from "./src/runtime/pool.ts";' : ""}
    export default { variant: "${variant}", file: "lamella/${file}", ${hasPool ? "Pool," : ""} ${code} };`;
    const write = (text, ending, options) => {
      const stdin = { contents: text, resolveDir: "." };
      const own = { stdin, plugins: [importing("")], outfile: `build/${variant}.${ending}` };
      // Where there is no import.meta, or no worker, nothing is to look for the worker's file.
      const define = ending === "js" ? {} : { "import.meta.url": "undefined" };
      return bundle({ ...own, define, format: "esm", ...options });
    };
    const inlined = contents("", `hex: "${readFileSync(`build/${file}`, "hex")}"`);
    // Of what esbuild makes of a default export for CommonJS, tools that read it see nothing.
    const footer = { js: "exports.__esModule = true;\nexports.default = variant.default;" };
    const packages = await Promise.all([
      write(inlined, "js"),
      write(inlined, "cjs", { format: "iife", globalName: "variant", footer }),
      ...importingHosts.map(([host, query]) =>
        write(contents(`import module from "./${file}${query}";`, "module"), `${host}.js`),
      ),
    ]);
    for (const kind of ["ts", "cts"]) {
      const from = `./index.${kind.replace("ts", "js")}`;
      writeFileSync(
        `build/${variant}.d.${kind}`,
        `import type { WasmVariant } from "${from}";\ndeclare const variant: WasmVariant;\nexport default variant;\n`,
      );
    }
    return packages.flat();
  },
}));
