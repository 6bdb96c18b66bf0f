// The site: the API's pages from the sources, and with the other pages the site in build/site. What
// has not changed since the last time is not made again.
//   node scripts/docs.js          writes build/site
//   node scripts/docs.js --dev    makes the API's pages, and serves the site while it is edited

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packages } from "./build/packages.js";
import { runStages } from "./build/task.js";
import { writeTopics } from "./build/topics.js";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** Runs a command of the packages in docs/. */
function run(command, ...args) {
  const { status } = spawnSync(process.execPath, [command, ...args], {
    cwd: "docs",
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")} failed`);
}

const api = {
  name: "API pages",
  inputs: [
    ...["src", "tsconfig.json", "docs/typedoc.json", "docs/package-lock.json"],
    "scripts/build/topics.js",
  ],
  outputs: ["docs/api/index.md", "docs/api/topics.json"],
  run() {
    run("node_modules/typedoc/bin/typedoc");
    writeTopics();
  },
};

/** What people wrote: all in docs/ that is neither installed nor made. */
const written = readdirSync("docs")
  .filter((name) => !["node_modules", "api", ".vitepress"].includes(name))
  .map((name) => join("docs", name));

const site = {
  name: "site",
  inputs: [...written, "docs/api", "docs/.vitepress/config.js", "docs/.vitepress/theme"],
  outputs: ["build/site/index.html"],
  run: () => run("node_modules/vitepress/bin/vitepress.js", "build"),
};

const isDev = process.argv.includes("--dev");
try {
  await runStages([[packages("docs")], [api], isDev ? [] : [site]]);
  if (isDev) run("node_modules/vitepress/bin/vitepress.js", "dev", "--host", "127.0.0.1");
} catch (error) {
  console.error(`docs: ${error.message}`);
  process.exitCode = 1;
}
