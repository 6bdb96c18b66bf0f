// The WebAssembly of all cores, and of the limits that `lamella bench` measures.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { abi } from "./abi.js";

const compiler = fileURLToPath(new URL("compile.js", import.meta.url));
/** Runs asc in a process of its own, so that several cores are compiled at once. */
const compile = (args) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [compiler, ...args], { stdio: "inherit" });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`asc ${args.join(" ")} failed`));
    });
  });

const { targets } = JSON.parse(
  readFileSync(new URL("../../asconfig.json", import.meta.url), "utf8"),
);
const compilerInputs = [
  ...["scripts/build/compile.js", "scripts/build/inline_transform.js"],
  "node_modules/assemblyscript/package.json",
];
const coreInputs = ["assembly", ...abi.outputs, "asconfig.json", ...compilerInputs];

/** A core by its entry in build/assembly/ and its target in asconfig.json. */
const core = (entry, target) => {
  const { outFile } = targets[target];
  return {
    name: outFile.replace("build/", ""),
    inputs: coreInputs,
    outputs: target === "release" ? [outFile, "build/core.d.ts"] : [outFile],
    run: () => compile([`build/assembly/${entry}.ts`, "--target", target]),
  };
};

/** asconfig.json is not for the limits, whose memory is their own. */
const limits = (variant, features) => {
  const file = variant === "strict" ? "limits.wasm" : "limits.relaxed.wasm";
  return {
    name: file,
    inputs: ["bench/support/limits.ts", ...compilerInputs],
    outputs: [`build/${file}`],
    run: () =>
      compile([
        ...["bench/support/limits.ts", "--config", "none", "--outFile", `build/${file}`],
        ...["-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "--initialMemory", "513"],
        ...["--enable", features],
      ]),
  };
};

/** A core with the exports of test/support/entry.ts added. */
const testCore = (target, file) => ({
  name: file,
  inputs: [...coreInputs, "test/support/entry.ts"],
  outputs: [`build/${file}`],
  run: () =>
    compile([
      ...["build/assembly/index.ts", "test/support/entry.ts", "--target", target],
      ...["--outFile", `build/${file}`],
    ]),
});

/** For test/support/global-setup.js. */
export const testCores = {
  release: testCore("release", "test.wasm"),
  relaxed: testCore("relaxed", "test.relaxed.wasm"),
  debug: testCore("debug", "test.debug.wasm"),
};

/** The slowest first. */
export const cores = [
  core("shared", "shared"),
  core("shared", "relaxed-shared"),
  core("index", "relaxed"),
  core("index", "release"),
  core("predict", "predict"),
  core("index", "debug"),
  limits("strict", "simd"),
  limits("relaxed", "simd,relaxed-simd"),
];
