// Where the code comes from: what is installed with the package, what it was built with, and under
// which licences.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { hasRelaxed } from "../support/core.ts";

const root = new URL("../../", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, root), "utf8");
const json = (name: string) => JSON.parse(read(name));

interface Package {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly link?: boolean;
}
const kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

/** Every folder that has dependencies of its own. */
const folders = [
  ...["", "bench/", "docs/", "test/hosts/", "test/mutation/"],
  ...["examples/playground/", "examples/worker/tools/"],
];

/**
 * What a licence must not ask more than: a package under another is a decision, not an accident.
 * LGPL stands for two tools that are run and not passed on, rollup-plugin-dts and the pictures of
 * Next.
 */
const known =
  /^(0BSD|Apache-2\.0|BSD-[23]-Clause|BlueOak-1\.0\.0|CC0-1\.0|CC-BY-4\.0|ISC|LGPL-3\.0-(only|or-later)|MIT(-0)?|MPL-2\.0|Python-2\.0|Unlicense|Zlib)( https?:\S+)?$/;

describe.each(folders)("the lockfile of /%s", (folder) => {
  const lock: { lockfileVersion: number; packages: Record<string, Package> } = json(
    `${folder}package-lock.json`,
  );
  // The playground has this package itself as "file:../..".
  const packages = Object.entries(lock.packages).filter(
    ([path, { link }]) =>
      path.startsWith("node_modules/") && !(link && path === "node_modules/lamella"),
  );

  test("agrees with its package.json", () => {
    const manifest = json(`${folder}package.json`);
    const locked = lock.packages[""] as unknown as Record<string, unknown>;
    for (const kind of kinds) expect(locked[kind] ?? {}, kind).toEqual(manifest[kind] ?? {});
  });

  test("has the SHA-512 of every package", () => {
    expect(packages.length).toBeGreaterThan(10);
    const without = packages.filter(
      ([, { integrity }]) => !/^sha512-.{86}==$/.test(integrity ?? ""),
    );
    expect(without.map(([path]) => path)).toEqual([]);
  });

  test("names no host, no folder and no repository to fetch one from", () => {
    const odd = packages.filter(
      ([, { version, resolved, link }]) => resolved || link || !/^\d+\.\d+\.\d+/.test(version),
    );
    expect(odd.map(([path]) => path)).toEqual([]);
  });

  test("has no package without a licence, and none whose licence asks for much", () => {
    const odd = packages.filter(
      ([, { license }]) =>
        !(license ?? "none")
          // jsfive's own file says that it is in the public domain, from a library under
          // BSD-3-Clause.
          .replace("SEE LICENSE IN LICENSE.txt", "BSD-3-Clause")
          .replace(/[()]/g, "")
          .split(/ (?:OR|AND) /)
          .every((name) => known.test(name)),
    );
    expect(odd.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
  });
});

test("docs/licences.md is what the lockfiles say", async () => {
  await promisify(execFile)(process.execPath, ["scripts/licences.js", "--check"], {
    cwd: fileURLToPath(root),
  });
});

describe("foreign code in what is published", () => {
  const text = read("build/THIRD_PARTY_LICENSES.txt");

  test("comes with its licence, and with the notice that belongs to it", () => {
    const { version } = json("node_modules/assemblyscript/package.json");
    expect(text).toContain(`assemblyscript ${version}, Apache-2.0`);
    for (const name of ["LICENSE", "NOTICE"]) {
      expect(text).toContain(read(`node_modules/assemblyscript/${name}`).trim());
    }
    expect(json("package.json").files).toContain("build/THIRD_PARTY_LICENSES.txt");
  });

  test("is none in the library and its core beside the compiler's own; what there is is of the command and of the entries that read other formats", () => {
    const sources = (folder: string) =>
      readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => `${folder}${name}`);
    const imported = (file: string) =>
      [...read(file).matchAll(/^(?:import|export) [^"]*from "([^".][^"]*)"/gm)].map(
        ([, name]) => name,
      );
    const library = sources("src/").filter(
      (file) => !/^src\/(cli|io\/(formats|importers))\//.test(file),
    );
    expect([...new Set(library.flatMap(imported))]).toEqual([]);
    expect(sources("assembly/").flatMap(imported)).toEqual([]);
  });
});

const cores = readdirSync(new URL("build/", root)).filter((name) =>
  /^(core|predict).*\.wasm$/.test(name),
);
describe.each(cores)("%s", (name) => {
  test.runIf(hasRelaxed || !name.includes("relaxed"))("imports the memory and nothing else", () => {
    const module = new WebAssembly.Module(readFileSync(new URL(`build/${name}`, root)));
    expect(WebAssembly.Module.imports(module)).toEqual([
      { module: "env", name: "memory", kind: "memory" },
    ]);
  });
});
