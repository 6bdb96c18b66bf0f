// @ts-check
// Starts workerd, the runtime of Cloudflare Workers, and ends it again.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "../support/install.js";

const tools = fileURLToPath(new URL("tools/", import.meta.url));
const require = createRequire(`${tools}package.json`);

/** Everything that is running. However this process ends, short of being killed outright, they end before it. */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * A package of tools/package.json: those are not installed with the repository, as workerd alone is 130 MB.
 *
 * @param {string} name
 */
export async function tool(name) {
  ensureInstalled("examples/worker/tools", name);
  return require(name);
}

/**
 * Starts a Worker, and waits until it listens.
 *
 * @param {string} config The path of its config, with one socket on port 0 or `port`
 * @param {number} [port] 0 for any that is free
 */
export async function serve(config, port = 0) {
  const { default: binary } = await tool("workerd");
  const began = performance.now();
  const child = spawn(
    binary,
    ["serve", "--control-fd=3", `--socket-addr=http=127.0.0.1:${port}`, config],
    { stdio: ["ignore", "inherit", "inherit", "pipe"] },
  );
  running.add(child);
  /** @type {Promise<number | string>} */
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? signal ?? 0));
  });
  ended.catch(() => {}).finally(() => running.delete(child));

  const control = createInterface({
    input: /** @type {import("node:stream").Readable} */ (child.stdio[3]),
  });
  /** @type {Promise<number>} */
  const listening = new Promise((resolve) => {
    control.on("line", (line) => {
      const message = JSON.parse(line);
      if (message.event === "listen") resolve(message.port);
    });
  });
  const failed = ended.then((how) => {
    throw new Error(`workerd ended (${how}) before it listened`);
  });
  const actual = await Promise.race([listening, failed]);
  return {
    url: `http://127.0.0.1:${actual}`,
    port: actual,
    pid: /** @type {number} */ (child.pid),
    /** When it was started, by performance.now(). */
    began,
    /** Its exit code or signal, once it has ended. */
    ended,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
