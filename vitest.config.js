import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: "test/support/global-setup.ts",
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/hosts/**", "test/playground/**"], // npm run test:hosts, test:playground
    testTimeout: 60_000,
    coverage: { provider: "v8", include: ["src/**"], reporter: ["text", "json-summary"] },
  },
});
