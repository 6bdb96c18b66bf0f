// What the build and the examples say while they make files, as whoever waits for them sees it.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "lamella-task-")));
afterAll(() => rmSync(folder, { recursive: true }));

const moduleOf = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);

/**
 * A step that says by which stream it is told when it works, and that blocks its thread as
 * typedoc's does.
 */
const task = (stream: string) => `{
  name: "a.wasm",
  inputs: ["source.ts"],
  outputs: ["build/a.wasm"],
  run() {
    process.${stream}.write("at work\\n");
    writeFileSync("build/a.wasm", "");
  },
}`;

const programs = {
  "build.mjs": `
    import { writeFileSync } from "node:fs";
    import { runStages } from ${moduleOf("scripts/build/task.js")};
    await runStages([[${task("stderr")}]]);
  `,
  "example.mjs": `
    import { writeFileSync } from "node:fs";
    import { makeChanged } from ${moduleOf("examples/support/make.js")};
    await makeChanged("build", [${task("stdout")}]);
  `,
};

beforeAll(() => {
  mkdirSync(join(folder, "build"));
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, name), text);
});

/** The lines that a program prints, with its times as "0 s". */
function linesOf(name: string): string[] {
  const { stdout, stderr, status } = spawnSync(process.execPath, [name], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  const lines = `${stdout}${stderr}`.split("\n").filter((line) => line);
  return lines.map((line) => line.replace(/[\d.]+ s$/, "0 s"));
}

test("a step of the build is told before its work begins, and a build with nothing to do is one line", () => {
  writeFileSync(join(folder, "source.ts"), "1");
  expect(linesOf("build.mjs")).toEqual([
    ...["build: a.wasm …", "at work", "build: a.wasm, 0 s"],
    "build: done in 0 s",
  ]);
  expect(linesOf("build.mjs")).toEqual(["build: nothing has changed"]);
});

test("what an example makes is told before its work begins, and no word is said when nothing changed", () => {
  writeFileSync(join(folder, "source.ts"), "2");
  expect(linesOf("example.mjs")).toEqual(["making a.wasm …", "at work", "made a.wasm, 0 s"]);
  expect(linesOf("example.mjs")).toEqual([]);
});
