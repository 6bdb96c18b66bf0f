// @ts-check
// Starts an example: installs the package into its folder as it would be published, with what else it needs, and runs it.
//
//   npm run example -- vite

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const names = readdirSync(here).filter((name) => existsSync(join(here, name, "package.json")));
const [name, ...args] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(`expected one of ${names.join(", ")}, got ${name ?? "nothing"}`);
  process.exit(2);
}
const folder = join(here, name);

/** npm prints to stderr, which leaves stdout to the example. @param {string[]} given */
function npm(...given) {
  const { status } = spawnSync("npm", given, { cwd: folder, stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}
// A copy that is there already would be taken for the package as it is now.
rmSync(join(folder, "node_modules/lamella"), { recursive: true, force: true });
npm("install", "--install-links", "--no-package-lock", "--no-audit", "--no-fund", "--silent");

// Runtimes that npm run hosts:install has brought, behind those of the machine.
const hosts = join(here, "../test/hosts/node_modules");
const PATH = [
  process.env.PATH,
  join(hosts, "@deno/linux-x64-glibc"),
  join(hosts, "@oven/bun-linux-x64-baseline/bin"),
].join(delimiter);
const child = spawn("npm", ["start", "--silent", "--", ...args], {
  cwd: folder,
  stdio: "inherit",
  env: { ...process.env, PATH },
});
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.on(signal, () => child.kill(signal));
}
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
