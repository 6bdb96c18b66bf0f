// The types of each entry: one file without imports, so that it serves ES modules and CommonJS
// alike. TypeScript reads it from 5.0 on.

import { writeFileSync } from "node:fs";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import { entries, importers } from "./published.js";

/**
 * Symbol.dispose and what `using` takes, for those whose own lib has not got them: TypeScript 5.0
 * knows no such lib.
 */
const disposable = `declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
}
`;

/**
 * NoInfer came with TypeScript 5.4. Before, a dtype that does not fit is told by the call itself,
 * when it runs.
 */
const uninferred = `// @ts-ignore
type Uninferred<T> = NoInfer<T>;
`;

/**
 * The same declarations in words that older versions of TypeScript, and programs without the DOM's
 * types, can read. An ignored name that does not exist is `any`.
 */
function readable(code) {
  const sources = /^type WasmSource =/m;
  // Of an importer the types of `lamella` are outside.
  if (!sources.test(code) && !/ from ["']lamella["']/.test(code))
    throw new Error("no WasmSource among the types: look for the DOM's names");
  const text = code
    .replace(
      sources,
      "// @ts-ignore: WebAssembly, BufferSource, Response and URL are the DOM's\n$&",
    )
    // Typed arrays are generic from 5.7 on, where `of` returns a Float32Array<ArrayBuffer>.
    .replace(/\b(\w+Array)<ArrayBuffer>/g, 'ReturnType<$1Constructor["of"]>')
    .replace(/\bNoInfer</g, "Uninferred<");
  const needed = /\bSymbol\.dispose|\bDisposable\b/.test(text) ? disposable : "";
  return needed + (text.includes("Uninferred<") ? uninferred : "") + text;
}

export const types = [...entries, ...importers].map(({ file: entry }) => ({
  name: `${entry}.d.ts`,
  inputs: [
    ...[
      "src",
      "build/layers.ts",
      "build/layer_names.ts",
      "build/core.d.ts",
      "build/core.inline.d.ts",
      "build/predict.inline.d.ts",
    ],
    ...["tsconfig.json", "node_modules/.package-lock.json", "scripts/build/types.js"],
  ],
  outputs: [`build/${entry}.d.ts`, `build/${entry}.d.cts`],
  async run() {
    const bundle = await rollup({
      input: `src/${entry}.ts`,
      external: ["lamella"],
      plugins: [dts()],
    });
    const { output } = await bundle.generate({ format: "es" });
    const text = readable(output[0].code);
    for (const kind of ["ts", "cts"]) writeFileSync(`build/${entry}.d.${kind}`, text);
    await bundle.close();
  },
}));
