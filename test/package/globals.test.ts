// What the built files ask of their host: no global but ECMAScript's own and WebAssembly, and to
// write to none. What is missing is told by the call that needs it.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createContext, runInContext } from "node:vm";
import { afterAll, describe, expect, test } from "vitest";
import { affine, createRuntimeSync, Sequential, saveModel } from "../../src/index.ts";

const root = new URL("../../", import.meta.url);
const textOf = (file: string) => readFileSync(new URL(file, root), "utf8");
const digests = JSON.parse(textOf("test/hosts/digest.json"));

// biome-ignore lint/suspicious/noExplicitAny: what a file exports
type Any = any;

interface Report {
  failures: string[];
  training: Record<"float32" | "float64", string>;
}

function expectDigest({ failures, training }: Report): void {
  expect(failures).toEqual([]);
  const bytes = Buffer.from(training.float32 + training.float64, "hex");
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(digests.training);
}

/** The globals of ECMAScript that a host may lack all the same, or that a policy takes away. */
const optional = ["FinalizationRegistry", "WeakRef", "SharedArrayBuffer", "Atomics"];
const language = [
  ...["globalThis", "Infinity", "NaN", "undefined", "Object", "Function", "Array", "Number"],
  ...["Boolean", "String", "Symbol", "Date", "Promise", "RegExp", "Error", "AggregateError"],
  ...["EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError"],
  ...["JSON", "Math", "Reflect", "Proxy", "Map", "Set", "WeakMap", "WeakSet", "BigInt"],
  ...["ArrayBuffer", "DataView", "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array"],
  ...["Uint16Array", "Int32Array", "Uint32Array", "Float32Array", "Float64Array"],
  ...["BigInt64Array", "BigUint64Array", "parseInt", "parseFloat", "isNaN", "isFinite"],
];

/** A realm with these globals alone, and with what a file exports there. */
function realmWith(names: readonly string[]) {
  const context = createContext({});
  runInContext(
    `for (const name of Object.getOwnPropertyNames(globalThis)) {
      if (!${JSON.stringify(names)}.includes(name)) delete globalThis[name];
    }`,
    context,
  );
  const kept: string[] = runInContext("Object.getOwnPropertyNames(globalThis)", context);
  expect(kept.filter((name) => !names.includes(name))).toEqual([]);
  return (file: string) => {
    const body = file.endsWith(".cjs")
      ? textOf(file)
      : `${textOf(file).replace("export async function suite", "async function suite")}
        module.exports = { suite };`;
    const module = { exports: {} };
    return runInContext(`((module, exports) => {${body}\nreturn module.exports;})`, context)(
      module,
      module.exports,
    ) as Any;
  };
}

describe("in a realm with ECMAScript's globals and WebAssembly alone", () => {
  test.each([
    ["all of them", [...language, ...optional]],
    ["without weak references, registries and shared memory", language],
  ])("both entries are imported, train and predict the same bits: %s", async (_, names) => {
    const load = realmWith([...names, "WebAssembly"]);
    const [lamella, predict] = ["build/index.cjs", "build/predict.cjs"].map(load);
    expectDigest(await load("test/hosts/suite.js").suite({ lamella, predict }));
  });

  test("what needs more is refused by the call, in words", async () => {
    const load = realmWith([...language, "WebAssembly"]);
    const { createRuntime, WorkerError } = load("build/index.cjs");
    const wasm = "https://example.org/core.wasm";
    await expect(createRuntime({ wasm })).rejects.toMatchObject({
      message: `createRuntime: wasm: cannot read ${wasm}: this host has no URL; give the bytes`,
    });
    const { default: shared } = load("build/shared.cjs");
    const refused = createRuntime({ wasm: shared, threads: 2 });
    await expect(refused).rejects.toBeInstanceOf(WorkerError);
    await expect(refused).rejects.toMatchObject({
      message: "createRuntime: no worker could be started: this host has no workers",
    });
    expect((await createRuntime({ wasm: shared, threads: "auto" })).threads).toBe(1);
  });
});

