// What every kind of layer has beside its record, each held to the records: a kind that misses one
// of these is found here by its name.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as lamella from "../../src/index.ts";
import { named } from "../../src/nn/engine/kinds.ts";
import { records, trainings } from "../../src/nn/layers/all.ts";
import { operations } from "../fuzz/operations.ts";
import { activations } from "../support/activations.ts";
import * as images from "../support/images.ts";
import * as reference from "../support/reference.ts";
import {
  computing,
  fileOf,
  filesOf,
  inputOf,
  kinds,
  layers,
  unary,
  unmeasured,
  windowed,
} from "./every.ts";
import { graphs } from "./graphs.ts";
import { nets } from "./image_networks.ts";
import { networks } from "./networks.ts";

const root = new URL("../../", import.meta.url);
const read = (file: string) => readFileSync(new URL(file, root), "utf8");
const api = lamella as unknown as Record<string, unknown>;

/** The table of layers in the docs: the page or undefined, and the text of the row, by kind. */
const rows = read("docs/layers/README.md")
  .split("\n| loss |")[0]!
  .split("\n")
  .filter((line) => line.startsWith("|") && !/^\| (layer|---) /.test(line))
  .map((text) => {
    const [, title, , model] = text.split("|").map((cell) => cell.trim());
    const [, name = title, page] = /^\[(.*)\]\((.*)\)/.exec(title!) ?? [];
    return { name: name!, page, text, kind: /^`(\w+)\(/.exec(model!)?.[1] };
  });

test("every file of a layer is in the list of all, and none beside them", () => {
  const files = readdirSync(new URL("src/nn/layers", root)).filter((file) => file !== "all.ts");
  expect(files.sort()).toEqual(kinds.map((kind) => `${fileOf(kind)}.ts`).sort());
  expect(Object.keys(trainings).sort()).toEqual(kinds);
  expect(Object.keys(named).sort()).toEqual(kinds);
});

test("the table in the docs has a row for each kind, and none beside them", () => {
  expect(rows.map(({ kind }) => kind).sort()).toEqual(kinds);
});

describe.each(kinds)("%s", (kind) => {
  test("has its record, and a function that describes it, in its own file", async () => {
    const file = `../../src/nn/layers/${fileOf(kind)}.ts`;
    const own = (await import(/* @vite-ignore */ file)) as Record<string, unknown>;
    expect(own[`${kind}Record`]).toBe(records[kind as keyof typeof records]);
    expect(own[`${kind}Training`]).toBe(trainings[kind as keyof typeof records]);
    expect(own[kind]).toBe(api[kind]);
    expect(layers[kind]!().kind).toBe(kind);
  });

  test("says of every setting what it may be, and refuses what it may not", () => {
    const { settings = {}, argument } = named[kind]!;
    if (argument !== undefined) expect(Object.keys(settings)).toContain(argument);
    const runtime = lamella.createRuntimeSync();
    for (const [name, [allowed]] of Object.entries(settings)) {
      const expected = typeof allowed === "function" ? "" : `be ${allowed.expected}, got "no"`;
      const spec = { ...layers[kind]!(), [name]: "no" } as never;
      const make = () => new lamella.Sequential(runtime, { input: inputOf(kind), layers: [spec] });
      expect(make).toThrow(`Sequential: layer 0 (${kind}): ${name} must ${expected}`);
    }
    runtime.dispose();
  });

  test("is in a network that is compiled", () => {
    const runtime = lamella.createRuntimeSync();
    const all = [
      ...Object.values(networks).flatMap(({ layers }) => layers),
      ...Object.values(nets).flatMap(({ layers }) => layers()),
      ...Object.values(graphs).flatMap((make) => make(runtime).layers),
    ];
    expect(all.map((layer) => layer.kind)).toContain(kind);
    runtime.dispose();
  });
});

describe.each(computing)("%s, by hand", (kind) => {
  const row = rows.find((row) => row.kind === kind)!;
  const calls = [`${kind}Forward`, `${kind}Backward`];
  const files = filesOf(kind);

  test("has a kernel, its calls, and tests of them", () => {
    const exists = (file: string) => existsSync(new URL(file, root));
    expect(exists(`assembly/layers/${files.kernel}.ts`)).toBe(true);
    expect(unary.includes(kind) || exists(`src/layers/${files.calls}.ts`)).toBe(true);
    const isTested = exists(`test/layers/${files.tests}.test.ts`);
    expect(isTested || kind in activations).toBe(true);
    for (const call of calls) expect(api[call], call).toBeTypeOf("function");
  });

  test("has a twin in plain loops, and rows of the fuzz, which the memory's tests go through too", () => {
    const twins = [...Object.keys(reference), ...Object.keys(images)];
    const hasTwin = twins.some((name) => new RegExp(`^${files.twin}[A-Z]`).test(name));
    expect(hasTwin || kind in activations).toBe(true);
    const names = operations.map(({ name }) => name);
    for (const call of calls) {
      // A convolution of sequences is one of images, and has their rows.
      const fuzzed = call.replace("conv1d", "conv2d");
      expect(
        names.some((name) => name.split(/\W/)[0] === fuzzed),
        call,
      ).toBe(true);
    }
  });

  test("has a page that begins with its calls, and the same ones in the table", () => {
    expect(row.page).toBe(`${files.page}.md`);
    const page = read(`docs/layers/${row.page}`);
    const [title] = page.split("\n");
    for (const call of calls) {
      expect(windowed.includes(kind) ? page : title).toContain(`\`${call}\``);
      expect(row.text).toContain(`\`${call}\``);
    }
  });

  test.skipIf(unmeasured.includes(kind))("is measured, and its errors are in the table", () => {
    const isMeasured = new RegExp(`\\b${kind}Forward\\b`).test(read("test/numerics/measures.ts"));
    expect(isMeasured || kind in activations).toBe(true);
    const measured = read("docs/numerics.md")
      .split("\n")
      .some((line) => [row.name, kind].some((name) => line.match(`^\\| ${name}[ :,]`)));
    expect(measured).toBe(true);
  });

  test.skipIf(files.shared === null)("is among the kernels that threads share", () => {
    const text = read("test/threads/kernels.test.ts");
    const shared = files.shared ?? fileOf(files.twin);
    const isThere = new RegExp(`["\`]${shared}(_forward)?["\`, ]`).test(text);
    expect(isThere || kind in activations).toBe(true);
  });
});
