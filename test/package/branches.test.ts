// The branches of the export map, each bundled as its host's tools do it, and run where nothing may
// be compiled.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  affine,
  createRuntimeSync,
  Sequential,
  saveModel,
  type WasmVariant,
} from "../../src/index.ts";
import { hasRelaxed } from "../support/core.ts";
import { Project } from "./installed.ts";
import { train } from "./train.ts";

type Lamella = typeof import("../../src/index.ts");
type Predict = typeof import("../../src/predict.ts");

const project = new Project();
beforeAll(() => project.install(), 120_000);
afterAll(() => project.remove());

const bytesOf = (file: string) => new Uint8Array(readFileSync(join(project.package, file)));
const everything = 'export * from "lamella"; export * from "lamella/predict";';
/** As WebAssembly's first eight bytes and more are written. */
const hex = /(?:[0-9a-f]{2}){500}/g;

/** A bundle, and the .wasm files that it imports. */
async function bundle(contents: string, conditions: string[], modules?: "given") {
  const imports: string[] = [];
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: project.folder },
    ...{ bundle: true, format: "iife", globalName: "bundle", write: false },
    // Naming none is not the same as an empty list: bundlers have some of their own then.
    ...(conditions.length > 0 && { conditions }),
    plugins: [
      {
        name: "wasm",
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /\.wasm/ }, ({ path }) => {
            imports.push(path);
            return { path, namespace: "wasm" };
          });
          onLoad({ filter: /.*/, namespace: "wasm" }, ({ path }) => ({
            contents: modules
              ? `export default modules[${JSON.stringify(path.replace("?module", ""))}]`
              : 'export default "a path"',
          }));
        },
      },
    ],
  });
  return { text: outputFiles[0]!.text, imports: imports.sort() };
}

/** What a bundle exports in a realm that compiles no WebAssembly and no strings, as on the edge. */
function runOnEdge(text: string, given: Record<string, unknown> = {}): Lamella & Predict {
  const globals = { TextDecoder, TextEncoder, URL, Response, fetch, ...given };
  const context = createContext(globals, { codeGeneration: { strings: false, wasm: false } });
  return runInContext(`${text}\nbundle`, context);
}

describe.each([
  ["workerd", ["workerd", "worker", "browser"], ["./core.wasm", "./predict.wasm"]],
  ["edge-light", ["edge-light"], ["./core.wasm?module", "./predict.wasm?module"]],
])("the branch %s", (_, conditions, files) => {
  const given = () => ({
    modules: {
      "./core.wasm": new WebAssembly.Module(bytesOf("build/core.wasm")),
      "./predict.wasm": new WebAssembly.Module(bytesOf("build/predict.wasm")),
    },
  });

  test("imports the .wasm files, and carries no text of them", async () => {
    const { text, imports } = await bundle(everything, conditions);
    expect(imports).toEqual(files);
    expect(text.match(hex)).toBeNull();
  });

  test("trains and serves where the host compiles nothing, to the same bits", async () => {
    const { text } = await bundle(everything, conditions, "given");
    const lamella = runOnEdge(text, given());
    expect(await train(lamella)).toBe(await train(await import("../../src/index.ts")));
    const runtime = createRuntimeSync();
    const model = new Sequential(runtime, { input: [4], layers: [affine(3)], seed: 1 });
    const predictor = lamella.loadPredictorSync(saveModel(model));
    expect([...predictor.predict([1, 2, 3, 4])]).toEqual([...model.predict([1, 2, 3, 4]).data]);
  });

  test.runIf(hasRelaxed)("has lamella/wasm/relaxed as a .wasm file too", async () => {
    const withRelaxed = `${everything} export { default as relaxed } from "lamella/wasm/relaxed";`;
    const { text, imports } = await bundle(withRelaxed, conditions, "given");
    expect(imports).toEqual([...files, files[0]!.replace("core", "core.relaxed")].sort());
    expect(text.match(hex)).toBeNull();
    const module = new WebAssembly.Module(bytesOf("build/core.relaxed.wasm"));
    const lamella = runOnEdge(text, {
      modules: { ...given().modules, "./core.relaxed.wasm": module },
    });
    const wasm = (lamella as typeof lamella & { relaxed: WasmVariant }).relaxed;
    expect(lamella.createRuntimeSync({ wasm }).variant).toBe("relaxed");
    expect(lamella.createRuntimeSync().variant).toBe("strict");
  });

  test("takes a module, a Response or a URL as wasm, and says what came instead", async () => {
    const { text } = await bundle(everything, conditions, "given");
    const { createRuntime, createRuntimeSync: sync } = runOnEdge(text, given());
    const module = new WebAssembly.Module(bytesOf("build/core.wasm"));
    expect((await createRuntime({ wasm: module })).variant).toBe("strict");
    expect(sync({ wasm: module }).variant).toBe("strict");
    const html = { headers: { "content-type": "text/html; charset=utf-8" } };
    await expect(createRuntime({ wasm: new Response("<!doctype html>", html) })).rejects.toThrow(
      "createRuntime: wasm: expected WebAssembly, got text/html; charset=utf-8",
    );
    const page = `data:text/html,<p>`;
    await expect(createRuntime({ wasm: page })).rejects.toThrow(
      /createRuntime: wasm: expected WebAssembly, got text\/html from data:text\/html,/,
    );
    await expect(createRuntime({ wasm: bytesOf("build/core.wasm") })).rejects.toThrow(
      /this host takes none of the given builds: .*disallowed by embedder/,
    );
  });

  test("says so where the bundler makes no module of the file", async () => {
    const { text } = await bundle(everything, conditions);
    await expect(runOnEdge(text).createRuntime()).rejects.toThrow(
      "createRuntime: wasm: expected this host, or the bundler, to make a WebAssembly.Module of lamella/core.wasm, got a path; give one as the option wasm",
    );
  });
});

