// npm run mutate [-- words]: makes the mutants of mutants.ts one by one, in a copy of the
// repository, and runs the tests that should notice. Words pick those whose file, function or
// description has one of them. Fails where a mutant survives that is not explained, where an
// explained one is killed, and where one cannot be made.
//
// Node 22 or newer: older ones know no relaxed SIMD, and its mutants count as failures there.

import { execFile, execFileSync } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import InlineTransform from "../../scripts/build/inline_transform.js";
import { locate } from "./anchor.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

async function load(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    write: false,
  });
  return import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
  );
}
const { mutants } = await load(join(root, "test/mutation/mutants.ts"));
const words = process.argv.slice(2);
const chosen = mutants
  .map((mutant) => {
    const place = locate(mutant);
    return { ...mutant, place, label: `${place.path}: ${mutant.within}: ${mutant.breaks}` };
  })
  .filter(({ label }) => words.length === 0 || words.some((word) => label.includes(word)));
if (chosen.length === 0) {
  console.error(`no mutant has ${words.join(" or ")} in its file, function or description`);
  process.exit(1);
}

const copy = mkdtempSync(join(tmpdir(), "lamella-mutation-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
for (const name of execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .trim()
  .split("\n")) {
  cpSync(join(root, name), join(copy, name));
}
cpSync(join(root, "build"), join(copy, "build"), { recursive: true });
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
process.chdir(copy);

// What a mutant computes is the same with less time spent on its code.
const config = JSON.parse(readFileSync("asconfig.json", "utf8"));
for (const target of Object.values(config.targets)) {
  Object.assign(target, { optimizeLevel: 0, shrinkLevel: 0, converge: false });
}
writeFileSync("asconfig.json", JSON.stringify(config));

/** What each kind of build makes: target, entries, and its file. */
const builds = {
  release: ["release", ["build/assembly/index.ts"], "build/core.wasm"],
  test: ["release", ["build/assembly/index.ts", "test/support/entry.ts"], "build/test.wasm"],
  relaxed: ["relaxed", ["build/assembly/index.ts"], "build/core.relaxed.wasm"],
  shared: ["shared", ["build/assembly/shared.ts"], "build/core.shared.wasm"],
  predict: ["predict", ["build/assembly/predict.ts"], "build/predict.wasm"],
};

/** Compiles one build, and puts it in the place of its old bytes wherever these stand as text. */
async function compile(kind) {
  const [target, entries, file] = builds[kind];
  const old = readFileSync(file, "hex");
  // In a process of its own, as a module that a mutant is in is loaded once in each.
  execFileSync(process.execPath, ["scripts/build/abi.js"]);
  const { error, stderr } = await asc.main(
    [...entries, "--target", target, "--outFile", file, "--baseDir", copy],
    {
      transforms: [InlineTransform],
      writeFile(name, contents) {
        if (name.endsWith(".wasm")) writeFileSync(name, contents);
      },
    },
  );
  if (error) throw new Error(String(stderr));
  const made = readFileSync(file, "hex");
  if (made === old) return;
  for (const name of readdirSync("build")) {
    if (!/\.c?js$/.test(name)) continue;
    // In one piece: the bundles' lines are broken, in the midst of strings as well.
    const text = readFileSync(`build/${name}`, "utf8").replaceAll("\\\n", "");
    if (text.includes(old)) writeFileSync(`build/${name}`, text.replace(old, made));
  }
}

/** Runs node for so many milliseconds at most; whether it failed, and what it said. */
function node(args, { timeout = 600_000, env = {} } = {}) {
  const options = {
    cwd: copy,
    timeout,
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...env },
  };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) =>
      resolve({
        failed: error !== null,
        output: error?.killed ? `it has not ended after ${timeout / 1000} s` : stdout + stderr,
      }),
    );
  });
}

