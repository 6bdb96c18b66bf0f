// @ts-check
// Files that an example makes of others, made again only when those have changed.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} Task
 * @property {string} name What is made, for people
 * @property {string[]} inputs Files and folders that it is made of
 * @property {string[]} outputs Files
 * @property {() => void | Promise<void>} run Makes the outputs
 */

/**
 * Runs those tasks whose inputs are other than at their last run, and prints a line when
 * each begins and when it has ended.
 *
 * @param {string} folder Where the outputs are, and a record of what they were made of
 * @param {Task[]} tasks
 */
export async function makeChanged(folder, tasks) {
  const record = join(folder, ".made.json");
  /** @type {Record<string, string>} */
  const made = existsSync(record) ? JSON.parse(readFileSync(record, "utf8")) : {};
  mkdirSync(folder, { recursive: true });
  for (const { name, inputs, outputs, run } of tasks) {
    const digest = digestOf(inputs);
    if (made[name] === digest && outputs.every((file) => existsSync(file))) continue;
    console.log(`making ${name} …`);
    const began = performance.now();
    await run();
    made[name] = digest;
    writeFileSync(record, JSON.stringify(made));
    console.log(`made ${name}, ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }
}

/** @param {string[]} inputs */
function digestOf(inputs) {
  const hash = createHash("sha256");
  for (const path of inputs.flatMap(filesOf)) hash.update(`${path}\n`).update(readFileSync(path));
  return hash.digest("hex");
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function filesOf(path) {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).sort();
  return names.flatMap((name) => filesOf(join(path, name)));
}
