// A pool of workers in every host: a training on two threads, whose digest is that of one; and what
// is said where none can be.

import { copyFileSync, cpSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect } from "vitest";
import { bundlePage, bundlers } from "./bundling.ts";
import { folderWith, type Host, here, type Report, reportIn, row, threadDigests } from "./hosts.ts";
import { chromium, firefox, type Visit, visit } from "./pages.ts";
import { run } from "./processes.ts";
import { bun, deno, nodes, quiet } from "./programs.ts";
import { serve, workerd } from "./workers.ts";

/** What pool_suite.js reports beside the rest. */
interface PoolReport extends Report {
  auto: number;
  warnings: string[];
  refused?: { name: string; message: string };
  start: number;
  relaxed?: string;
}

const suiteSource = readFileSync(join(here, "pool_suite.js"), "utf8");
const namesOf = (from: (name: string) => string) => `
  import * as lamella from "${from("index")}";
  import shared from "${from("shared")}";
  import relaxed from "${from("relaxed")}";
  import relaxedShared from "${from("relaxed-shared")}";
  import { suite } from "./suite.mjs";`;
const byName = (name: string) => (name === "index" ? "lamella" : `lamella/wasm/${name}`);
const imports = namesOf(byName);
const variants = "{ lamella, shared, relaxed, relaxedShared }";

/** A row for two threads; "auto" is as many as there are. */
function threaded(host: Host, form: string, run: () => Promise<PoolReport>): void {
  const checked = async () => {
    const report = await run();
    expect(report.failures).toEqual([]);
    expect(report.refused).toBeUndefined();
    expect(report.warnings).toEqual([]);
    expect(report.auto).toBe(Math.min(availableParallelism(), 16));
    return report;
  };
  row(host, `${form}, two threads`, checked, 60, threadDigests);
}

/** A row for a host that has no workers, and says why. */
function unthreaded(
  host: Host,
  form: string,
  why: RegExp,
  run: () => Promise<PoolReport>,
  isWarned = true,
): void {
  const checked = async () => {
    const report = await run();
    expect(report.failures).toEqual([]);
    expect(report.auto).toBe(1);
    expect(report.refused).toEqual({ name: "WorkerError", message: expect.stringMatching(why) });
    // "auto" was asked for twice.
    const said = isWarned ? [expect.stringMatching(why)] : [];
    expect(report.warnings).toEqual(said);
    return report;
  };
  row(host, `${form}: one thread, and why`, checked, 60, threadDigests);
}

describe("runtimes", () => {
  // The last pool is never disposed, and no program may stay for it.
  const files = {
    "suite.mjs": suiteSource,
    "import.mjs": `${imports}
      const report = await suite(${variants});
      globalThis.kept = await lamella.createRuntime({ wasm: shared, threads: 2 });
      console.log(JSON.stringify(report));`,
    "require.cjs": `
      const lamella = require("lamella");
      const [shared, relaxed, relaxedShared] = ["shared", "relaxed", "relaxed-shared"].map(
        (name) => require("lamella/wasm/" + name).default,
      );
      import("./suite.mjs").then(async ({ suite }) => {
        const report = await suite(${variants});
        globalThis.kept = await lamella.createRuntime({ wasm: shared, threads: 2 });
        console.log(JSON.stringify(report));
      });`,
  };
  let folder = "";
  const prints = (host: Host, form: string, args: string[], env: Record<string, string> = {}) =>
    threaded(host, form, async () => {
      folder ||= folderWith("pools", files);
      const { stdout, stderr } = await run(host.path, args, { cwd: folder, env });
      expect(stderr).toBe("");
      return reportIn(stdout) as PoolReport;
    });
  for (const node of nodes) {
    prints(node, "`import`", ["import.mjs"]);
    prints(node, "`require`", ["require.cjs"]);
  }
  prints(deno, "`import`, no permission", ["run", "--no-prompt", "import.mjs"], quiet);
  prints(bun, "`import`", ["import.mjs"]);
  prints(bun, "`require`", ["require.cjs"]);
});

const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

const strict = "script-src 'self' 'wasm-unsafe-eval'";
const policy = {
  "content-security-policy": `default-src 'none'; ${strict}; connect-src 'self'; img-src 'self'`,
};

