// docs/licences.md: whose code Lamella publishes, and what it is built and tested with, from the lockfiles.
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
  ["examples/worker/tools/", "workerd and the load tool (`examples/worker/tools/`)"],
];

const table = (rows) =>
  ["| package | licence |", "| --- | --- |", ...rows.map((row) => `| ${row.join(" | ")} |`)].join(
    "\n",
  );

function section([folder, purpose]) {
  const { packages } = json(`${folder}package-lock.json`);
  const { dependencies, devDependencies, optionalDependencies } = packages[""];
  const direct = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  const rows = direct
    .sort()
    .map((name) => [`\`${name}\``, packages[`node_modules/${name}`].license]);
  const others = Object.entries(packages)
    .filter(([path]) => path !== "" && !direct.includes(path.replace(/^node_modules\//, "")))
    .map(([, { license }]) => license);
  const kinds = [...new Set(others)].sort().join("; ");
  return `## Used ${purpose}\n\n${table(rows)}\n\nWhat these bring along is under: ${kinds}.\n`;
}

const text = `# Licences

<!-- Made by scripts/licences.js from the lockfiles: npm run licences. -->

Lamella is under the MIT licence (\`LICENSE\`). The published package installs nothing beside itself. It has code of two
packages in it, whose licence and notices are in \`build/THIRD_PARTY_LICENSES.txt\`:

| package | licence | what of it |
| --- | --- | --- |
| \`@assemblyscript/loader\` | Apache-2.0 | what instantiates the core |
| \`assemblyscript\` | Apache-2.0 | what the kernels use of its standard library, compiled |

None of the following is published.

${folders.map(section).join("\n")}`;

const file = fileURLToPath(new URL("docs/licences.md", root));
if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== text) {
    console.error("docs/licences.md is not what the lockfiles say: npm run licences");
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
}
