// The tests of one folder of src/, for the mutation tester: those that see its sources themselves. What the tests of other
// folders would kill besides survives but for a few quick ones, so that a score is a lower bound, and a run takes minutes
// rather than hours.

import { defineConfig } from "vitest/config";

const folder = (process.env.LAMELLA_ROOM ?? "").split("/")[0];
const more = {
  tensor: ["errors", "faults", "runtime/wasm", "threads/start", "losses/softmax", "nn/resume"],
  layers: ["errors"],
  losses: ["errors"],
  nn: ["training", "faults"],
};

export default defineConfig({
  test: {
    include: [
      `test/${folder}/**/*.test.ts`,
      ...(more[folder] ?? []).map((name) => `test/${name}.test.ts`),
    ],
    testTimeout: 60_000,
  },
});
