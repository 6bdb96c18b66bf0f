// Watches assembly/, src/ and test/. After a change it runs the tests of what changed within
// seconds, and then brings build/ up to date. The tests of assembly/layers/relu.ts and
// src/layers/relu.ts are test/layers/relu.test.ts; where there is no file of that name, they are
// those of its folder. A changed kernel is first tried in a debug core, which compiles in two
// seconds, and again in the release cores once they are built.
//   node scripts/dev.js

import { spawn } from "node:child_process";
import { existsSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** Files that changed and are not tested yet. */
let changed = new Set();
let timer;
/** The process that runs now; a further change ends it. */
let running;

/** Runs node to its end; false where it failed or was ended by a further change. */
function run(args, env = {}) {
  return new Promise((resolve) => {
    running = spawn(process.execPath, args, {
      stdio: "inherit",
      env: { ...process.env, ...env },
    });
    running.on("exit", (code) => resolve(code === 0));
  });
}

/** The tests of a changed file, undefined where there are none. */
function testsOf(path) {
  if (path.endsWith(".test.ts")) return existsSync(path) ? path : undefined;
  const [folder, ...rest] = path.split(/[\\/]/);
  if (folder === "test") return dirname(path) === "test" ? undefined : dirname(path);
  const mirrored = join("test", ...rest).replace(/\.ts$/, ".test.ts");
  if (existsSync(mirrored)) return mirrored;
  const room = dirname(mirrored);
  return room !== "test" && existsSync(room) ? room : undefined;
}

/** Which change is the last one: an older one's work ends where it stands. */
let latest = 0;

async function work() {
  const mine = ++latest;
  const files = [...changed];
  changed = new Set();
  const isCurrent = () => mine === latest;
  const tests = [...new Set(files.flatMap((file) => testsOf(file) ?? []))];
  const isKernel = files.some((file) => file.startsWith("assembly"));
  const vitest = ["node_modules/vitest/vitest.mjs", "run", ...tests];
  console.log(`\ndev: ${files.join(", ")} changed; tests: ${tests.join(", ") || "none"}`);
  if (tests.length > 0) await run(vitest, isKernel ? { LAMELLA_BUILD: "debug" } : {});
  if (!isCurrent()) return;
  const isBuilt = await run(["scripts/build.js"]);
  if (isCurrent() && isBuilt && isKernel && tests.length > 0) {
    console.log("dev: the same tests with the release cores");
    await run(vitest);
  }
  if (!isCurrent()) return;
  const sources = files.filter((file) => file.startsWith("src"));
  if (sources.length > 0) {
    console.log(`dev: all tests that import it: npx vitest related --run ${sources.join(" ")}`);
  }
}

function notice(folder, name) {
  if (!name || !/\.(ts|js|json)$/.test(name) || basename(name).startsWith(".")) return;
  changed.add(join(folder, name));
  clearTimeout(timer);
  timer = setTimeout(() => {
    latest++;
    running?.kill();
    work();
  }, 100);
}

await run(["scripts/build.js"]);
for (const folder of ["assembly", "src", "test"]) {
  watch(folder, { recursive: true }, (_, name) => notice(folder, name));
}
console.log("dev: watching assembly/, src/ and test/; Ctrl-C ends it");
