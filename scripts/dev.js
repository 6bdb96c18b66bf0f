// Rebuilds when assembly/ or src/ changes, and keeps vitest watching beside it.
//   node scripts/dev.js

import { spawn, spawnSync } from "node:child_process";
import { watch } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const build = () => spawnSync(process.execPath, ["scripts/build.js"], { stdio: "inherit" });
build();

let timer;
for (const folder of ["assembly", "src"]) {
  watch(folder, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(build, 100);
  });
}

const vitest = spawn(process.execPath, ["node_modules/vitest/vitest.mjs"], { stdio: "inherit" });
vitest.on("exit", (code) => process.exit(code ?? 1));
