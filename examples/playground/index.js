// @ts-check
// Networks that train in your browser: bundles the page, and serves it on this machine.
//
//   node examples/playground/index.js [--port N]
//
// page/ is what the browser gets; all else is this command.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "../support/install.js";
import { makeChanged } from "../support/make.js";
import { folder, pageTask } from "./bundle.js";
import { digitsTask } from "./data.js";
import { readOptions } from "./options.js";
import { serve } from "./server.js";

const { port } = readOptions();
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

ensureInstalled("examples/playground", "uplot", "--omit=dev");
process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
await makeChanged(folder, [pageTask, digitsTask]);
const files = new Map(
  [...pageTask.outputs, ...digitsTask.outputs].map((path) => {
    const name = path.slice(folder.length);
    return [name === "/index.html" ? "/" : name, readFileSync(path)];
  }),
);
try {
  const url = await serve(files, port);
  console.log(`the playground is at ${url}, until Ctrl-C`);
} catch (error) {
  if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EADDRINUSE") throw error;
  console.error(`--port ${port}: something else listens there; --port 0 takes any that is free`);
  process.exitCode = 1;
}
