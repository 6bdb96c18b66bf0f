// npm run mutate:src -- losses tensor/operands: Stryker over these folders and files of src/, one
// after the other; all of them by default.
// Its reports go to build/mutation/. It has packages of its own: npm ci --prefix test/mutation.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const stryker = fileURLToPath(
  new URL("node_modules/@stryker-mutator/core/bin/stryker.js", import.meta.url),
);
if (!existsSync(stryker)) {
  console.error("Stryker is not installed: npm ci --prefix test/mutation");
  process.exit(1);
}
const given = process.argv.slice(2);
for (const room of given.length > 0
  ? given
  : ["tensor", "layers", "losses", "runtime", "io", "nn"]) {
  const { status } = spawnSync(
    process.execPath,
    [stryker, "run", "test/mutation/stryker.config.js"],
    {
      cwd: root,
      env: { ...process.env, LAMELLA_ROOM: room },
      stdio: "inherit",
    },
  );
  if (status !== 0) process.exitCode = 1;
}
