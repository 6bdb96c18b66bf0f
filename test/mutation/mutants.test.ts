// The list of mutants stays true to the sources; `npm run mutate` is what tries them.

import { existsSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { locate } from "./anchor.js";
import { mutants } from "./mutants.ts";

const root = new URL("../../", import.meta.url);

describe("the list of mutants", () => {
  test("has the text of each exactly once in its function, and something else in its place", () => {
    const problems = mutants.flatMap((mutant) => {
      if (mutant.from === mutant.to) return [`${mutant.within}: ${mutant.breaks}: changes nothing`];
      try {
        locate(mutant);
        return [];
      } catch (error) {
        return [`${mutant.breaks}: ${(error as Error).message}`];
      }
    });
    expect(problems).toEqual([]);
  });

  test("does not depend on line breaks, comments or trailing commas", () => {
    const spread = { within: "transpose", from: "store<T>(\n  c ,load<T>( from),\n);" };
    const dense = { within: "transpose", from: "store<T>(c,load<T>(from));" };
    expect(locate(spread)).toEqual(locate(dense));
    expect(() => locate({ within: "transpose", from: "floor" })).toThrow("0 times in transpose");
    expect(() => locate({ within: "transpose", from: "turned" })).toThrow(/[2-9] times/);
    expect(() => locate({ within: "transposedNowhere", from: "c" })).toThrow("nothing is declared");
  });

  test("names test files that exist", () => {
    const missing = mutants.flatMap(({ tests }) =>
      tests.filter((name) => !existsSync(new URL(name, root))),
    );
    expect([...new Set(missing)]).toEqual([]);
  });

  // What is in abi/ are layouts alone, which both sides of the border take from there.
  test("has a mutant of every file of assembly/ but those of abi/", () => {
    const files = readdirSync(new URL("assembly/", root), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.startsWith("abi"))
      .map((name) => `assembly/${name}`);
    const mutated = new Set(mutants.map((mutant) => locate(mutant).path));
    expect(files.filter((file) => !mutated.has(file))).toEqual([]);
  });
});
