// The packages of a folder that has a package.json of its own.

import { spawnSync } from "node:child_process";

/**
 * A task that installs what the folder's lock file says; `args` are further arguments of `npm ci`.
 */
export const packages = (folder, ...args) => ({
  name: `packages of ${folder}/`,
  inputs: [`${folder}/package.json`, `${folder}/package-lock.json`],
  outputs: [`${folder}/node_modules/.package-lock.json`],
  run() {
    const { status } = spawnSync("npm", ["ci", "--prefix", folder, ...args], { stdio: "inherit" });
    if (status !== 0) throw new Error(`npm ci --prefix ${folder} failed`);
  },
});