describe("in a realm without WebAssembly", () => {
  const load = realmWith([...language, ...optional]);
  const model = new Sequential(createRuntimeSync(), { input: [2], layers: [affine(1)] });
  const bytes = saveModel(model);
  const calls: [name: string, (lamella: Any, predict: Any) => unknown][] = [
    ["createRuntime", ({ createRuntime }) => createRuntime()],
    ["createRuntime", ({ createRuntime }) => createRuntime({ wasm: bytes })],
    [
      "createRuntime",
      ({ createRuntime }) => createRuntime({ wasm: load("build/shared.cjs").default }),
    ],
    ["createRuntime", ({ createRuntime }) => createRuntime({ threads: "auto" })],
    ["createRuntimeSync", ({ createRuntimeSync }) => createRuntimeSync()],
    ["loadPredictor", (_, { loadPredictor }) => loadPredictor(bytes)],
    ["loadPredictorSync", (_, { loadPredictorSync }) => loadPredictorSync(bytes)],
  ];

  test.each(calls)("%s says what is missing and what to do: %s", async (name, call) => {
    const [lamella, predict] = [load("build/index.cjs"), load("build/predict.cjs")];
    const error = await new Promise<Error>((resolve, reject) => {
      const settled = async () => call(lamella, predict);
      settled().then(() => reject(new Error("it was not refused")), resolve);
    });
    expect(error.message).toMatch(
      new RegExp(`^${name}: this host has no WebAssembly, .*; Node must run without --jitless`),
    );
  });
});

const folder = mkdtempSync(join(tmpdir(), "lamella-globals-"));
afterAll(() => rmSync(folder, { recursive: true }));
/** What Node prints with these flags for a program that has the built files by their URLs. */
async function printed(flags: string[], program: string): Promise<string> {
  const file = join(folder, `program${flags.join("")}.mjs`);
  const url = (path: string) => JSON.stringify(new URL(path, root).href);
  const names = `const index = ${url("build/index.js")}; const serving = ${url("build/predict.js")};
    const suiteFile = ${url("test/hosts/suite.js")};`;
  writeFileSync(file, `${names}\n${program}`);
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, file]);
  return stdout;
}

describe("where everything is frozen", () => {
  const program = (before: string) => `${before}
    const [lamella, predict] = [await import(index), await import(serving)];
    const { suite } = await import(suiteFile);
    console.log(JSON.stringify(await suite({ lamella, predict })));`;
  const freeze = "Object.freeze(globalThis);";
  // Without what Node and SES do so that a property of a frozen prototype can be assigned to all
  // the same.
  const intrinsics = `for (const name of ${JSON.stringify(language)}) {
      const { prototype } = globalThis[name] ?? {};
      if (prototype) Object.freeze(prototype);
      if (typeof globalThis[name] === "function") Object.freeze(globalThis[name]);
    }`;
  test.each([
    ["--frozen-intrinsics", ["--frozen-intrinsics"], ""],
    ["--frozen-intrinsics and a frozen global", ["--frozen-intrinsics"], freeze],
    ["a frozen global", [], freeze],
    ["each built-in object frozen by hand", [], intrinsics + freeze],
  ])("both entries are imported, train and predict the same bits: %s", async (_, flags, before) => {
    expectDigest(JSON.parse(await printed(flags, program(before))));
  });

  test("the import leaves every global and every intrinsic as it was", async () => {
    const program = `
      const seen = new Map();
      const look = (object, changes) => {
        if ((typeof object !== "object" && typeof object !== "function") || object === null) return;
        if (changes ? seen.get(object)?.looked : seen.has(object)) return;
        const before = seen.get(object);
        const now = Object.getOwnPropertyDescriptors(object);
        if (changes && before) {
          before.looked = true;
          for (const key of new Set([...Reflect.ownKeys(before.properties), ...Reflect.ownKeys(now)])) {
            const [a, b] = [before.properties[key], now[key]];
            const isSame = ["value", "get", "set"].every((part) => Object.is(a?.[part], b?.[part]));
            if (!isSame) changes.push(String(key));
          }
        }
        if (!before) seen.set(object, { properties: now, looked: Boolean(changes) });
        if (object === process) return; // whose figures change by themselves
        for (const key of Reflect.ownKeys(now)) look(now[key].value, changes);
        look(Object.getPrototypeOf(object), changes);
      };
      look(globalThis); // Node loads some globals when they are first looked at, and adds others with them.
      seen.clear();
      look(globalThis);
      await import(index);
      await import(serving);
      const changes = [];
      look(globalThis, changes);
      console.log(JSON.stringify({ seen: seen.size, changes }));`;
    const { seen, changes } = JSON.parse(await printed([], program));
    expect(seen).toBeGreaterThan(500);
    expect(changes).toEqual([]);
  });
});

