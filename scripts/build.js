// Everything under build/: the cores, the entries in each form that hosts want, the types, the licences of what is in them.
//   node scripts/build.js

import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
mkdirSync("build", { recursive: true });

/** Compiles a target of asconfig.json. */
async function compile(entry, target) {
  const { error, stderr } = await asc.main([`assembly/${entry}.ts`, "--target", target], {
    writeFile(name, contents) {
      // asc's glue code is not used: it would instantiate by itself. Of its types the core's are the ABI's only list.
      if (/\.(wasm|map)$|\bcore\.d\.ts$/.test(name)) writeFileSync(name, contents);
    },
  });
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
}
await compile("index", "release");
await compile("index", "debug");
await compile("index", "relaxed");
await compile("shared", "shared");
await compile("shared", "relaxed-shared");
await compile("predict_core", "predict");

/** src/runtime/wasm.ts tells what an entry knows of its core. */
const buildModule = (name, before, code) => {
  const exported = WebAssembly.Module.exports(
    new WebAssembly.Module(readFileSync(`build/${name}.wasm`)),
  );
  const names = exported.map(({ name }) => name).join(" ");
  return `${before}export default { file: "lamella/${name}.wasm", exportNames: "${names}", ${code} };\n`;
};
for (const name of ["core", "predict"]) {
  const from = `// Made by scripts/build.js from ${name}.wasm.\n`;
  const hex = readFileSync(`build/${name}.wasm`, "hex");
  writeFileSync(`build/${name}.inline.js`, buildModule(name, from, `hex: "${hex}"`));
  writeFileSync(
    `build/${name}.inline.d.ts`,
    `${from}declare const build: { file: string; exportNames: string; hex?: string; module?: unknown };\nexport default build;\n`,
  );
}

// What hosts and bundlers that know imports of .wasm files make of one.
writeFileSync(
  "build/module.d.ts",
  "declare const module: WebAssembly.Module;\nexport default module;\n",
);

// Hosts that compile nothing at run time: bare workerd takes the plain file, Vercel's edge the query alone.
const importingHosts = [
  ["workerd", ""],
  ["edge", "?module"],
];

/** Puts an import of the .wasm file in the place of its text. */
const importing = (query) => ({
  name: "importing",
  setup({ onLoad, onResolve }) {
    onLoad({ filter: /\.inline\.js$/ }, ({ path }) => {
      const name = /(\w+)\.inline\.js$/.exec(path)[1];
      return {
        contents: buildModule(name, `import module from "./${name}.wasm${query}";\n`, "module"),
      };
    });
    onResolve({ filter: /\.wasm/ }, ({ path }) => ({ path, external: true }));
  },
});

const common = {
  bundle: true,
  platform: "neutral",
  mainFields: ["module", "main"],
  target: "es2022",
  legalComments: "none",
  // A fresh process parses what is published, so that comments cost it a millisecond or two. Names and lines stay: who
  // finds them in a stack trace can read what is there.
  minifyWhitespace: true,
  lineLimit: 120,
};

/** Packages whose code is in what is published: the compiler's by its standard library, which the cores have in them. */
const foreign = new Set(["assemblyscript"]);

async function bundle(options) {
  const { metafile } = await build({ ...common, ...options, metafile: true });
  for (const input of Object.keys(metafile.inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input);
    if (found) foreign.add(found[1]);
  }
}

for (const entry of ["index", "predict"]) {
  const options = { entryPoints: [`src/${entry}.ts`] };
  await bundle({ ...options, format: "esm", outfile: `build/${entry}.js` });
  await bundle({ ...options, format: "cjs", outfile: `build/${entry}.cjs` });
  for (const [host, query] of importingHosts) {
    const plugins = [importing(query)];
    await bundle({ ...options, plugins, format: "esm", outfile: `build/${entry}.${host}.js` });
  }

  // One file without imports, so that it serves ES modules and CommonJS alike.
  const types = await rollup({ input: `src/${entry}.ts`, plugins: [dts()] });
  const { output } = await types.generate({ format: "es" });
  // Symbol.dispose, for those whose own lib has not got it.
  const lib = '/// <reference lib="esnext.disposable" />\n';
  for (const kind of ["ts", "cts"]) writeFileSync(`build/${entry}.d.${kind}`, lib + output[0].code);
  await types.close();
}

