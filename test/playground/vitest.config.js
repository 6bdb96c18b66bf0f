import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("../../", import.meta.url));

export default defineConfig({
  root,
  resolve: {
    // Installed with the example, not with the repository.
    alias: { "puppeteer-core": `${root}examples/playground/node_modules/puppeteer-core` },
  },
  test: {
    globalSetup: "test/playground/setup.ts",
    include: ["test/playground/*.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 180_000,
    reporters: ["default", ...(process.env.CI ? ["json"] : [])],
  },
});
