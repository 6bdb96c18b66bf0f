// The bundlers, with their defaults.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { folderWith, type Host, here, inPackage } from "./hosts.ts";
import { run } from "./processes.ts";

export interface Bundler {
  host: Host;
  /** Its command line: a program, and arguments that make dist/ of the sources. */
  program: string;
  args: string[];
  /** Beside the sources where there is no page. */
  files?: Record<string, string>;
  /** It makes dist/index.html as well. */
  makesPage?: boolean;
  /** Where its output is no script for browsers: the form that the table says. */
  forNode?: string;
}

export const bin = (name: string) => join(here, "node_modules/.bin", name);
/** The one that this package is built with. */
const esbuild = {
  host: inPackage("esbuild", "../../../node_modules/esbuild"),
  bin: join(here, "../../node_modules/.bin/esbuild"),
};
export const vite = inPackage("Vite", "vite");
export const bundlers: Bundler[] = [
  {
    host: vite,
    program: bin("vite"),
    args: ["build"],
    // Its default is a page, and what it adds to that wants a document.
    files: {
      "vite.config.js": `export default {
        build: { rolldownOptions: { input: "main.js", output: { entryFileNames: "main.js" } } },
      };`,
    },
    makesPage: true,
  },
  {
    host: inPackage("webpack", "webpack"),
    program: bin("webpack"),
    args: ["--mode=production", "--entry=./main.js"],
  },
  {
    host: esbuild.host,
    program: esbuild.bin,
    args: ["main.js", "--bundle", "--outfile=dist/main.js"],
  },
  {
    host: esbuild.host,
    program: esbuild.bin,
    args: ["main.cjs", "--bundle", "--platform=node", "--outfile=dist/main.js"],
    // As a function of a serverless host is bundled.
    files: {
      "main.cjs": `
        const [lamella, predict] = [require("lamella"), require("lamella/predict")];
        const { suite } = require("./suite.mjs");
        suite({ lamella, predict }).then((report) => console.log(JSON.stringify(report)));`,
      "package.json": JSON.stringify({ private: true }),
    },
    forNode: "`require`, CommonJS",
  },
  {
    host: inPackage("Rollup", "rollup"),
    program: bin("rollup"),
    args: ["main.js", "--plugin=node-resolve", "--dir=dist"],
  },
];

/** Bundles these files in a folder of their own; gives the path of what came out. */
export async function bundle(
  { host, program, args }: Bundler,
  where: string,
  files: Record<string, string>,
): Promise<string> {
  const cwd = folderWith(`${host.name}-${where}`, files);
  const output = await run(program, args, { cwd });
  // webpack and Vite find the whole suite big.
  const warning =
    /^\(!\)(?! Some chunks are larger)|\[WARNING\]|^WARNING in (?!.*(size|performance))/m;
  expect(output.stdout + output.stderr).not.toMatch(warning);
  return join(cwd, "dist");
}

/** As bundle, with the page beside it. */
export async function bundlePage(
  bundler: Bundler,
  where: string,
  files: Record<string, string>,
): Promise<string> {
  const dist = await bundle(bundler, where, files);
  if (!bundler.makesPage) copyFileSync(join(dist, "../index.html"), join(dist, "index.html"));
  return dist;
}
