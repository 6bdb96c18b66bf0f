// SECURITY.md and docs/reliability.md name the tests that show what they say: these tests exist.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, root), "utf8");

describe.each(["SECURITY.md", "docs/reliability.md"])("%s", (page) => {
  const text = read(page);
  /** `test/file.test.ts` "name of a test" */
  const named = [...text.matchAll(/`(test\/[^`]+\.ts)` "([^"|]+)"/g)].map(([, file, name]) => [
    file as string,
    name as string,
  ]);

  test("names tests that exist, by words that stand in them", () => {
    expect(named.length).toBeGreaterThan(20);
    const missing = named.filter(
      ([file, name]) => !existsSync(new URL(file!, root)) || !read(file!).includes(name!),
    );
    expect(missing).toEqual([]);
  });

  test("shows a test, a command or a reason in every row of its tables", () => {
    const rows = text.split("\n").filter((line) => /^\| (?!---)/.test(line));
    const bare = rows.filter(
      (row) => !/shown by \|$/.test(row) && !/`(test|scripts)\/|`npm run/.test(row),
    );
    expect(bare).toEqual([]);
  });

  test("has links that lead somewhere", () => {
    const base = new URL(page, root);
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, link]) => link as string);
    expect(links.filter((link) => !existsSync(new URL(link, base)))).toEqual([]);
  });
});
