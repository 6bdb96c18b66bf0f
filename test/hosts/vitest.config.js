import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("../../", import.meta.url)),
  test: {
    globalSetup: "test/hosts/setup.ts",
    include: ["test/hosts/*.test.ts"],
    hookTimeout: 180_000,
    reporters: ["default", "./test/hosts/table.ts", ...(process.env.CI ? ["json"] : [])],
  },
});
