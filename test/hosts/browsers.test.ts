// Chromium and Firefox, without a bundler: a module script, a Web Worker and a service worker
// import the installed file.

import { cpSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect } from "vitest";
import { folderWith, type Host, imports, project, type Report, row, suiteSource } from "./hosts.ts";
import { chromium, firefox, type Visit, visit } from "./pages.ts";

const entry = "./node_modules/lamella/build/index.js";
const predictEntry = "./node_modules/lamella/build/predict.js";
const byPath = imports
  .replace('"lamella"', `"${entry}"`)
  .replace('"lamella/predict"', `"${predictEntry}"`);
const answer = `
  self.addEventListener("message", (event) => {
    event.waitUntil(suite({ lamella, predict }).then((report) => event.source.postMessage(report)));
  });`;

const files = {
  "index.html": `<!doctype html>
    <title>lamella</title>
    <script type="module" src="page.js"></script>`,
  "suite.mjs": suiteSource,
  "page.js": `${byPath}
    import * as copy from "${entry}?copy";
    const post = (name, value) => fetch("/" + name, { method: "POST", body: JSON.stringify(value) });
    const answerOf = (target) => new Promise((resolve, reject) => {
      target.onmessage = ({ data }) => resolve(data);
      target.onerror = ({ message }) => reject(new Error(message));
    });
    async function serviceWorker(script, type) {
      const scope = "/" + script + "/";
      const { installing } = await navigator.serviceWorker.register("/" + script, { scope, type });
      await new Promise((resolve, reject) => {
        const look = () => {
          if (installing.state === "activated") resolve();
          if (installing.state === "redundant") reject(new Error("it did not start"));
        };
        installing.onstatechange = look;
        look();
      });
      const report = answerOf(navigator.serviceWorker);
      installing.postMessage("run");
      return report;
    }
    const forms = {
      script: () => suite({ lamella, predict, copy }),
      worker: () => answerOf(new Worker("/worker.js", { type: "module" })),
      "service-worker": () => serviceWorker("service-worker.js", "module"),
      "classic-service-worker": () => serviceWorker("classic-service-worker.js", "classic"),
    };
    for (const [name, run] of Object.entries(forms)) {
      await post(name, await run().catch((error) => ({ failures: [String(error)] })));
    }
    try {
      new Function("");
      await post("eval", "allowed");
    } catch (error) {
      await post("eval", error.name);
    }
    const foreign = performance.getEntriesByType("resource").map(({ name }) => new URL(name).origin);
    await post("origins", [...new Set(foreign)].map((origin) => origin === location.origin));
    setTimeout(() => post("done", true), 300); // the reports of the policy are on their way`,
  "worker.js": `${byPath}
    suite({ lamella, predict }).then((report) => postMessage(report));`,
  "service-worker.js": `${byPath}${answer}`,
  "classic.js": imports + answer,
};

/** The folder that is served. */
let made: Promise<string> | undefined;
async function site(): Promise<string> {
  const folder = folderWith("site", files);
  const copy = join(folder, "node_modules/lamella");
  cpSync(join(project(), "node_modules/lamella"), copy, { recursive: true });
  await build({
    entryPoints: [join(folder, "classic.js")],
    outfile: join(folder, "classic-service-worker.js"),
    bundle: true,
    format: "iife",
  });
  return folder;
}

const forms: [name: string, form: string][] = [
  ["script", "`<script type=module>`, two copies"],
  ["worker", "Web Worker"],
  ["service-worker", "service worker, a module"],
  ["classic-service-worker", "service worker, bundled by esbuild"],
];
const served = [
  "/",
  "/favicon.ico",
  "/page.js",
  "/suite.mjs",
  "/worker.js",
  "/service-worker.js",
  "/classic-service-worker.js",
  entry.slice(1),
  predictEntry.slice(1),
];

const strict = "script-src 'self' 'wasm-unsafe-eval'";
const policies: [name: string, headers: Record<string, string>][] = [
  ["", {}],
  [
    `, CSP \`${strict}\``,
    // connect-src for what the page posts, img-src for the icon that browsers ask for.
    {
      "content-security-policy": `default-src 'none'; ${strict}; connect-src 'self'; img-src 'self'; report-uri /violations`,
    },
  ],
];

const hosts: Host[] = [chromium, firefox];
describe.each(hosts)("$name", (browser) => {
  describe.each(policies)("policy%s", (policy, headers) => {
    let visited: Promise<Visit> | undefined;
    const result = () => {
      made ??= site();
      visited ??= made.then((folder) => visit(browser, folder, headers));
      return visited;
    };
    for (const [name, form] of forms) {
      row(browser, form + policy, async () => (await result()).posted.get(`/${name}`) as Report);
    }

    row(browser, `nothing is asked of anybody but the page's own server${policy}`, async () => {
      const { posted, asked } = await result();
      expect(asked.filter((path) => !served.includes(path))).toEqual([]);
      expect(posted.get("/origins")).toEqual([true]);
      if (policy === "") {
        expect(posted.get("/eval")).toBe("allowed");
        return null;
      }
      // The policy is in force, and what it was asked to refuse is the page's own trial.
      expect(posted.get("/eval")).toBe("EvalError");
      const violations = posted.get("/violations") as { "csp-report": Record<string, string> }[];
      expect(violations.map((report) => report["csp-report"]["blocked-uri"])).toEqual(["eval"]);
      return null;
    });
  });
});
