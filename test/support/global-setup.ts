// Before all tests, once: build/test.wasm and build/test.relaxed.wasm, the release cores with the exports of entry.ts added.

import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = new URL("../../", import.meta.url);
const targets = [
  { target: "release", output: new URL("build/test.wasm", root) },
  { target: "relaxed", output: new URL("build/test.relaxed.wasm", root) },
];

function modified(url: URL): number {
  return statSync(url).mtimeMs;
}

function isFresh(output: URL): boolean {
  if (!existsSync(output)) return false;
  const assembly = new URL("assembly/", root);
  const sources = [
    new URL("test/support/entry.ts", root),
    new URL("asconfig.json", root),
    new URL("node_modules/assemblyscript/package.json", root),
    ...readdirSync(assembly, { recursive: true }).map((name) => new URL(String(name), assembly)),
  ];
  const made = modified(output);
  return sources.every((source) => modified(source) < made);
}

export default async function compileTestCores(): Promise<void> {
  mkdirSync(new URL("build/", root), { recursive: true });
  for (const { target, output } of targets) if (!isFresh(output)) await compile(target, output);
}

async function compile(target: string, output: URL): Promise<void> {
  const { error, stderr } = await asc.main(
    [
      "assembly/index.ts",
      "test/support/entry.ts",
      ...["--target", target],
      ...["--outFile", "build/test.wasm"],
      ...["--baseDir", fileURLToPath(root)],
    ],
    {
      // asc also writes types and glue code, which would be published from build/. The rename
      // leaves no half-written file to a test run beside this one.
      writeFile(name, contents) {
        if (!name.endsWith(".wasm")) return;
        const temporary = new URL(`build/test.${target}.${process.pid}.tmp`, root);
        writeFileSync(temporary, contents);
        renameSync(temporary, output);
      },
    },
  );
  if (error) throw new Error(`test/support/entry.ts does not compile:\n${stderr}`);
}
