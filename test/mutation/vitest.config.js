// The tests that see src/ itself, for the mutation tester.

import { defineConfig } from "vitest/config";

const rooms = "tensor,layers,losses,runtime,io,nn";

export default defineConfig({
  test: {
    include: [`test/{${rooms}}/**/*.test.ts`, "test/{errors,training}.test.ts"],
    testTimeout: 60_000,
  },
});
