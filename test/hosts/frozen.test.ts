// Hosts whose built-in objects are frozen: SES after lockdown, Node with --frozen-intrinsics, and
// every object by hand.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { folderWith, type Host, inPackage, reportIn, row, suiteSource } from "./hosts.ts";
import { run } from "./processes.ts";
import { nodes } from "./programs.ts";

const ses = inPackage("SES", "ses");
const start = `
  const [lamella, predict] = [await import("lamella"), await import("lamella/predict")];
  const { suite } = await import("./suite.mjs");
  console.log(JSON.stringify(await suite({ lamella, predict })));`;

const lockdown = (before: string) => `
  await import(${JSON.stringify(pathToFileURL(join(ses.path, "index.js")).href)});
  lockdown();
  ${before}
  ${start}`;

const files = {
  "suite.mjs": suiteSource,
  "plain.mjs": start,
  "frozen-global.mjs": `Object.freeze(globalThis);${start}`,
  "lockdown.mjs": lockdown(""),
  "lockdown-global.mjs": lockdown("Object.freeze(globalThis);"),
};

function prints(host: Host, form: string, node: Host, args: string[]): void {
  const both = node.missing === undefined ? host : { ...host, missing: node.missing };
  row(both, form, async () => {
    const { stdout } = await run(node.path, args, { cwd: folderWith("frozen", files) });
    return reportIn(stdout);
  });
}

for (const node of nodes) {
  prints(node, "`--frozen-intrinsics`", node, ["--frozen-intrinsics", "plain.mjs"]);
  prints(node, "`--frozen-intrinsics`, a frozen global", node, [
    "--frozen-intrinsics",
    "frozen-global.mjs",
  ]);
  prints(ses, `\`lockdown()\` in ${node.name}`, node, ["lockdown.mjs"]);
  prints(ses, `\`lockdown()\` in ${node.name}, a frozen global`, node, ["lockdown-global.mjs"]);
}
