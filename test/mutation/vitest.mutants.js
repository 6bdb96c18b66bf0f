// For run.js: without the global setup, which would compile what run.js has compiled already.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    include: ["test/**/*.test.ts"],
    // A machine that is busy kills no mutant.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
