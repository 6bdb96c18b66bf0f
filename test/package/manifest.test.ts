// One list of entries: package.json and the folders of older resolvers say what it says.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
// @ts-expect-error: a script without types
import { folderManifests, manifestFields } from "../../scripts/build/published.js";

const root = new URL("../../", import.meta.url);
const read = (path: string) => JSON.parse(readFileSync(new URL(path, root), "utf8"));

/** An object as text, as the order of conditions counts. */
const text = (value: unknown) => JSON.stringify(value, null, 2);

describe("after a change of the list: node scripts/manifest.js", () => {
  test.each(Object.entries(manifestFields()))("package.json's %s is the list's", (name, value) => {
    expect(text(read("package.json")[name])).toBe(text(value));
  });

  test("the folders' files are the list's, and there are no others", () => {
    const manifests: [path: string, manifest: object][] = folderManifests();
    for (const [path, manifest] of manifests) expect(text(read(path)), path).toBe(text(manifest));
    const folders = new Set(manifests.map(([path]) => path.split("/")[0] as string));
    const present = [...folders].flatMap((folder) =>
      readdirSync(new URL(folder, root), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => relative(fileURLToPath(root), join(parentPath, name))),
    );
    expect(present.sort()).toEqual(manifests.map(([path]) => path).sort());
  });
});

describe("the scripts", () => {
  const { scripts } = read("package.json") as { scripts: Record<string, string> };

  test("build before the package is packed, and leave nothing of it behind", () => {
    expect(scripts.prepack).toMatch(/^node scripts\/build\.js && node scripts\/readme\.js$/);
    expect(scripts.postpack).toBe("node scripts/readme.js --restore");
  });

  test("are each in the table of CONTRIBUTING.md, but for those that npm calls", () => {
    const page = readFileSync(new URL("CONTRIBUTING.md", root), "utf8");
    const missing = Object.keys(scripts).filter((name) => {
      const command = name === "test" ? "npm test" : `npm run ${name}`;
      return !/^(pre|post)pack$/.test(name) && !new RegExp(`${command}(?![\\w:-])`).test(page);
    });
    expect(missing).toEqual([]);
  });
});
