import { isBuiltin } from "node:module";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
// @ts-expect-error: a script without types
import { forPackage, isPublishedBy } from "../../scripts/readme.js";
import { hasRelaxed } from "../support/core.ts";
import { Project, run } from "./installed.ts";
import { train } from "./train.ts";

const project = new Project();
beforeAll(() => project.install(), 120_000);
afterAll(() => project.remove());

describe("the tarball", () => {
  test("holds the files that package.json names, and no other", () => {
    const always = ["package.json", "README.md", "LICENSE"];
    const files = project.files();
    const isNamed = isPublishedBy(project.manifest);
    expect(files.filter((file) => !isNamed(file) && !always.includes(file))).toEqual([]);
    const exact = project.manifest.files.filter((file) => !file.includes("*"));
    expect([...exact, ...always].filter((file) => !files.includes(file))).toEqual([]);
    expect(files).toContain("CHANGELOG.md");
    expect(files).toContain("docs/layers/affine.md");
    console.info(
      `the tarball: ${project.packedSize} bytes, unpacked ${project.unpackedSize} bytes in ${files.length} files`,
    );
  });

  test("holds no debug build, no map, no source and no test", () => {
    const foreign = project.files().filter((file) => /debug|\.map$|test|(?<!\.d)\.ts$/.test(file));
    expect(foreign).toEqual([]);
  });

  test("weighs less than 1,900 kilobytes: every form of all entries and of three variants with the core inside, the command, and the pages", () => {
    expect(project.packedSize).toBeLessThan(1_900_000);
  });

  test("has a README on npm whose links and picture lead to files of the package", () => {
    const isNamed = isPublishedBy(project.manifest);
    const text = forPackage(project.read("README.md"), project.manifest, isNamed);
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target as string);
    const base = `https://unpkg.com/lamella@${project.manifest.version}/`;
    const files = project.files();
    const broken = targets.filter((target) => {
      if (target.startsWith("#")) return false;
      return !files.includes(target.replace(base, "").split("#")[0] as string);
    });
    expect(broken).toEqual([]);
    expect(targets).toContain(`${base}docs/start.md`);
    expect(text).toContain(`](${base}docs/images/playground-digits.png)`);
    // A file that is not published is named, and not linked.
    expect(forPackage("[the ABI](assembly/README.md)", project.manifest, isNamed)).toBe("the ABI");
  });

  // What a program pays: the names it imports, minified and compressed as it is served.
  // `npm run size` prints them all.
  test("bundles to what its budgets allow, in brotli", async () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const { stdout } = await run(process.execPath, ["scripts/size.js", "--json"], root);
    const bundles: { name: string; brotli: number; budget?: number }[] = JSON.parse(stdout);
    const bytes = new Map(bundles.map(({ name, brotli }) => [name, brotli]));
    expect(bytes.get("train and infer")).toBeLessThanOrEqual(85_500);
    expect(bytes.get("serve a saved model")).toBeLessThanOrEqual(35_000);
    expect(bytes.get("a layer by hand")).toBeLessThanOrEqual(56_000);
    expect(bytes.get("everything")).toBeLessThanOrEqual(107_000);
    // A variant is paid for by those who import it alone, and little: brotli finds most of it in
    // the core beside it.
    const more = bytes.get("train and infer, relaxed")! - bytes.get("train and infer")!;
    expect(more).toBeGreaterThan(1_000);
    expect(more).toBeLessThan(6_000);
    // The .wasm file by itself compresses better than as text.
    expect(bytes.get("train and infer, on workerd")).toBeLessThan(bytes.get("train and infer")!);
    expect(bytes.get("serve, on workerd")).toBeLessThan(bytes.get("serve a saved model")!);
  });

  test("names no folder of the machine that built it", () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    expect(project.files().filter((file) => project.read(file).includes(root))).toEqual([]);
  });

  test("refers to no source map, as none is in it", () => {
    const scripts = project.files().filter((file) => /\.c?js$/.test(file));
    expect(scripts).not.toEqual([]);
    for (const file of scripts) expect(project.read(file)).not.toContain("sourceMappingURL");
  });
});

