// What the tools that look for mistakes in packages say of the tarball.

import { readFileSync } from "node:fs";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, expect, test } from "vitest";
// @ts-expect-error: a script without types
import { importers as published } from "../../scripts/build/published.js";
import { Project } from "./installed.ts";

const importers: { subpath: string }[] = published;

const project = new Project();
let tarball: Uint8Array<ArrayBuffer>;
beforeAll(async () => {
  await project.install();
  tarball = new Uint8Array(readFileSync(project.tarball));
}, 120_000);
afterAll(() => project.remove());

test("publint has nothing to say", async () => {
  const { messages, pkg } = await publint({
    pack: { tarball: tarball.buffer },
    level: "suggestion",
    strict: true,
  });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test("are the types wrong? Not under any kind of resolution, for any entry", async () => {
  // A .wasm file is none that a module kind could be told of.
  const cores = ["relaxed", "shared", "relaxed-shared"].map((variant) => `./core.${variant}.wasm`);
  const excludeEntrypoints = ["./core.wasm", ...cores, "./predict.wasm"];
  const analysis = await checkPackage(createPackageFromTarballData(tarball), {
    excludeEntrypoints,
  });
  if (!analysis.types) throw new Error("no types were found");
  expect(analysis.problems).toEqual([]);
  const variants = ["./wasm/relaxed", "./wasm/shared", "./wasm/relaxed-shared"];
  const entries = [".", "./predict", ...importers.map(({ subpath }) => subpath), ...variants];
  expect(Object.keys(analysis.entrypoints)).toEqual([...entries, "./package.json"]);
  for (const name of entries) {
    const { resolutions } = analysis.entrypoints[name]!;
    for (const [kind, { resolution }] of Object.entries(resolutions)) {
      expect(resolution?.isTypeScript, `${name} by ${kind}`).toBe(true);
    }
  }
});