/** Runs these tests, where they go through all builds of the core with this one alone. */
function vitest(files, kind, timeout) {
  const config = ["--config", "test/mutation/vitest.mutants.js"];
  const report = ["--bail", "1", "--reporter", "json", "--outputFile", "mutant.json"];
  return node(["node_modules/vitest/vitest.mjs", "run", ...config, ...report, ...files], {
    timeout,
    env: { LAMELLA_BUILD: kind },
  });
}

/** The first test that failed, or what kept them from running. */
function killer(output) {
  try {
    const { testResults } = JSON.parse(readFileSync("mutant.json", "utf8"));
    for (const { name, assertionResults, message } of testResults) {
      const file = name.slice(copy.length + 1);
      const failed = assertionResults.find(({ status }) => status === "failed");
      if (failed) {
        const reason = failed.failureMessages[0]?.split("\n")[0].slice(0, 120);
        return `${file}: ${failed.fullName}: ${reason}`;
      }
      if (message) return `${file}: ${message.split("\n")[0]}`;
    }
  } catch {}
  return output.trim().split("\n").at(-1) ?? "";
}

/** Whether the tests notice, in this time; the build as well may. */
async function attempt({ place, to, build: kind, tests }, timeout) {
  const { path: file, start, end } = place;
  const original = readFileSync(file, "utf8");
  const before = readdirSync("build", { withFileTypes: true })
    .filter((entry) => entry.isFile()) // build/blocks and the like are of other commands
    .map(({ name }) => [name, readFileSync(`build/${name}`)]);
  writeFileSync(file, original.slice(0, start) + to + original.slice(end));
  try {
    if (kind === "all") {
      const { failed, output } = await node(["scripts/build.js"]);
      if (failed) return { problem: `it does not build: ${output.slice(0, 400)}` };
    } else if (kind !== "none") {
      try {
        await compile(kind);
      } catch (error) {
        return { problem: `it does not compile: ${String(error).slice(0, 400)}` };
      }
    }
    rmSync("mutant.json", { force: true });
    const { failed, output } = await vitest(tests, kind, timeout);
    return failed ? { killed: killer(output) } : {};
  } finally {
    writeFileSync(file, original);
    for (const [name, bytes] of before) writeFileSync(`build/${name}`, bytes);
  }
}

/**
 * How long the tests may take with a mutant, or why they say nothing of it: they fail without it.
 */
const limits = new Map();
async function limitOf({ tests, build: kind }) {
  const key = `${kind}: ${tests}`;
  if (!limits.has(key)) {
    const start = performance.now();
    const { failed, output } = await vitest(tests, kind);
    if (failed) return { problem: `the tests fail without it: ${killer(output)}` };
    // A mutant may never end, and a machine may be busy.
    limits.set(key, Math.ceil(60 + (performance.now() - start) / 333) * 1000);
  }
  return { timeout: limits.get(key) };
}

const counts = { killed: 0, explained: 0, failed: 0 };
for (const [i, mutant] of chosen.entries()) {
  const limit = await limitOf(mutant);
  const { killed, problem } = limit.problem ? limit : await attempt(mutant, limit.timeout);
  const label = `${i + 1}/${chosen.length} ${mutant.label}`;
  if (problem) {
    counts.failed++;
    console.log(`FAILED    ${label}\n          ${problem}`);
  } else if (killed !== undefined && mutant.equivalent === undefined) {
    counts.killed++;
    console.log(`killed    ${label}\n          by ${killed}`);
  } else if (killed !== undefined) {
    counts.failed++;
    console.log(
      `FAILED    ${label}\n          is explained as "${mutant.equivalent}" and yet killed by ${killed}`,
    );
  } else if (mutant.equivalent !== undefined) {
    counts.explained++;
    console.log(`explained ${label}\n          ${mutant.equivalent}`);
  } else {
    counts.failed++;
    console.log(`SURVIVED  ${label}\n          ${mutant.tests.join(", ")}`);
  }
}
console.log(
  `${counts.killed} killed, ${counts.explained} survive as explained, ${counts.failed} failed`,
);
process.exitCode = counts.failed > 0 ? 1 : 0;
