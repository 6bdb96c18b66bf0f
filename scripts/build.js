// Everything under build/: the cores, the entries in each form that hosts want, the types, the
// licences of what is in them. What has not changed since the last build is not made again.
//   node scripts/build.js

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { abi } from "./build/abi.js";
import { command } from "./build/command.js";
import { cores } from "./build/cores.js";
import { entries, importers, worker } from "./build/entries.js";
import { inlines } from "./build/inline.js";
import { layers } from "./build/layers.js";
import { licences } from "./build/licences.js";
import { runStages } from "./build/task.js";
import { types } from "./build/types.js";
import { variants } from "./build/variants.js";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
mkdirSync("build", { recursive: true });

try {
  await runStages([
    [abi, layers],
    cores,
    inlines,
    [...entries, ...importers, worker, ...variants, command, ...types],
    [licences],
  ]);
} catch (error) {
  console.error(`build: ${error.message}`);
  process.exitCode = 1;
}
