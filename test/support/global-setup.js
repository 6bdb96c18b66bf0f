// Before all tests, once: build/test.wasm and build/test.relaxed.wasm, the release cores with the
// exports of entry.ts added. With LAMELLA_BUILD=debug it is build/test.debug.wasm alone, which is
// compiled in a fraction of the time.

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { abi } from "../../scripts/build/abi.js";
import { testCores } from "../../scripts/build/cores.js";
import { layers } from "../../scripts/build/layers.js";
import { runStages } from "../../scripts/build/task.js";

export default async function compileTestCores() {
  process.chdir(fileURLToPath(new URL("../../", import.meta.url)));
  mkdirSync("build", { recursive: true });
  const isQuick = process.env.LAMELLA_BUILD === "debug";
  await runStages([
    [abi, layers],
    isQuick ? [testCores.debug] : [testCores.release, testCores.relaxed],
  ]);
}
