// Everything under build/: the cores, the core inlined for bundles, both module kinds, the types.
//   node scripts/build.js

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";

process.chdir(new URL("..", import.meta.url).pathname);
mkdirSync("build", { recursive: true });

for (const target of ["release", "debug"]) {
  const { error, stderr } = await asc.main(["--target", target]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
}
// asc's glue code is not used: it would instantiate by itself. Its types are the ABI's only list.
for (const name of ["core.js", "core.debug.js", "core.debug.d.ts"]) rmSync(`build/${name}`);

const wasm = readFileSync("build/core.wasm");
const names = WebAssembly.Module.exports(new WebAssembly.Module(wasm)).map(({ name }) => name);
const from = "// Made by scripts/build.js from core.wasm.\n";
writeFileSync(
  "build/core.inline.js",
  `${from}export default "${wasm.toString("hex")}";\nexport const exportNames = "${names.join(" ")}".split(" ");\n`,
);
writeFileSync(
  "build/core.inline.d.ts",
  `${from}declare const hex: string;\nexport default hex;\nexport declare const exportNames: string[];\n`,
);

const common = {
  entryPoints: ["src/index.ts"],
  bundle: true,
  platform: "neutral",
  mainFields: ["module", "main"],
  target: "es2022",
  legalComments: "none",
};
await build({ ...common, format: "esm", outfile: "build/index.js" });
await build({ ...common, format: "cjs", outfile: "build/index.cjs" });

// One file without imports, so that it serves ES modules and CommonJS alike.
const types = await rollup({ input: "src/index.ts", plugins: [dts()] });
const { output } = await types.generate({ format: "es" });
// Symbol.dispose, for those whose own lib has not got it.
const lib = '/// <reference lib="esnext.disposable" />\n';
for (const name of ["index.d.ts", "index.d.cts"]) {
  writeFileSync(`build/${name}`, lib + output[0].code);
}
await types.close();
