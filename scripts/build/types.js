// The types of each entry: one file without imports, so that it serves ES modules and CommonJS alike.

import { writeFileSync } from "node:fs";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";

export const types = ["index", "predict"].map((entry) => ({
  name: `${entry}.d.ts`,
  inputs: [
    ...["src", "build/core.d.ts", "build/core.inline.d.ts", "build/predict.inline.d.ts"],
    ...["tsconfig.json", "node_modules/.package-lock.json", "scripts/build/types.js"],
  ],
  outputs: [`build/${entry}.d.ts`, `build/${entry}.d.cts`],
  async run() {
    const bundle = await rollup({ input: `src/${entry}.ts`, plugins: [dts()] });
    const { output } = await bundle.generate({ format: "es" });
    // Symbol.dispose, for those whose own lib has not got it.
    const lib = '/// <reference lib="esnext.disposable" />\n';
    for (const kind of ["ts", "cts"]) {
      writeFileSync(`build/${entry}.d.${kind}`, lib + output[0].code);
    }
    await bundle.close();
  },
}));
