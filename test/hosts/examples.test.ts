// The examples, started by the command that their READMEs name: npm run example -- name.

import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { documentAt } from "../support/chromium.ts";
import { type Host, packaged } from "./hosts.ts";
import { chromium } from "./pages.ts";
import { Program, run } from "./processes.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const node: Host = { name: "Node", version: process.versions.node, path: process.execPath };
const deno = packaged("Deno", "@deno/linux-x64-glibc", "deno");
const bun = packaged("Bun", "@oven/bun-linux-x64-baseline", "bin/bun");

/**
 * A test of an example. A host that is not there fails in CI, and is said to be missing elsewhere.
 */
function example(name: string, host: Host, body: () => Promise<void>): void {
  test(`${name}, in ${host.name}`, { timeout: 120_000 }, async ({ skip }) => {
    if (host.missing) {
      if (process.env.CI) throw new Error(`${host.name} must be there in CI: ${host.missing}`);
      console.warn(`examples/${name}, skipped: ${host.missing}`);
      skip(host.missing);
    }
    await body();
  });
}

const prints = (name: string, host: Host, expected: RegExp[]) =>
  example(name, host, async () => {
    const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
    const args = ["examples/run.js", name];
    const { stdout } = await run(process.execPath, args, { cwd: root, env });
    for (const line of expected) expect(stdout).toMatch(line);
  });

/**
 * Starts the example's server at a port of its own, and looks at its page until the output says so.
 */
const shows = (name: string, args: string[], expected: RegExp) =>
  example(name, chromium, async () => {
    const program = new Program(process.execPath, ["examples/run.js", name, ...args], {
      cwd: root,
      env: { PORT: "0", NO_COLOR: "1" },
    });
    try {
      const url = await program.until(
        (async () => {
          for (;;) {
            const [found] = /http:\/\/127\.0\.0\.1:\d+\//.exec(program.output.stdout) ?? [];
            if (found) return found;
            await new Promise((later) => setTimeout(later, 100));
          }
        })(),
        90,
      );
      // A server that prepares its files at the first request may take longer than Chromium's clock
      // runs.
      await expect.poll(() => documentAt(url), { timeout: 90_000 }).toMatch(expected);
    } finally {
      program.end();
    }
  });

describe("npm run example --", () => {
  prints("node", node, [
    /^1,218 parameters/m,
    /^epoch \d+: loss 0\.\d+, 9\d\.\d % right$/m,
    /lower moon$/m,
  ]);
  prints("deno", deno, [/^epoch 50: loss 0\.0/m, /^1 and -2: two signs$/m]);
  prints("bun", bun, [/^0 xor 0 = 0\n0 xor 1 = 1\n1 xor 0 = 1\n1 xor 1 = 0\n\d+ predictions/m]);
  prints("notebook", deno, [/^loss 0\.\d+, then 0\.0/m, /^9\d\.\d % of 500/m]);
  shows("browser", [], /<output>epoch 60: 9\d\.\d % of 500 other points are told right<\/output>/);
  shows("vite", ["--port", "0"], /<output>epoch \d+: mean squared error 0\.0\d+<\/output>/);

  test("another name is refused with the names that there are", async () => {
    const refused = run(process.execPath, ["examples/run.js", "nowhere"], { cwd: root });
    await expect(refused).rejects.toThrow("expected one of browser, bun, deno");
  });
});
