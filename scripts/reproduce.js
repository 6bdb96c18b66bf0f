// npm run reproduce: builds twice, from copies in two folders and in other surroundings, and
// compares every byte of what is published.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const published = files.filter((file) => file.startsWith("build/"));
const sources = [
  ...["asconfig.json", "assembly", "bench/support/limits.ts", "package.json"],
  ...["scripts", "src", "tsconfig.json"],
];

const base = mkdtempSync(join(tmpdir(), "lamella-reproduce-"));

/** The digests of what a build in this folder publishes. */
function build(folder, env) {
  const copy = join(base, folder);
  for (const name of sources) cpSync(join(root, name), join(copy, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  execFileSync(process.execPath, ["scripts/build.js"], {
    cwd: copy,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  const digest = (file) =>
    createHash("sha256")
      .update(readFileSync(join(copy, file)))
      .digest("hex");
  return new Map(published.map((file) => [file, digest(file)]));
}

try {
  const first = build("a", { TZ: "UTC", LANG: "C" });
  const second = build("another/and deeper", { TZ: "Asia/Kolkata", LANG: "tr_TR.UTF-8" });
  const differing = published.filter((file) => first.get(file) !== second.get(file));
  for (const file of published) console.log(`${first.get(file)}  ${file}`);
  if (differing.length > 0) {
    console.error(`two builds differ in ${differing.join(", ")}`);
    process.exitCode = 1;
  } else {
    console.log(`two builds gave the same ${published.length} files`);
  }
} finally {
  rmSync(base, { recursive: true, force: true });
}
