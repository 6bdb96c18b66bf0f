// The fields of package.json that follow from the list of entries (scripts/build/published.js), and
// the folders of older resolvers. test/package/manifest.test.ts tells where they are not what the
// list says.
//   node scripts/manifest.js

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { folderManifests, manifestFields } from "./build/published.js";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const text = (value) => `${JSON.stringify(value, null, 2)}\n`;

// A field keeps its place in the file.
const manifest = { ...JSON.parse(readFileSync("package.json", "utf8")), ...manifestFields() };
writeFileSync("package.json", text(manifest));
for (const [path, folder] of folderManifests()) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text(folder));
}