describe("the manifest", () => {
  test("has no dependencies that would be installed, and nothing to run at installation", () => {
    const { manifest } = project;
    for (const kind of ["dependencies", "peerDependencies", "optionalDependencies"] as const) {
      expect(manifest[kind], kind).toBeUndefined();
    }
    const names = Object.keys(manifest.scripts ?? {});
    expect(names.filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([]);
  });

  test("says the oldest Node, that modules have no side effects, and the licence", () => {
    const { engines, sideEffects, license } = project.manifest;
    expect(engines.node).toMatch(/^>=\d+\.\d+$/);
    expect(sideEffects).toBe(false);
    expect(license).toBe("MIT");
    expect(project.read("LICENSE")).toMatch(/^MIT License/);
  });
});

describe("a program in Node", () => {
  const print = `${train}\ntrain(lamella, options).then(console.log);\n`;
  const inModule = `import * as lamella from "lamella";\n`;

  test("trains to the same bits by import, by require, and with lamella/core.wasm given", async () => {
    const [imported, required, given] = await Promise.all([
      project.node("train.mjs", `${inModule}const options = {};\n${print}`),
      project.node(
        "train.cjs",
        `const lamella = require("lamella");\nconst options = {};\n${print}`,
      ),
      project.node(
        "given.mjs",
        `${inModule}import { readFileSync } from "node:fs";
         const wasm = readFileSync(new URL(import.meta.resolve("lamella/core.wasm")));
         const options = { wasm };\n${print}`,
      ),
    ]);
    expect(imported).toMatch(/^\d\.\d+ = 0x[0-9a-f]{16}$/);
    expect(required).toBe(imported);
    expect(given).toBe(imported);
  });

  test("computes with lamella/wasm/relaxed by import and by require, where this Node knows it", async () => {
    const result = `console.log(lamella.createRuntimeSync({ wasm: relaxed }).variant);`;
    const [imported, required] = await Promise.all([
      project.node(
        "relaxed.mjs",
        `${inModule}import relaxed from "lamella/wasm/relaxed";\n${result}`,
      ),
      project.node(
        "relaxed.cjs",
        `const lamella = require("lamella");
         const { default: relaxed } = require("lamella/wasm/relaxed");\n${result}`,
      ),
    ]);
    expect(imported).toBe(hasRelaxed ? "relaxed" : "strict");
    expect(required).toBe(imported);
  });

  test("computes on two threads with lamella/wasm/shared by import and by require, and ends", async () => {
    const result = `
      lamella.createRuntime({ wasm: shared, threads: 2 }).then((runtime) => {
        const [x, w, b] = [runtime.ones([200, 200]), runtime.ones([200, 200]), runtime.zeros([200])];
        console.log(runtime.threads, lamella.affineForward(x, w, b).out.data[0]);
      });`;
    const [imported, required] = await Promise.all([
      project.node("shared.mjs", `${inModule}import shared from "lamella/wasm/shared";\n${result}`),
      project.node(
        "shared.cjs",
        `const lamella = require("lamella");
         const { default: shared } = require("lamella/wasm/shared");\n${result}`,
      ),
    ]);
    expect(imported).toBe("2 200");
    expect(required).toBe(imported);
  });

  test("has one copy of the package by import and by require, where Node can require ES modules", async () => {
    const output = await project.node(
      "one.mjs",
      `import { createRequire } from "node:module";
       import * as lamella from "lamella";
       import * as predict from "lamella/predict";
       const require = createRequire(import.meta.url);
       const same = [[lamella, "lamella"], [predict, "lamella/predict"]].map(
         ([module, name]) => require(name).FormatError === module.FormatError,
       );
       console.log(same.join() + " " + Boolean(process.features.require_module));`,
    );
    expect(["true,true true", "false,false false"]).toContain(output);
  });

  test("ends by itself, and prints no warning", async () => {
    project.write("silent.mjs", `${inModule}const options = {};\n${print}`);
    project.write(
      "silent.cjs",
      `const lamella = require("lamella");\nrequire("lamella/predict");\nconst options = {};\n${print}`,
    );
    for (const name of ["silent.mjs", "silent.cjs"]) {
      expect((await run(process.execPath, [name], project.folder)).stderr).toBe("");
    }
  });

  const variants = ["relaxed", "shared", "relaxed-shared"].map((name) => `core.${name}.wasm`);
  test.each(["core.wasm", ...variants, "predict.wasm", "package.json"])(
    "resolves lamella/%s both ways",
    async (subpath) => {
      const [resolved, required] = await Promise.all([
        project.node("resolve.mjs", `console.log(import.meta.resolve("lamella/${subpath}"))`),
        project.node("resolve.cjs", `console.log(require.resolve("lamella/${subpath}"))`),
      ]);
      expect(fileURLToPath(resolved)).toBe(required);
      expect(project.files().map((file) => `${project.package}/${file}`)).toContain(required);
    },
  );

  test.each([
    "build/index.js",
    "build/core.wasm",
    "predict/package.json",
    "index.js",
    "src/index.ts",
  ])("cannot reach lamella/%s", async (subpath) => {
    const [name, specifier] = [subpath.replaceAll("/", "."), `"lamella/${subpath}"`];
    const failures = `.catch((error) => console.log(error.code))`;
    const [imported, required] = await Promise.all([
      project.node(`${name}.mjs`, `import(${specifier})${failures}`),
      project.node(`${name}.cjs`, `(async () => require(${specifier}))()${failures}`),
    ]);
    expect(imported).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
    expect(required).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });
});

describe("the command", () => {
  const bin = (...args: string[]) =>
    run(`${project.folder}/node_modules/.bin/lamella`, args, project.folder);

  test("trains by npx in an empty project, predicts and looks inside", async () => {
    const iris = fileURLToPath(new URL("../../examples/tabular/iris.csv", import.meta.url));
    const options = ["--epochs", "20", "--quiet", "--threads", "2"];
    const { stdout } = await run("npx", ["lamella", "train", iris, ...options], project.folder);
    expect(stdout).toMatch(/right on 30 examples/);
    expect((await bin("--version")).stdout).toBe(`${project.manifest.version}\n`);
    const predicted = await bin("predict", "model.safetensors", iris);
    expect(predicted.stdout.split("\n")).toHaveLength(152);
    expect((await bin("inspect", "model.safetensors")).stdout).toContain("affine(32)");
  });

  test("is one small file beside the entries, which imports them and has no core in it", async () => {
    const contents = project.read("build/cli.js");
    const { metafile } = await build({
      ...{ stdin: { contents }, bundle: true, write: false, metafile: true, format: "esm" },
      ...{ platform: "node", external: ["./*"] },
    });
    const [output] = Object.values(metafile.outputs);
    const imports = new Set(output!.imports.map(({ path }) => path));
    expect([...imports].filter((path) => !isBuiltin(path)).sort()).toEqual(
      ["index", "keras", "predict", "relaxed-shared", "relaxed", "shared", "tfjs", "tflite"].map(
        (name) => `./${name}.js`,
      ),
    );
    expect(gzipSync(contents, { level: 9 }).length).toBeLessThan(76_000);
    // How an entry begins its core, in hex.
    expect(contents).not.toContain("0061736d01000000");
    expect(project.read("build/index.js")).not.toMatch(/commander|csv-parse|asciichart/);
  });
});

describe("a program in TypeScript", () => {
  const uses = `
    export async function use(): Promise<number> {
      const runtime: lamella.Runtime = await lamella.createRuntime({ seed: 1, threads: "auto" });
      const sync = lamella.createRuntimeSync({ wasm: new Uint8Array(8) });
      const x = runtime.tensor([[1, 2, 3], [4, 5, 6]]);
      const w: lamella.Tensor<"float32"> = runtime.ones([3, 2]);
      const b = runtime.zeros([2]);
      const { out, cache } = lamella.affineForward(x, w, b, { out: runtime.zeros([2, 2]) });
      const bnParam: lamella.BatchnormParam<"float32"> = { mode: "train", momentum: 0.8 };
      const norm = lamella.batchnormForward(out, b, b, bnParam);
      const dropped = lamella.dropoutForward(norm.out, { p: 0.5, mode: "train", seed: 3 });
      const relu = lamella.reluForward(dropped.out);
      const { loss, dx } = lamella.softmaxLoss(relu.out, Int32Array.of(0, 1));
      const svm: undefined = lamella.svmLoss(out, [0, 1], { dx: false }).dx;
      const gradients = lamella.affineBackward(dx, cache, { dx: false });
      const none: undefined = gradients.dx;
      const data: Float32Array = gradients.dw.data;
      const wide: lamella.Tensor<"float64"> = runtime.random(1).randn(3, 2);
      const { dgamma } = lamella.batchnormBackward(lamella.reluBackward(dx, relu.cache), norm.cache);
      lamella.dropoutBackward(dgamma, dropped.cache).dispose();
      lamella.recalibrate([out], bnParam);
      const numeric = lamella.numericalGradient((v) => lamella.affineForward(x, v, b).out, w, dx);
      const error: Error = new lamella.ShapeError("");
      // @ts-expect-error: a float64 weight with a float32 input
      lamella.affineForward(x, wide, b);
      // @ts-expect-error: a layer takes no whole numbers
      lamella.reluForward(runtime.zeros([1], "int32"));
      // @ts-expect-error: mode is required
      lamella.batchnormForward(out, b, b, {});
      // @ts-expect-error: no such mode
      lamella.dropoutForward(out, { p: 0.5, mode: "eval" });
      // @ts-expect-error: this gradient was left out
      gradients.dx.data;
      // @ts-expect-error: the cache of another layer
      lamella.affineBackward(dx, relu.cache);
      return loss + data.length + lamella.relativeError(numeric, w) + sync.memory.bytesLive
        + (error instanceof lamella.AliasError ? 1 : 0) + (svm ?? none ?? 0);
    }
  `;
  const serving = `
    export async function deploy(model: whole.Sequential): Promise<number> {
      const predictor: serve.Predictor = await serve.loadPredictor(whole.saveModel(model), { maxBatch: 2 });
      const sync: whole.Predictor = serve.loadPredictorSync(new ArrayBuffer(8), { wasm: new Uint8Array(8) });
      const compiled: serve.Predictor = model.compile();
      const input: Float32Array = predictor.input;
      input.set([1]);
      predictor.run(1);
      const scores: Float32Array = predictor.predict(input);
      const error: Error = new serve.FormatError("");
      // @ts-expect-error: a predictor computes, and does no more
      predictor.backward();
      // @ts-expect-error: its sizes stay what they are
      predictor.maxBatch = 3;
      return scores.length + sync.maxBatch + compiled.outputShape.length + predictor.output.length
        + (error instanceof serve.ShapeError ? 1 : 0);
    }
  `;
  const consumers = {
    "serve.mts": `import * as whole from "lamella";\nimport * as serve from "lamella/predict";\n${serving}`,
    "serve.cts": `import whole = require("lamella");\nimport serve = require("lamella/predict");\n${serving}`,
    "consumer.mts": `import * as lamella from "lamella";\n${uses}`,
    "consumer.cts": `import lamella = require("lamella");\n${uses}`,
  };
  const inferring = `import { createRuntimeSync, reluForward, type Tensor } from "lamella";
    const runtime = createRuntimeSync();
    const narrow: Tensor<"float32"> = runtime.tensor(Float32Array.of(1, 2), [2, 1]);
    const wide: Tensor<"float64"> = runtime.tensor(Float64Array.of(1, 2));
    const whole: Tensor<"int32"> = runtime.tensor(Int32Array.of(1, 2));
    const nested: Tensor<"float32"> = runtime.tensor([[1, 2], [3, 4]]);
    const bytes: Tensor<"float32"> = runtime.tensor(Uint8Array.of(1, 2));
    const chosen: Tensor<"float64"> = runtime.tensor(Float32Array.of(1, 2), [2], "float64");
    export const out: Float32Array = reluForward(runtime.tensor(Float32Array.of(1, 2))).out.data;
    export const all = [narrow, wide, whole, nested, bytes, chosen];
  `;
  const disposing = `import { createRuntime } from "lamella";
    using runtime = await createRuntime();
    using tensor = runtime.zeros([1]);
    export const size = tensor.size;
  `;

  /** What tsc has to say about some files. */
  async function typeErrors(
    files: Record<string, string>,
    options: { lib: string[]; skipLibCheck?: boolean },
  ): Promise<string[]> {
    const name = `tsconfig.${Object.keys(files)[0]}.${options.lib.join(".")}.json`;
    for (const [file, text] of Object.entries(files)) project.write(file, text);
    const compilerOptions = {
      module: "nodenext",
      target: "es2022",
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      types: [],
      ...options,
    };
    project.write(name, JSON.stringify({ compilerOptions, files: Object.keys(files) }));
    const tsc = fileURLToPath(import.meta.resolve("typescript/bin/tsc"));
    const { stdout } = await run(process.execPath, [tsc, "-p", name], project.folder).catch(
      (error: { stdout: string }) => error,
    );
    return stdout.split("\n").filter((line) => line !== "");
  }

  const lib = ["es2022", "dom"];

  test("type-checks as an ES module and as CommonJS, the package's own types included", async () => {
    expect(await typeErrors(consumers, { lib })).toEqual([]);
  });

  test("gets a tensor's dtype from the typed array that it gives", async () => {
    const options = { lib: [...lib, "esnext.disposable"] };
    expect(await typeErrors({ "infer.mts": inferring }, options)).toEqual([]);
  });

  test("may dispose tensors and runtimes by using", async () => {
    expect(await typeErrors({ "using.mts": disposing }, { lib })).toEqual([]);
  });

  test("type-checks without the DOM's types where libraries are not checked, as is usual in Node", async () => {
    const options = { lib: ["es2022"], skipLibCheck: true };
    expect(await typeErrors(consumers, options)).toEqual([]);
  });

  test("misses no more of the DOM's types than the sources of a core", async () => {
    const errors = await typeErrors(consumers, { lib: ["es2022"] });
    const names = errors.map(
      (error) => /Cannot find (?:name|namespace) '(\w+)'/.exec(error)?.[1] ?? error,
    );
    expect(["WebAssembly", "BufferSource", "Response", "URL"]).toEqual(
      expect.arrayContaining([...new Set(names)]),
    );
  });
});
