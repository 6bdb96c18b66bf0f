// The tests of one folder of src/, for the mutation tester: those that see its sources themselves.
// What the tests of other folders would kill besides survives but for a few quick ones, so that a
// score is a lower bound, and a run takes minutes rather than hours.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const room = process.env.LAMELLA_ROOM ?? "";
const folder = room.split("/")[0];
const more = {
  tensor: ["errors", "faults", "runtime/wasm", "threads/start", "losses/softmax", "io/checkpoint"],
  layers: ["errors"],
  losses: ["errors"],
  runtime: [
    ...["errors", "faults", "io/hostile", "io/predictor", "memory/calls", "nn/predictor"],
    ...["tensor/runtime", "threads/start"],
    // Seconds each: for what starts workers alone.
    ...(/^runtime$|pool|workers/.test(room) ? ["threads/pool"] : []),
  ],
  nn: ["training", "faults"],
};

export default defineConfig({
  // The pool that a bundle brings along is no mutant.
  resolve: {
    alias: [
      {
        find: /^.*\/build\/shared\.js$/,
        replacement: fileURLToPath(new URL("shared.js", import.meta.url)),
      },
    ],
  },
  test: {
    include: [
      `test/${folder}/**/*.test.ts`,
      ...(more[folder] ?? []).map((name) => `test/${name}.test.ts`),
    ],
    testTimeout: 60_000,
    env: { LAMELLA_THREADS: "3", LAMELLA_STRESS: "0.1", LAMELLA_ROUNDS: "4" },
  },
});