// The file that browsers start workers from where they may not from a Blob: src/runtime/hosts/web_workers.ts tells what is in it.
const { outputFiles } = await build({
  ...common,
  ...{ entryPoints: ["src/runtime/hosts/web_workers.ts"], format: "esm", write: false },
});
const { SOURCE } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
writeFileSync("build/worker.js", SOURCE);

// The other builds of the core, each an import of its own: nobody pays for one that is not asked for. Those with a shared
// memory bring along what starts workers.
for (const variant of ["relaxed", "shared", "relaxed-shared"]) {
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
  await write(inlined, "js");
  // Of what esbuild makes of a default export for CommonJS, tools that read it see nothing.
  const footer = { js: "exports.__esModule = true;\nexports.default = variant.default;" };
  await write(inlined, "cjs", { format: "iife", globalName: "variant", footer });
  for (const [host, query] of importingHosts) {
    const text = contents(`import module from "./${file}${query}";`, "module");
    await write(text, `${host}.js`);
  }
  for (const kind of ["ts", "cts"]) {
    const from = `./index.${kind.replace("ts", "js")}`;
    writeFileSync(
      `build/${variant}.d.${kind}`,
      `import type { WasmVariant } from "${from}";\ndeclare const variant: WasmVariant;\nexport default variant;\n`,
    );
  }
}

// The command, one file beside the entries, with its libraries inside and the package itself outside.
const { version } = JSON.parse(readFileSync("package.json", "utf8"));
for (const variant of ["strict", "relaxed"]) {
  // What bench measures the machine's limits with; asconfig.json is not for it, whose memory is its own.
  const file = variant === "strict" ? "limits.wasm" : "limits.relaxed.wasm";
  const { error, stderr } = await asc.main(
    [
      ...["limits.ts", "--baseDir", "bench/support", "--outFile", file],
      ...["-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "--initialMemory", "513"],
      ...["--enable", variant === "strict" ? "simd" : "simd,relaxed-simd"],
    ],
    { writeFile: (_, contents) => writeFileSync(`build/${file}`, contents) },
  );
  if (error) throw new Error(`limits.ts: ${stderr}`);
}
await bundle({
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
        onResolve({ filter: /^lamella(\/wasm\/[\w-]+)?$/ }, ({ path }) => {
          const file = path === "lamella" ? "index" : path.slice("lamella/wasm/".length);
          return { path: `./${file}.js`, external: true };
        });
      },
    },
  ],
});
chmodSync("build/cli.js", 0o755);

/** The package that has the texts of one that comes without them, both being of one repository. */
const homes = { "@assemblyscript/loader": "assemblyscript" };

// What the licences ask of whoever passes such code on: their texts, and the notices that came with them.
const texts = new Map();
for (const name of [...foreign].sort()) {
  const { version, license, repository } = JSON.parse(
    readFileSync(`node_modules/${name}/package.json`, "utf8"),
  );
  const home = homes[name] ?? name;
  const files = readdirSync(`node_modules/${home}`).filter((file) =>
    /^(licen[cs]e|notice)/i.test(file),
  );
  if (files.length === 0) throw new Error(`${name} comes without the text of its licence`);
  const text = files.map((file) => readFileSync(`node_modules/${home}/${file}`, "utf8").trim());
  const heading = `${name} ${version}, ${license}, ${repository.url ?? repository}`;
  const same = text.join("\n\n");
  texts.set(same, [...(texts.get(same) ?? []), heading]);
}
const rule = `\n\n${"=".repeat(78)}\n\n`;
const intro = `Code of these packages is in the files of this folder, bundled with Lamella's own, and cut down to what is used.
Lamella itself is under the MIT licence, in the file LICENSE.`;
writeFileSync(
  "build/THIRD_PARTY_LICENSES.txt",
  `${[intro, ...[...texts].map(([text, names]) => `${names.join("\n")}\n\n${text}`)].join(rule)}\n`,
);
