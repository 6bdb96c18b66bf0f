import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  // What reads other formats has the package by its name.
  resolve: {
    alias: [
      { find: /^lamella$/, replacement: fileURLToPath(new URL("src/index.ts", import.meta.url)) },
    ],
  },
  test: {
    globalSetup: "test/support/global-setup.js",
    setupFiles: "test/support/equality.ts",
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/hosts/**", "test/playground/**"], // npm run test:hosts, test:playground
    // A test that hangs ends some time; how long one takes says nothing, as the machine may be busy with other things.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // Of two cores vitest takes one, unless it is told.
    maxWorkers: "100%",
    coverage: {
      provider: "v8",
      include: ["src/**"],
      exclude: ["src/cli/**"], // runs as a process of its own, whose coverage is not collected
      reporter: ["text", "json-summary"],
    },
  },
});
