// Bundlers with their defaults: what they make runs in Node 20 and in Chromium.

import { expect } from "vitest";
import { bin, bundle, bundlePage, bundlers, vite } from "./bundling.ts";
import {
  folderWith,
  type Host,
  imports,
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

const node = packaged("Node 20", "node20", "bin/node");

/** A row for what a bundler makes, in a host that may be missing as well. */
function bundled(bundler: Host, form: string, host: Host, test: () => Promise<Report>): void {
  const missing = bundler.missing ?? host.missing;
  const both = missing === undefined ? bundler : { ...bundler, missing };
  row(both, `${form} in ${host.name}`, test);
}

for (const bundler of bundlers) {
  const { host, files = {}, forNode } = bundler;
  bundled(host, `${forNode ?? "`import`"}, its output`, node, async () => {
    const dist = await bundle(bundler, forNode ? "cjs" : "node", { ...sources, ...files });
    const { stdout, stderr } = await run(node.path, ["main.js"], { cwd: dist });
    expect(stderr).toBe("");
    return reportIn(stdout);
  });

  if (forNode) continue;
  bundled(host, "`import`, its output", chromium, async () => {
    const dist = await bundlePage(bundler, "page", sources);
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