describe("the branch that has the core as text", () => {
  test("carries each core once, whatever imports and requires it", async () => {
    const contents = `${everything}
      export * as again from "lamella";
      export const required = [require("lamella"), require("lamella/predict")];`;
    const { text, imports } = await bundle(contents, []);
    expect(imports).toEqual([]);
    expect(text.match(/"0061736d01000000/g)).toHaveLength(2);
    const one = await bundle('export * from "lamella"', []);
    expect(one.text.match(/"0061736d01000000/g)).toHaveLength(1);
    const other = await bundle('export * from "lamella/predict"', []);
    expect(other.text.match(/"0061736d01000000/g)).toHaveLength(1);
    expect(other.text.length).toBeLessThan(one.text.length / 2);
  });

  test("says where it may not compile what to do instead", async () => {
    const { text } = await bundle(everything, []);
    const { createRuntime } = runOnEdge(text);
    await expect(createRuntime()).rejects.toThrow(
      /^createRuntime: this host does not compile lamella\/core\.wasm: .*; where it takes modules alone, import lamella\/core\.wasm and give it as the option wasm$/,
    );
    const wasm = new WebAssembly.Module(bytesOf("build/core.wasm"));
    expect((await createRuntime({ wasm })).variant).toBe("strict");
  });
});

describe("every file of JavaScript in the package", () => {
  // The command is no part of the library, and runs where there are files.
  const scripts = () =>
    project.files().filter((file) => /\.c?js$/.test(file) && file !== "build/cli.js");

  test("makes no code of strings, and imports no module of Node", () => {
    for (const file of scripts()) {
      // The build breaks long lines within strings, and so within words such as evaluate.
      const text = project
        .read(file)
        .replaceAll("\\\n", "")
        // What reads other formats has the package outside.
        .replaceAll('require("lamella")', "");
      expect(text, file).not.toMatch(/\beval\b|\bFunction\(|\bimport\(|\brequire\(/);
      expect(text, file).not.toMatch(/from "node:/);
    }
  });

  test("knows no timer and no clock where it only serves", () => {
    const serving = scripts().filter((file) => file.includes("predict"));
    expect(serving).toHaveLength(4);
    for (const file of serving) {
      expect(project.read(file), file).not.toMatch(
        // Dates of a table are counted by Date.parse and new Date(…), which ask no clock.
        /setTimeout|setInterval|setImmediate|MessageChannel|performance|Date\.now|\bDate\(\)|new Date\b(?!\()|Math\.random/,
      );
    }
  });
});

describe("two copies in one process", () => {
  // By their paths, as the newest Nodes give one module to import and require alike.
  const copies = `
    import { createRequire } from "node:module";
    import * as one from "./node_modules/lamella/build/index.js";
    const two = createRequire(import.meta.url)("./node_modules/lamella/build/index.cjs");
    const [a, b] = [await one.createRuntime(), await two.createRuntime()];
  `;

  test("do not disturb each other", async () => {
    const output = await project.node(
      "two.mjs",
      `${copies}${train}
       const [x, y] = [a.ones([1000]), b.full([1000], 2)];
       const losses = await Promise.all([train(one), train(two)]);
       const intact = x.data.every((v) => v === 1) && y.data.every((v) => v === 2);
       console.log(one !== two && losses[0] === losses[1] && intact);`,
    );
    expect(output).toBe("true");
  });

  test("refuse each other's tensors, caches, models and runtimes by saying what they are", async () => {
    const output = await project.node(
      "refuse.mjs",
      `${copies}
       const say = (fn) => { try { fn(); console.log("taken"); } catch (e) { console.log(e.name + ": " + e.message); } };
       for (const [mine, theirs, runtime, foreign] of [[one, two, a, b], [two, one, b, a]]) {
         say(() => mine.reluForward(foreign.ones([2])));
         say(() => mine.reluBackward(runtime.ones([2]), theirs.reluForward(foreign.ones([2])).cache));
         say(() => new mine.Sequential(foreign, { input: [2], layers: [mine.affine(2)] }));
         say(() => mine.saveModel(new theirs.Sequential(foreign, { input: [2], layers: [mine.affine(2)] })));
       }`,
    );
    const lines = output.split("\n");
    expect(lines).toHaveLength(8);
    expect(lines.slice(4)).toEqual(lines.slice(0, 4));
    expect(lines[0]).toMatch(
      /^TypeError: reluForward: x must be a tensor, got a tensor of another copy/,
    );
    expect(lines[1]).toMatch(
      /^TypeError: reluBackward: cache must be .*another copy of this package/,
    );
    expect(lines[2]).toMatch(/^TypeError: Sequential: runtime must be a runtime of this package/);
    expect(lines[3]).toMatch(/^TypeError: saveModel: model must be a Sequential/);
  });

  test("read each other's files", async () => {
    const output = await project.node(
      "files.mjs",
      `${copies}
       const model = new one.Sequential(a, { input: [2], layers: [one.affine(3)], seed: 2 });
       const other = two.loadModel(b, one.saveModel(model));
       console.log(String(other.predict([1, 2]).data) === String(model.predict([1, 2]).data));`,
    );
    expect(output).toBe("true");
  });
});
