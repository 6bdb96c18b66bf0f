// What all bundles have in common.

import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

export const common = {
  bundle: true,
  platform: "neutral",
  mainFields: ["module", "main"],
  target: "es2022",
  legalComments: "none",
  // A fresh process parses what is published, so that comments cost it a millisecond or two. Names
  // and lines stay: who finds them in a stack trace can read what is there.
  minifyWhitespace: true,
  lineLimit: 120,
};

/** The files that every bundle depends on beside its own. */
export const bundleInputs = [
  ...[
    "src",
    "build/abi.ts",
    "build/layers.ts",
    "build/layer_names.ts",
    "scripts/build/bundle.js",
    "scripts/build/inline.js",
  ],
  ...["package.json", "node_modules/.package-lock.json"],
];

/**
 * Repairs what the minifier takes away. It may break the line within module.exports, by which tools
 * know a file of CommonJS; and it drops the comments by which other bundlers know that a layer that
 * nobody names can go.
 */
function repair(file) {
  const text = readFileSync(file, "utf8")
    .replace(/\bmodule\s*\.\s*exports\b/g, "module.exports")
    .replace(/=(\s*)(plainLayer|optionLayer|layer)\(/g, "=$1/* @__PURE__ */$2(");
  writeFileSync(file, text);
}

/** Bundles, and returns the names of the packages whose code is inside. */
export async function bundle(options) {
  const { metafile } = await build({ ...common, ...options, metafile: true });
  repair(options.outfile);
  return Object.keys(metafile.inputs).flatMap(
    (input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? [],
  );
}

/**
 * Hosts that compile nothing at run time: bare workerd takes the plain file, Vercel's edge the
 * query alone.
 */
export const importingHosts = [
  ["workerd", ""],
  ["edge", "?module"],
];
