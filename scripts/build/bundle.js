// What all bundles have in common.

import { readFileSync } from "node:fs";
import { build } from "esbuild";

export const common = {
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

/** The files that every bundle depends on beside its own. */
export const bundleInputs = [
  ...["src", "scripts/build/bundle.js", "scripts/build/inline.js"],
  ...["package.json", "node_modules/.package-lock.json"],
];

/** What the loader does as it is imported, and what is there instead. */
const loaderStatements = [
  // Where objects are frozen the write throws, although every host that we serve has the function.
  [/^Object\.hasOwn = Object\.hasOwn \|\| function[^}]*};$/gm, ""],
  // It decodes strings of a core, of which ours have none; some hosts have no such class.
  [/^const utf16 = new TextDecoder\([^)]*\);.*$/gm, "const utf16 = undefined;"],
];

/** A plugin that takes out of @assemblyscript/loader what writes to a global or wants one when it is imported. */
const quietLoader = {
  name: "quiet loader",
  setup({ onLoad }) {
    onLoad({ filter: /@assemblyscript[\\/]loader[\\/]index\.js$/ }, ({ path }) => {
      let contents = readFileSync(path, "utf8");
      for (const [statement, instead] of loaderStatements) {
        const { length } = contents.match(statement) ?? [];
        if (length !== 1) {
          throw new Error(
            `expected ${statement} once in ${path}: look at what the loader does now`,
          );
        }
        contents = contents.replace(statement, instead);
      }
      return { contents };
    });
  },
};

/** Bundles, and returns the names of the packages whose code is inside. */
export async function bundle(options) {
  const plugins = [quietLoader, ...(options.plugins ?? [])];
  const { metafile } = await build({ ...common, ...options, plugins, metafile: true });
  return Object.keys(metafile.inputs).flatMap(
    (input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? [],
  );
}

/** Hosts that compile nothing at run time: bare workerd takes the plain file, Vercel's edge the query alone. */
export const importingHosts = [
  ["workerd", ""],
  ["edge", "?module"],
];
