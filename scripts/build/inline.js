// The modules by which an entry has a core inside; src/runtime/build.ts tells what an entry knows
// of its core.

import { readFileSync, writeFileSync } from "node:fs";

const moduleText = (name, before, code) =>
  `${before}export default { file: "lamella/${name}.wasm", ${code} };\n`;

/** The core as hex text. */
export const inlines = ["core", "predict"].map((name) => ({
  name: `${name}.inline.js`,
  inputs: [`build/${name}.wasm`, "scripts/build/inline.js"],
  outputs: [`build/${name}.inline.js`, `build/${name}.inline.d.ts`, "build/module.d.ts"],
  run() {
    const from = `// Made by scripts/build/inline.js from ${name}.wasm.\n`;
    const hex = readFileSync(`build/${name}.wasm`, "hex");
    writeFileSync(`build/${name}.inline.js`, moduleText(name, from, `hex: "${hex}"`));
    writeFileSync(
      `build/${name}.inline.d.ts`,
      `${from}declare const build: { file: string; hex?: string; module?: unknown };\nexport default build;\n`,
    );
    // What hosts and bundlers that know imports of .wasm files make of one.
    writeFileSync(
      "build/module.d.ts",
      "// @ts-ignore: a program without the DOM's types has no such name\ndeclare const module: WebAssembly.Module;\nexport default module;\n",
    );
  },
}));

/** A plugin that puts an import of the .wasm file in the place of its text. */
export const importing = (query) => ({
  name: "importing",
  setup({ onLoad, onResolve }) {
    onLoad({ filter: /\.inline\.js$/ }, ({ path }) => {
      const name = /(\w+)\.inline\.js$/.exec(path)[1];
      return {
        contents: moduleText(name, `import module from "./${name}.wasm${query}";\n`, "module"),
      };
    });
    onResolve({ filter: /\.wasm/ }, ({ path }) => ({ path, external: true }));
  },
});
