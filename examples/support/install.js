// @ts-check
// Packages that an example needs and the repository does not install: they have a package.json of their own.

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);

/**
 * Installs what the package.json of a folder lists, unless the package is there already.
 *
 * @param {string} folder From the repository's root
 * @param {string} name The package that is looked for
 * @param {...string} flags More for `npm ci`
 */
export function ensureInstalled(folder, name, ...flags) {
  const cwd = fileURLToPath(new URL(`${folder}/`, root));
  try {
    createRequire(`${cwd}package.json`).resolve(name);
    return;
  } catch {
    console.log(`installing ${name} and its like into ${folder}, once …`);
  }
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = spawnSync("npm", ["ci", ...quiet, ...flags], { cwd, stdio: "inherit" });
  if (status !== 0) throw new Error(`\`npm ci\` in ${folder} did not get ${name}`);
}
