// The list of mutants stays true to the sources; `npm run mutate` is what tries them.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { mutants } from "./mutants.ts";

const root = new URL("../../", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, root), "utf8");

describe("the list of mutants", () => {
  test("has the text of each exactly once in its file, and something else in its place", () => {
    const problems = mutants.flatMap(({ file, breaks, from, to }) => {
      const count = read(file).split(from).length - 1;
      if (count !== 1) return [`${file}: ${breaks}: its text occurs ${count} times`];
      return from === to ? [`${file}: ${breaks}: changes nothing`] : [];
    });
    expect(problems).toEqual([]);
  });

  test("names test files that exist", () => {
    const missing = mutants.flatMap(({ tests }) =>
      tests.filter((name) => !existsSync(new URL(name, root))),
    );
    expect([...new Set(missing)]).toEqual([]);
  });

  test("has a mutant of every file of assembly/", () => {
    const files = readdirSync(new URL("assembly/", root), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `assembly/${name}`);
    const mutated = new Set(mutants.map(({ file }) => file));
    expect(files.filter((file) => !mutated.has(file))).toEqual([]);
  });
});
