// Measures the errors of docs/numerics.md and writes them there: test/numerics/errors.test.ts, told
// to write.

import { spawnSync } from "node:child_process";

process.chdir(new URL("..", import.meta.url).pathname);
const args = ["node_modules/vitest/vitest.mjs", "run", "test/numerics/errors.test.ts"];
const env = { ...process.env, LAMELLA_NUMERICS: "write" };
process.exit(spawnSync(process.execPath, args, { stdio: "inherit", env }).status ?? 1);