describe.each([chromium, firefox])("$name", (browser) => {
  const workerFile = "/node_modules/lamella/build/worker.js";
  const byPath = namesOf((name) => `./node_modules/lamella/build/${name}.js`);
  const files = {
    "index.html": `<!doctype html><title>lamella</title><script type="module" src="page.js"></script>`,
    "suite.mjs": suiteSource,
    "page.js": `${byPath}
      const post = (name, value) => fetch("/" + name, { method: "POST", body: JSON.stringify(value) });
      await post("page", await suite(${variants}));
      const worker = new Worker("/in-worker.js", { type: "module" });
      worker.onerror = () => post("done", false);
      worker.onmessage = ({ data }) => post("worker", data).then(() => post("done", true));`,
    "in-worker.js": `${byPath}
      suite(${variants}).then((report) => postMessage(report));`,
  };
  const places: [name: string, form: string][] = [
    ["page", "`<script type=module>`"],
    ["worker", "Web Worker"],
  ];
  const visits = new Map<string, Promise<Visit>>();
  const at = (name: string, headers: Record<string, string>) => {
    const known = visits.get(name);
    if (known) return known;
    const folder = folderWith(`pool-site-${browser.name}-${name}`, files);
    cpSync(join(folder, "../node_modules/lamella"), join(folder, "node_modules/lamella"), {
      recursive: true,
    });
    const visited = visit(browser, folder, headers);
    visits.set(name, visited);
    return visited;
  };
  for (const [place, form] of places) {
    threaded(browser, `${form}, cross-origin isolated`, async () => {
      const { posted, asked } = await at("isolated", isolation);
      expect(asked).not.toContain(workerFile);
      return posted.get(`/${place}`) as PoolReport;
    });
    threaded(browser, `${form}, cross-origin isolated, CSP \`${strict}\``, async () => {
      const { posted, asked } = await at("strict", { ...isolation, ...policy });
      expect(asked).toContain(workerFile);
      return posted.get(`/${place}`) as PoolReport;
    });
    const why =
      /^createRuntime: no worker could be started: the page is not cross-origin isolated; it is when/;
    unthreaded(browser, `${form}, not isolated`, why, async () => {
      const { posted } = await at("plain", {});
      return posted.get(`/${place}`) as PoolReport;
    });
  }

  // Nothing is left to try, and the page goes on.
  const none = /Content-Security-Policy refuses workers from a Blob; worker\.js was not loaded/;
  const form = "`<script type=module>`, cross-origin isolated, CSP `worker-src 'none'`";
  unthreaded(browser, form, none, async () => {
    const headers = { ...isolation, "content-security-policy": "worker-src 'none'" };
    return (await at("none", headers)).posted.get("/page") as PoolReport;
  });
});

// Newer dates give a Worker the module of Node's workers, whose constructor throws, and one core.
describe.each([
  { date: "2024-09-23", why: /this host has no workers/ },
  { date: "2026-11-01", why: /started: The Worker method is not implemented/ },
])("workerd, compatibility date $date", ({ date, why }) => {
  const isWarned = date < "2025";
  const ask = async () => {
    const folder = folderWith(`pool-workerd-${date}`, {
      "suite.mjs": suiteSource,
      "worker.mjs": `
        import * as lamella from "lamella";
        import shared from "lamella/wasm/shared";
        import { suite } from "./suite.mjs";
        export default {
          async fetch() {
            return Response.json(await suite({ lamella, shared }));
          },
        };`,
    });
    const { warnings } = await build({
      ...{ entryPoints: [join(folder, "worker.mjs")], outdir: join(folder, "out") },
      ...{ bundle: true, format: "esm", conditions: ["workerd"], loader: { ".wasm": "copy" } },
    });
    expect(warnings).toEqual([]);
    const { program, url } = await serve(join(folder, "out"), date, []);
    try {
      return await program.until(
        fetch(url).then((response) => response.json()),
        60,
      );
    } finally {
      program.end();
    }
  };
  unthreaded(workerd, `\`import\` by esbuild, compatibility date ${date}`, why, ask, isWarned);
});

// Vite and webpack find the worker's file and bundle it, so that their pages run under a strict
// policy as well; beside Rollup's it is copied. esbuild's default is no module, whose file could
// not be found.
describe("bundlers", () => {
  const sources = {
    "package.json": JSON.stringify({ private: true, type: "module" }),
    "suite.mjs": suiteSource,
    "main.js": `${imports}
      suite(${variants}).then(async (report) => {
        await fetch("/report", { method: "POST", body: JSON.stringify(report) });
        await fetch("/done", { method: "POST", body: "true" });
      });`,
    "index.html": `<!doctype html><title>lamella</title><script type="module" src="/main.js"></script>`,
  };
  for (const bundler of bundlers.filter(({ forNode }) => !forNode)) {
    const missing = bundler.host.missing ?? chromium.missing;
    const host = missing === undefined ? bundler.host : { ...bundler.host, missing };
    const hasFile = host.name !== "esbuild";
    const under = hasFile ? `, CSP \`${strict}\`` : "";
    threaded(host, `\`import\`, its output in Chromium${under}`, async () => {
      const dist = await bundlePage(bundler, "pool", sources);
      if (host.name === "Rollup") {
        copyFileSync(
          join(dist, "../../node_modules/lamella/build/worker.js"),
          join(dist, "worker.js"),
        );
      }
      const headers = hasFile ? { ...isolation, ...policy } : isolation;
      return (await visit(chromium, dist, headers)).posted.get("/report") as PoolReport;
    });
  }
});
