// Bundlers with their defaults: what they make runs in Node 20 and in Chromium.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import {
  folderWith,
  type Host,
  imports,
  inPackage,
  packaged,
  type Report,
  reportIn,
  row,
  suiteSource,
} from "./hosts.ts";
import { chromium, visit } from "./pages.ts";
import { run } from "./processes.ts";

const sources = {
  "package.json": JSON.stringify({ private: true, type: "module" }),
  "suite.mjs": suiteSource,
  // In a browser the report is posted, else printed.
  "main.js": `${imports}
    suite({ lamella, predict }).then(async (report) => {
      const body = JSON.stringify(report);
      if (typeof document === "undefined") return console.log(body);
      await fetch("/report", { method: "POST", body });
      await fetch("/done", { method: "POST", body: "true" });
    });`,
  "index.html": `<!doctype html>
    <title>lamella</title>
    <script type="module" src="/main.js"></script>`,
};

interface Bundler {
  host: Host;
  /** Its command line: the program in its package, and arguments that make dist/ of the sources. */
  program: string;
  args: string[];
  /** Beside the sources where there is no page. */
  files?: Record<string, string>;
  /** It makes dist/index.html as well. */
  makesPage?: boolean;
  /** Where its output is no script for browsers: the form that the table says. */
  forNode?: string;
}

const bundlers: Bundler[] = [
  {
    host: inPackage("Vite", "vite"),
    program: "bin/vite.js",
    args: ["build"],
    // Its default is a page, and what it adds to that wants a document.
    files: {
      "vite.config.js": `export default {
        build: { rolldownOptions: { input: "main.js", output: { entryFileNames: "main.js" } } },
      };`,
    },
    makesPage: true,
  },
  {
    host: inPackage("webpack", "webpack"),
    program: "bin/webpack.js",
    args: ["--mode=production", "--entry=./main.js"],
  },
  {
    host: inPackage("esbuild", "../../../node_modules/esbuild"),
    program: "bin/esbuild",
    args: ["main.js", "--bundle", "--outfile=dist/main.js"],
  },
  {
    host: inPackage("esbuild", "../../../node_modules/esbuild"),
    program: "bin/esbuild",
    args: ["main.cjs", "--bundle", "--platform=node", "--outfile=dist/main.js"],
    // As a function of a serverless host is bundled.
    files: {
      "main.cjs": `
        const [lamella, predict] = [require("lamella"), require("lamella/predict")];
        const { suite } = require("./suite.mjs");
        suite({ lamella, predict }).then((report) => console.log(JSON.stringify(report)));`,
      "package.json": JSON.stringify({ private: true }),
    },
    forNode: "`require`, CommonJS",
  },
  {
    host: inPackage("Rollup", "rollup"),
    program: "dist/bin/rollup",
    args: ["main.js", "--plugin=node-resolve", "--dir=dist"],
  },
];

const node = packaged("Node 20", "node20", "bin/node");

/** A row for what a bundler makes, in a host that may be missing as well. */
function bundled(bundler: Host, form: string, host: Host, test: () => Promise<Report>): void {
  const missing = bundler.missing ?? host.missing;
  const both = missing === undefined ? bundler : { ...bundler, missing };
  row(both, `${form}, its output in ${host.name}`, test);
}

for (const { host, program, args, files = {}, makesPage = false, forNode } of bundlers) {
  const bundle = async (where: string, given: Record<string, string>) => {
    const cwd = folderWith(`${host.name}-${where}`, given);
    await run(process.execPath, [join(host.path, program), ...args], { cwd });
    return join(cwd, "dist");
  };

  bundled(host, forNode ?? "`import`", node, async () => {
    const dist = await bundle(forNode ? "cjs" : "node", { ...sources, ...files });
    const { stdout, stderr } = await run(node.path, ["main.js"], { cwd: dist });
    expect(stderr).toBe("");
    return reportIn(stdout);
  });

  if (forNode) continue;
  bundled(host, "`import`", chromium, async () => {
    const dist = await bundle("page", sources);
    if (!makesPage) copyFileSync(join(dist, "../index.html"), join(dist, "index.html"));
    const { posted, asked } = await visit(chromium, dist, {});
    // The page and its script: no .wasm beside it, no second chunk.
    const own = asked.filter((path) => path !== "/favicon.ico");
    expect(own).toEqual(["/", expect.stringMatching(/\.js$/)]);
    return posted.get("/report") as Report;
  });
}
