import { defineConfig } from "vitest/config";

export default defineConfig({
  root: new URL("../../", import.meta.url).pathname,
  test: {
    globalSetup: "test/hosts/setup.ts",
    include: ["test/hosts/*.test.ts"],
    hookTimeout: 180_000,
    reporters: ["default", "./test/hosts/table.ts", ...(process.env.CI ? ["json"] : [])],
  },
});
