// docs/licences.md: whose code Lamella publishes, and what it is built and tested with, from the
// lockfiles.
//   node scripts/licences.js           writes it
//   node scripts/licences.js --check   fails where it is not what would be written

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const json = (name) => JSON.parse(readFileSync(new URL(name, root), "utf8"));

/** Folders with a package.json of their own, and what for. */
const folders = [
  ["", "to build and to test"],
  ["bench/", "the peers of the benchmark (`bench/`)"],
  ["test/hosts/", "the runtimes and bundlers that the package is tried in (`test/hosts/`)"],
  ["test/mutation/", "the mutation tester (`test/mutation/`)"],
  ["docs/", "to make the site (`docs/`)"],
  ["examples/playground/", "by the playground (`examples/playground/`)"],
  ["examples/worker/tools/", "workerd and the load tool (`examples/worker/tools/`)"],
];

/** What of a published package is used; of any other, what the command needs. */
const uses = {
  assemblyscript: "what the kernels use of its standard library, compiled",
};
/** As scripts/build/licences.js found them in the bundles. */
const published = [
  ...readFileSync(new URL("build/THIRD_PARTY_LICENSES.txt", root), "utf8").matchAll(
    /^(\S+) \d+\.\d+\.\d+, ([^,]+), /gm,
  ),
].map(([, name, licence]) => [`\`${name}\``, licence, uses[name] ?? "in the command `lamella`"]);

const table = (rows, head = ["package", "licence"]) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");

function section([folder, purpose]) {
  const { packages } = json(`${folder}package-lock.json`);
  const { dependencies, devDependencies, optionalDependencies } = packages[""];
  const direct = Object.keys({
    ...dependencies,
    ...devDependencies,
    ...optionalDependencies,
  }).filter((name) => name !== "lamella");
  const rows = direct
    .sort()
    .map((name) => [`\`${name}\``, packages[`node_modules/${name}`].license]);
  const others = Object.entries(packages)
    .filter(([path]) => path.startsWith("node_modules/"))
    .filter(([path]) => !direct.includes(path.slice("node_modules/".length)))
    .map(([, { license }]) => license);
  const kinds = [...new Set(others)].sort().join("; ");
  return `## Used ${purpose}\n\n${table(rows)}\n\nWhat these bring along is under: ${kinds}.\n`;
}

const text = `# Licences

<!-- Made by scripts/licences.js from the lockfiles: node scripts/licences.js. -->

Lamella is under the MIT licence (\`LICENSE\`). The published package installs nothing beside itself. It has code of these
packages in it, whose licences and notices are in \`build/THIRD_PARTY_LICENSES.txt\`:

${table(published, ["package", "licence", "what of it"])}

None of the following is published.

${folders.map(section).join("\n")}`;

const file = fileURLToPath(new URL("docs/licences.md", root));
if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== text) {
    console.error("docs/licences.md is not what the lockfiles say: node scripts/licences.js");
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
}
