// The property tests, for as long as one likes: a million cases, unless said otherwise.
//   npm run fuzz -- --runs 1000000 --seed 7
// The seed is printed; with it, and the path that a failure names, the cases are the same again.

import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
if (!(Number.isInteger(runs) && runs > 0 && Number.isInteger(seed))) {
  console.error("usage: npm run fuzz -- [--runs N] [--seed S], whole numbers both");
  process.exit(1);
}
console.log(`npm run fuzz -- --runs ${runs} --seed ${seed}`);
const began = Date.now();
const { status } = spawnSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "test/fuzz", "test/io/fuzz.test.ts"],
  {
    cwd: new URL("..", import.meta.url).pathname,
    stdio: "inherit",
    env: {
      ...process.env,
      LAMELLA_FUZZ_RUNS: String(runs),
      LAMELLA_FUZZ_SEED: String(seed),
      LAMELLA_FUZZ_PROGRESS: "1",
    },
  },
);
console.log(
  `npm run fuzz -- --runs ${runs} --seed ${seed}: ${status === 0 ? "passed" : "FAILED"} in ${((Date.now() - began) / 1000).toFixed(0)} s`,
);
process.exit(status ?? 1);
