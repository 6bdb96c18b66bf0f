// The mutation tester for src/, one of its folders, or files, at a time:
//   npm run mutate:src -- losses tensor/operands
// The kernels' mutants are in mutants.ts.

import { fileURLToPath } from "node:url";

const room = process.env.LAMELLA_ROOM;

export default {
  mutate: [`src/${room}.ts`, `src/${room}/**/*.ts`],
  // What an error says is compared in test/errors.test.ts; a mutant of every word would drown the
  // rest.
  mutator: { excludedMutations: ["StringLiteral"] },
  plugins: [fileURLToPath(import.meta.resolve("@stryker-mutator/vitest-runner"))],
  testRunner: "vitest",
  vitest: { configFile: "test/mutation/vitest.config.js", related: false },
  coverageAnalysis: "perTest",
  // A mutant that is in effect while a module loads is tried by no single test.
  ignoreStatic: true,
  concurrency: 1,
  disableTypeChecks: false,
  tempDirName: "build/stryker",
  ignorePatterns: ["bench", "docs", "coverage", "test/mutation/node_modules"],
  reporters: ["progress-append-only", "clear-text", "json"],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: `build/mutation/${room.replaceAll("/", "-")}.json` },
  allowConsoleColors: false,
  timeoutMS: 20_000,
};
