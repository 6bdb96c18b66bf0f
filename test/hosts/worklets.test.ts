// An AudioWorklet, whose scope has no text codecs, no timers, no fetch and no workers: a module
// that a page adds.

import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect } from "vitest";
import { affine, createRuntimeSync, loadModel, Sequential, saveModel } from "../../src/index.ts";
import { filesInReadme, folderWith, project, type Report, row, suiteSource } from "./hosts.ts";
import { chromium, firefox, type Visit, visit } from "./pages.ts";

const files = {
  "index.html": `<!doctype html><title>lamella</title><script type="module" src="page.js"></script>`,
  "suite.mjs": suiteSource,
  "page.js": `
    const post = (name, value) => fetch("/" + name, { method: "POST", body: JSON.stringify(value) });
    try {
      const context = new OfflineAudioContext(1, 44100, 44100);
      await context.audioWorklet.addModule("worklet.js");
      const node = new AudioWorkletNode(context, "lamella");
      const answer = new Promise((resolve, reject) => {
        node.port.onmessage = ({ data }) => resolve(data);
        node.onprocessorerror = () => reject(new Error("the processor failed"));
      });
      node.connect(context.destination);
      node.port.postMessage("run");
      await context.startRendering();
      const { missing, report } = await answer;
      await post("missing", missing);
      await post("report", report);
    } catch (error) {
      await post("report", { failures: [String(error)] });
    }
    await post("done", true);`,
  "worklet.js": `
    import * as lamella from "./node_modules/lamella/build/index.js";
    import * as predict from "./node_modules/lamella/build/predict.js";
    import { suite } from "./suite.mjs";
    const names = ["TextDecoder", "TextEncoder", "structuredClone", "setTimeout", "fetch", "Worker"];
    const missing = names.filter((name) => typeof globalThis[name] === "undefined");
    registerProcessor("lamella", class extends AudioWorkletProcessor {
      constructor() {
        super();
        this.port.onmessage = () =>
          suite({ lamella, predict })
            .catch((error) => ({ failures: [String(error)] }))
            .then((report) => this.port.postMessage({ missing, report }));
      }
      process() {
        return true;
      }
    });`,
};

describe.each([chromium, firefox])("$name", (browser) => {
  row(browser, "AudioWorklet", async () => {
    const folder = folderWith(`worklet-${browser.name}`, files);
    const copy = join(folder, "node_modules/lamella");
    cpSync(join(project(), "node_modules/lamella"), copy, { recursive: true });
    const { posted }: Visit = await visit(browser, folder, {});
    const report = posted.get("/report") as Report;
    // Else the row would show nothing that a page's does not.
    if (report.failures.length === 0) expect(posted.get("/missing")).toContain("TextDecoder");
    return report;
  });

  row(browser, "AudioWorklet, the processor of docs/hosts/README.md", async () => {
    const { "processor.js": processor = "", "page.js": page = "" } = filesInReadme();
    const runtime = createRuntimeSync();
    const layers = [affine(3)];
    const model = saveModel(new Sequential(runtime, { input: [128], layers, seed: 4 }));
    const samples = Array.from({ length: 128 }, (_, i) => (i % 7) / 8 - 0.25);
    const folder = folderWith(`worklet-page-${browser.name}`, {
      "index.html": `<!doctype html><title>lamella</title><script type="module" src="main.js"></script>`,
      "processor.js": processor,
      "page.js": page,
      "main.js": `
        import { classify } from "./page.js";
        const post = (name, value) => fetch("/" + name, { method: "POST", body: JSON.stringify(value) });
        const context = new OfflineAudioContext(1, 1280, 44100);
        const buffer = context.createBuffer(1, 128, 44100);
        buffer.copyToChannel(new Float32Array(${JSON.stringify(samples)}), 0);
        const source = new AudioBufferSourceNode(context, { buffer, loop: true });
        source.start();
        const classes = [];
        const came = new Promise((resolve) => {
          classify(context, source, (answer) => {
            if (classes.push(answer) === 10) resolve();
          }).then(() => context.startRendering());
        });
        await came;
        await post("classes", classes);
        await post("done", true);`,
    });
    writeFileSync(join(folder, "model.safetensors"), model);
    await build({
      entryPoints: [join(folder, "processor.js")],
      outfile: join(folder, "processor.bundle.js"),
      ...{ bundle: true, format: "esm" },
    });
    const { posted } = await visit(browser, folder, {});
    const scores = loadModel(runtime, model).predict([samples]).toTypedArray();
    const due = scores.indexOf(Math.max(...scores));
    expect(posted.get("/classes")).toEqual(Array(10).fill(due));
    return null;
  });
});
