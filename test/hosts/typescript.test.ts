// The published types in TypeScript from 5.0 on, with every check on: each way to resolve them,
// each kind of module, with the DOM's types and without.

import { join } from "node:path";
import { expect } from "vitest";
import { folderWith, here, inPackage, row } from "./hosts.ts";
import { Program } from "./processes.ts";

const root = join(here, "../..");

/**
 * A program of both entries and a variant. Its last lines are mistakes, which the compiler must
 * find.
 */
const program = `
  const data: Float32Array = {} as lamella.Tensor<"float32">["data"];
  export async function main(bytes: Uint8Array): Promise<number> {
    const runtime: lamella.Runtime = await lamella.createRuntime({ wasm: [relaxed, shared], threads: "auto" });
    const x: lamella.Tensor<"float64"> = runtime.tensor(new Float64Array(2));
    const values: Float64Array = x.toTypedArray();
    const { out } = lamella.reluForward(x);
    const layers = [lamella.affine(3), lamella.relu()];
    const model = new lamella.Sequential(runtime, { input: [2], layers });
    const file: Uint8Array = lamella.saveModel(model);
    const trainer = new lamella.Trainer(model, { loss: "softmax", optimizer: lamella.adam() });
    for await (const event of trainer.fit({ x: data, y: [0] }, { epochs: 1 })) event.loss;
    const predictor: predict.Predictor = await predict.loadPredictor(file ?? bytes);
    const scores: Float32Array = predictor.predict(values);
    runtime[Symbol.dispose]();
    if (out instanceof lamella.ShapeError) return 0;
    return scores.length;
  }`;
/** From 5.7 on the arrays are known to lie in no shared memory. */
const generic = `
  const exact: Float32Array<ArrayBuffer> = {} as lamella.Tensor<"float32">["data"];
  const bytes: Uint8Array<ArrayBuffer> = lamella.saveModel({} as never);
  const scores: Float32Array<ArrayBuffer> = ({} as predict.Predictor).predict([1]);
  export { bytes, exact, scores };`;
const mistakes = [
  "const wrong: Float64Array = {} as lamella.Tensor<'float32'>['data'];",
  "lamella.createRuntime({ threads: 'all' });",
  "lamella.affine('3');",
];

const names = {
  import: `
    import * as lamella from "lamella";
    import * as predict from "lamella/predict";
    import relaxed from "lamella/wasm/relaxed";
    import shared from "lamella/wasm/shared";`,
  require: `
    import lamella = require("lamella");
    import predict = require("lamella/predict");
    import relaxedModule = require("lamella/wasm/relaxed");
    import sharedModule = require("lamella/wasm/shared");
    const [relaxed, shared] = [relaxedModule.default, sharedModule.default];`,
};

/** How modules are resolved, and the files that are: .cts ones are CommonJS modules. */
const resolutions: [moduleResolution: string, module: string, files: string[]][] = [
  ["node16", "node16", ["main.mts", "main.cts"]],
  ["nodenext", "nodenext", ["main.mts", "main.cts"]],
  ["bundler", "esnext", ["main.ts"]],
];

const libs: [name: string, settings: object][] = [
  ["lib es2022 and dom", { lib: ["es2022", "dom"], types: [] }],
  ["lib es2022 alone", { lib: ["es2022"], types: [] }],
  ["lib es2022, Node's types", { lib: ["es2022"], types: ["node"] }],
];

for (const version of ["5.0", "5.6", "5.9", "6.0"]) {
  const compiler = inPackage(`TypeScript ${version}`, `typescript-${version}`);
  const text = program + (Number(version) >= 5.7 ? generic : "");
  const sources = {
    "main.mts": names.import + text,
    "main.cts": names.require + text,
    "main.ts": names.import + text,
    "wrong.mts": `${names.import + text}\n${mistakes.join("\n")}`,
  };
  /** What the compiler says of these files. */
  const check = async (options: object, files: string[]) => {
    const compilerOptions = {
      ...{ target: "es2022", strict: true, noEmit: true, skipLibCheck: false },
      ...{ exactOptionalPropertyTypes: true, typeRoots: [join(root, "node_modules/@types")] },
      ...options,
    };
    const cwd = folderWith(`typescript-${version}`, {
      ...sources,
      "tsconfig.json": JSON.stringify({ compilerOptions, files }),
    });
    const args = [join(compiler.path, "bin/tsc"), "-p", "."];
    const run = new Program(process.execPath, args, { cwd });
    await run.ended;
    return run.output.stdout.trim() + run.output.stderr;
  };
  const form = "the types, resolved as by node16, nodenext and bundler, with the DOM's and without";
  const checked = async () => {
    for (const [moduleResolution, module, files] of resolutions) {
      // Node's types are the same whichever way; each compilation takes seconds.
      for (const [what, lib] of moduleResolution === "nodenext" ? libs : libs.slice(0, 2)) {
        const said = await check({ module, moduleResolution, ...lib }, files);
        expect(said, `${moduleResolution}, ${what}`).toBe("");
      }
    }
    // What it says nothing of is not any.
    const [, lib] = libs[0] as (typeof libs)[0];
    const options = { module: "nodenext", moduleResolution: "nodenext", ...lib };
    const said = await check(options, ["wrong.mts"]);
    const found = [...said.matchAll(/^(?:(\w+)\.mts\((\d+),|error)/gm)];
    const first = sources["main.mts"].split("\n").length + 1;
    expect(found.map(([, file, line]) => [file, Number(line)])).toEqual(
      mistakes.map((_, i) => ["wrong", first + i]),
    );
    return null;
  };
  row(compiler, form, checked, 600);
}
