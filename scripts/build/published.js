// What the package publishes of build/: the one list of entries, from which follow `files`, `main`,
// `module`, `types` and `exports` of package.json and the folders of older resolvers.
// scripts/manifest.js writes them.

/** The entries that are bundled from src/, each with the core that it has inside. */
export const entries = [
  { subpath: ".", file: "index", core: "core" },
  { subpath: "./predict", file: "predict", core: "predict" },
];

/**
 * The entries that read other formats: each is bundled with its libraries inside and `lamella`
 * outside, so that what they make is of the program's own `lamella`.
 */
export const importers = ["keras", "tfjs", "tflite", "torch"].map((file) => ({
  subpath: `./${file}`,
  file,
}));

/** The other builds of the core, each an import of its own: lamella/wasm/relaxed. */
export const variants = ["relaxed", "shared", "relaxed-shared"];

const imports = [
  ...entries,
  ...importers,
  ...variants.map((variant) => ({ subpath: `./wasm/${variant}`, file: variant })),
];

/** The cores as files, which hosts that compile nothing at run time import. */
const cores = ["core", ...variants.map((variant) => `core.${variant}`), "predict"];

/** Everything else. */
const others = ["module.d.ts", "cli.js", "worker.js", "THIRD_PARTY_LICENSES.txt"];
const pages = [
  "CHANGELOG.md",
  "docs/*.md",
  "docs/hosts/*.md",
  "docs/layers/*.md",
  "docs/losses/*.md",
  "docs/migrating/*.md",
  "docs/images/playground-digits.png",
];

/**
 * The forms of an import: conditions of `exports` and the endings of their files, the first that
 * fits is taken.
 */
const forms = [
  ["workerd", ".workerd.js"],
  ["edge-light", ".edge.js"],
  ["module", ".js"],
  ["module-sync", ".js"],
  ["import", ".js"],
  ["require", ".cjs"],
];

const typesOf = (ending) => (ending === ".cjs" ? ".d.cts" : ".d.ts");

/** An importer has no core inside, so that hosts that import theirs take the plain file. */
const endingsOf = (entry) =>
  forms.map(([condition, ending]) => [
    condition,
    importers.includes(entry) && ending !== ".cjs" ? ".js" : ending,
  ]);

function exportsOf(entry) {
  const { file } = entry;
  const conditions = endingsOf(entry).map(([condition, ending]) => [
    condition,
    { types: `./build/${file}${typesOf(ending)}`, default: `./build/${file}${ending}` },
  ]);
  return { ...Object.fromEntries(conditions), default: `./build/${file}.js` };
}

/** A folder that leads resolvers that do not know `exports` to an import, as "wasm/relaxed". */
const folderOf = ({ subpath }) => subpath.slice(2);

/** The fields of package.json that follow from the list. */
export function manifestFields() {
  const filesOf = (entry) => {
    const endings = endingsOf(entry).flatMap(([, ending]) => [ending, typesOf(ending)]);
    return [...new Set(endings)].map((ending) => `build/${entry.file}${ending}`);
  };
  const folders = imports.map(folderOf).filter(Boolean);
  return {
    files: [
      ...imports.flatMap(filesOf),
      ...cores.map((name) => `build/${name}.wasm`),
      ...others.map((name) => `build/${name}`),
      ...folders.map((folder) => `${folder}/package.json`),
      ...pages,
    ],
    main: "./build/index.cjs",
    module: "./build/index.js",
    types: "./build/index.d.ts",
    exports: {
      ...Object.fromEntries(imports.map((entry) => [entry.subpath, exportsOf(entry)])),
      ...Object.fromEntries(
        cores.map((name) => [
          `./${name}.wasm`,
          { types: "./build/module.d.ts", default: `./build/${name}.wasm` },
        ]),
      ),
      "./package.json": "./package.json",
    },
  };
}

/** What stands in package.json of each folder, by the path of that file. */
export function folderManifests() {
  return imports.flatMap((entry) => {
    const folder = folderOf(entry);
    if (!folder) return [];
    const up = folder.replace(/[^/]+/g, "..");
    const manifest = {
      "//": `lamella/${folder} for resolvers that do not know the exports of ${up}/package.json`,
      main: `${up}/build/${entry.file}.cjs`,
      module: `${up}/build/${entry.file}.js`,
      types: `${up}/build/${entry.file}.d.ts`,
      sideEffects: false,
    };
    return [[`${folder}/package.json`, manifest]];
  });
}
