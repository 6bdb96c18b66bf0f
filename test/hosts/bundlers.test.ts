// Bundlers with their defaults: what they make runs in Node 20 and in Chromium.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import {
  folderWith,
  type Host,
  here,
  imports,
  inPackage,
  packaged,
  type Report,
  reportIn,
  row,
  suiteSource,
} from "./hosts.ts";
import { chromium, visit } from "./pages.ts";
import { freePort, Program, run } from "./processes.ts";

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
  /** Its command line: a program, and arguments that make dist/ of the sources. */
  program: string;
  args: string[];
  /** Beside the sources where there is no page. */
  files?: Record<string, string>;
  /** It makes dist/index.html as well. */
  makesPage?: boolean;
  /** Where its output is no script for browsers: the form that the table says. */
  forNode?: string;
}

const bin = (name: string) => join(here, "node_modules/.bin", name);
/** The one that this package is built with. */
const esbuild = {
  host: inPackage("esbuild", "../../../node_modules/esbuild"),
  bin: join(here, "../../node_modules/.bin/esbuild"),
};
const vite = inPackage("Vite", "vite");
const bundlers: Bundler[] = [
  {
    host: vite,
    program: bin("vite"),
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
    program: bin("webpack"),
    args: ["--mode=production", "--entry=./main.js"],
  },
  {
    host: esbuild.host,
    program: esbuild.bin,
    args: ["main.js", "--bundle", "--outfile=dist/main.js"],
  },
  {
    host: esbuild.host,
    program: esbuild.bin,
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
    program: bin("rollup"),
    args: ["main.js", "--plugin=node-resolve", "--dir=dist"],
  },
];

const node = packaged("Node 20", "node20", "bin/node");

/** A row for what a bundler makes, in a host that may be missing as well. */
function bundled(bundler: Host, form: string, host: Host, test: () => Promise<Report>): void {
  const missing = bundler.missing ?? host.missing;
  const both = missing === undefined ? bundler : { ...bundler, missing };
  row(both, `${form} in ${host.name}`, test);
}

for (const { host, program, args, files = {}, makesPage = false, forNode } of bundlers) {
  const bundle = async (where: string, given: Record<string, string>) => {
    const cwd = folderWith(`${host.name}-${where}`, given);
    const output = await run(program, args, { cwd });
    // webpack finds the whole suite big.
    const warning = /^\(!\)|\[WARNING\]|^WARNING in (?!.*(size|performance))/m;
    expect(output.stdout + output.stderr).not.toMatch(warning);
    return join(cwd, "dist");
  };

  bundled(host, `${forNode ?? "`import`"}, its output`, node, async () => {
    const dist = await bundle(forNode ? "cjs" : "node", { ...sources, ...files });
    const { stdout, stderr } = await run(node.path, ["main.js"], { cwd: dist });
    expect(stderr).toBe("");
    return reportIn(stdout);
  });

  if (forNode) continue;
  bundled(host, "`import`, its output", chromium, async () => {
    const dist = await bundle("page", sources);
    if (!makesPage) copyFileSync(join(dist, "../index.html"), join(dist, "index.html"));
    const { posted, asked } = await visit(chromium, dist, {});
    // The page and its script: no .wasm beside it, no second chunk.
    const own = asked.filter((path) => path !== "/favicon.ico");
    expect(own).toEqual(["/", expect.stringMatching(/\.js$/)]);
    return posted.get("/report") as Report;
  });
}

bundled(vite, "`import`, served by `vite`,", chromium, async () => {
  const reports = '{ "^/(report|done)$": process.env.REPORTS }';
  const cwd = folderWith("Vite-dev", {
    ...sources,
    "vite.config.js": `export default { server: { proxy: ${reports} } };`,
  });
  let server: Program | undefined;
  const through = async (url: string) => {
    const port = await freePort();
    const args = ["--host=127.0.0.1", `--port=${port}`];
    server = new Program(bin("vite"), args, { cwd, env: { REPORTS: url } });
    const own = `http://127.0.0.1:${port}/`;
    await server.untilAnswers(own);
    return own;
  };
  try {
    const { posted, asked } = await visit(chromium, cwd, {}, through);
    expect(asked).toEqual([]);
    return posted.get("/report") as Report;
  } finally {
    server?.end();
  }
});
