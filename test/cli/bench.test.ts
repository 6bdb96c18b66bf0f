import { cpus } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { hasRelaxed } from "../support/core.ts";
import { hasTerminals, inTerminal, linesSeen } from "../support/terminal.ts";
import { Folder, program } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

test("bench tells limits and what comes near them, as JSON and for people", async () => {
  const result = JSON.parse(await folder.succeeding("bench", "--seconds", "1", "--json"));
  expect(result.host).toMatchObject({
    ...{ lamella: manifest.version, runtime: `Node ${process.versions.node}` },
    cores: cpus().length,
  });
  type Row = { name: string; group: string; variant?: string; threads?: number };
  for (const row of result.results) {
    expect(row).toMatchObject({ unit: expect.stringMatching(/^(GFLOP\/s|GB\/s|examples\/s)$/) });
    expect(row.median, row.name).toBeGreaterThan(0);
    expect(row.best, row.name).toBeGreaterThanOrEqual(row.median);
    expect(row.rounds).toBeGreaterThanOrEqual(3);
  }
  const count = (group: string) => result.results.filter((row: Row) => row.group === group).length;
  const cores = cpus().length > 1 ? 1 : 0;
  const builds = 1 + (hasRelaxed ? 1 : 0);
  expect(["limits", "product", "training", "prediction"].map(count)).toEqual([
    ...[4 + (hasRelaxed ? 1 : 0), builds + cores, builds + cores, builds],
  ]);
  expect(result.missing).toHaveLength(2 - cores - (hasRelaxed ? 1 : 0));
  const strict = result.results.find((row: Row) => row.name === "512³ product, strict");
  expect(strict.ofLimit).toBeGreaterThan(0);

  const { stdout, code } = await folder.lamella("bench", "--seconds", "1");
  expect(code).toBe(0);
  expect(stdout).toContain(`Lamella ${manifest.version} on Node`);
  for (const { name } of result.results) expect(stdout).toContain(`\n  ${name} `);
});

describe.skipIf(!hasTerminals).each([30, 40, 60, 100])("in a terminal of %i columns", (columns) => {
  let seen: string[];
  beforeAll(async () => {
    const command = `"${process.execPath}" "${program}" bench --seconds 1`;
    seen = linesSeen(await inTerminal(command, columns, folder.path));
  });

  test("each figure ends below its title, with its unit beside it, in all groups", () => {
    const titles = seen.filter((line) => / median +best +unit/.test(line));
    expect(titles).toHaveLength(4);
    const endOf = (line: string, part: RegExp) =>
      part.exec(line)!.index + part.exec(line)![0].length;
    const ends = (line: string) => [/median/, /best/, /unit/].map((part) => endOf(line, part));
    const [median, best, unit] = ends(titles[0]!) as [number, number, number];
    expect(new Set(titles.map((line) => ends(line).join())).size).toBe(1);
    const rows = seen.filter((line) => /(GFLOP|GB|examples)\/s/.test(line));
    expect(rows.length).toBeGreaterThanOrEqual(7);
    for (const row of rows) {
      expect(row.length).toBeLessThanOrEqual(columns);
      expect(row.slice(0, median)).toMatch(/ [\d,.]+$/);
      expect(row.slice(median, best)).toMatch(/^ +[\d,.]+$/);
      expect(row.slice(unit - "unit".length)).toMatch(/^(GFLOP\/s|GB\/s|examples\/s)( |$)/);
    }
  });

  test("no word of what is measured is broken", () => {
    // Notes below the tables are lines of their own, which the terminal itself breaks.
    const text = seen.slice(0, seen.findLastIndex((line) => /\/s( |$)/.test(line)) + 1);
    const words = new Set(text.join("\n").match(/\S+/g));
    const known = `128-bit multiply, then add read, 256 KiB 16 MiB memory.copy, 4 and written
      512³ product, strict train step, one prediction,`;
    const relaxed = hasRelaxed ? " multiply-add, relaxed" : "";
    for (const word of `${known}${relaxed}`.match(/\S+/g) ?? []) expect(words).toContain(word);
  });
});
