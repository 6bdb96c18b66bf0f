// What the licences ask of whoever passes others' code on: their texts, and the notices that came
// with them.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { importers } from "./published.js";

export const licences = {
  name: "THIRD_PARTY_LICENSES.txt",
  inputs: [
    ...["scripts/build/licences.js", "node_modules/.package-lock.json"],
    ...["build/index.js", "build/shared.js", "build/cli.js"],
    ...importers.map(({ file }) => `build/${file}.js`),
  ],
  outputs: ["build/THIRD_PARTY_LICENSES.txt"],
  /** @param results names of the packages whose code each bundle has inside */
  run(results) {
    const bundled = Object.values(results).flatMap((packages) => packages ?? []);
    const texts = new Map();
    // What jsfive publishes has pako inside.
    const within = bundled.includes("jsfive") ? ["pako"] : [];
    // The compiler's code is in the cores, by its standard library.
    for (const name of [...new Set(["assemblyscript", ...bundled, ...within])].sort()) {
      const { version, license, repository } = JSON.parse(
        readFileSync(`node_modules/${name}/package.json`, "utf8"),
      );
      const files = readdirSync(`node_modules/${name}`).filter((file) =>
        /^(licen[cs]e|notice)/i.test(file),
      );
      if (files.length === 0) throw new Error(`${name} comes without the text of its licence`);
      const text = files.map((file) => readFileSync(`node_modules/${name}/${file}`, "utf8").trim());
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
  },
};
