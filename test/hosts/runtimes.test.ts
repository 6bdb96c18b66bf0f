// Runtimes that read the package from node_modules by themselves.

import { beforeAll } from "vitest";
import { folderWith, type Host, imports, reportIn, row, suiteSource } from "./hosts.ts";
import { run } from "./processes.ts";
import { bun, deno, nodes, quiet } from "./programs.ts";

let folder = "";
beforeAll(() => {
  folder = folderWith("runtimes", {
    "suite.mjs": suiteSource,
    "import.mjs": `
${imports}
      console.log(JSON.stringify(await suite({ lamella, predict })));`,
    "require.cjs": `
      const [lamella, predict] = [require("lamella"), require("lamella/predict")];
      import("./suite.mjs")
        .then(({ suite }) => suite({ lamella, predict }))
        .then((report) => console.log(JSON.stringify(report)));`,
    // A query makes a module of its own.
    "copies.mjs": `
${imports}
      const copy = await import(import.meta.resolve("lamella") + "?copy");
      console.log(JSON.stringify(await suite({ lamella, predict, copy })));`,
  });
});

/** The row of a program that prints its report, and nothing to stderr. */
function prints(host: Host, form: string, args: string[], env: Record<string, string> = {}): void {
  row(host, form, async () => {
    const { stdout, stderr } = await run(host.path, args, { cwd: folder, env });
    if (stderr !== "") throw new Error(`it printed to stderr:\n${stderr}`);
    return reportIn(stdout);
  });
}

for (const node of nodes) {
  prints(node, "`import`", ["import.mjs"]);
  prints(node, "`require`", ["require.cjs"]);
  prints(node, "`import`, two copies", ["copies.mjs"]);
}

prints(deno, "`import`, no permission", ["run", "--no-prompt", "import.mjs"], quiet);
// It is reading node_modules that takes the permission.
prints(deno, "`require`", ["run", "--no-prompt", "--allow-read=..", "require.cjs"], quiet);

prints(bun, "`import`", ["import.mjs"]);
prints(bun, "`require`", ["require.cjs"]);