test("node --jitless imports both entries, and each call says what is missing", async () => {
  const program = `
    const lamella = await import(index);
    const { loadPredictor, loadPredictorSync } = await import(serving);
    const bytes = new Uint8Array(${JSON.stringify([
      ...saveModel(new Sequential(createRuntimeSync(), { input: [2], layers: [affine(1)] })),
    ])});
    const calls = [
      () => lamella.createRuntime(),
      () => lamella.createRuntimeSync(),
      () => loadPredictor(bytes),
      () => loadPredictorSync(bytes),
    ];
    for (const call of calls) {
      try {
        await call();
        console.log("it was not refused");
      } catch (error) {
        console.log(error.message);
      }
    }`;
  const lines = (await printed(["--jitless"], program)).trim().split("\n");
  const names = ["createRuntime", "createRuntimeSync", "loadPredictor", "loadPredictorSync"];
  expect(lines).toEqual(
    names.map((name) =>
      expect.stringMatching(new RegExp(`^${name}: this host has no WebAssembly`)),
    ),
  );
});

const withoutSimd = "--no-enable-sse4-1";
// Other processors have no such flag: their SIMD is always there.
test.skipIf(process.arch !== "x64")("without SIMD each call says so, and what to do", async () => {
  const program = `
    const lamella = await import(index);
    for (const call of [lamella.createRuntime, lamella.createRuntimeSync]) {
      try {
        await call();
        console.log("it was not refused");
      } catch (error) {
        console.log(error.name + " " + error.message);
      }
    }`;
  const lines = (await printed([withoutSimd], program)).trim().split("\n");
  const words =
    "this host does not compile lamella/core\\.wasm: .*; it lacks the SIMD instructions";
  expect(lines).toEqual(
    ["createRuntime", "createRuntimeSync"].map((name) =>
      expect.stringMatching(new RegExp(`^CompileError ${name}: ${words}`)),
    ),
  );
});

describe("the command", () => {
  const cli = fileURLToPath(new URL("build/cli.js", root));
  test.each([
    ["--jitless", "this host has no WebAssembly"],
    ...(process.arch === "x64" ? [[withoutSimd, "it lacks the SIMD instructions"]] : []),
  ] as [string, string][])("says in one line what is missing: node %s", async (flag, words) => {
    const table = join(folder, "table.csv");
    const rows = Array.from({ length: 40 }, (_, i) => `${i / 40},${i < 20 ? "low" : "high"}`);
    writeFileSync(table, `x,y\n${rows.join("\n")}\n`);
    const out = join(folder, "model.safetensors");
    const run = promisify(execFile)(process.execPath, [flag, cli, "train", table, "--out", out]);
    const error = await run.then(
      () => undefined,
      (error: { code: number; stderr: string }) => error,
    );
    expect(error?.code).toBe(1);
    const lines = error?.stderr.trim().split("\n") ?? [];
    expect(lines.filter((line) => line.startsWith("lamella"))).toEqual([
      expect.stringContaining(words),
    ]);
    // And its help is there.
    const help = await promisify(execFile)(process.execPath, [flag, cli, "--help"]);
    expect(help.stdout).toContain("train");
  });
});
