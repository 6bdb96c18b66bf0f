// Before all tests, once: what the page is made of and what drives browsers is installed, and its
// sources have the types that they say.

import { execFileSync } from "node:child_process";
import { ensureInstalled } from "../../examples/support/install.js";

export default function setup(): void {
  ensureInstalled("examples/playground", "puppeteer-core");
  const tsc = ["node_modules/typescript/bin/tsc", "-p", "examples/playground"];
  execFileSync(process.execPath, tsc, { stdio: "inherit" });
}
