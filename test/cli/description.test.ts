// The map in a model's file may be anybody's: whatever stands in a field of it is refused as that,
// or taken as what it says.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { readQuestions } from "../../src/cli/data.ts";
import { type Description, descriptionOf, tableIn } from "../../src/cli/description.ts";
import { Fault } from "../../src/cli/fault.ts";
import { FormatError, writeSafetensors } from "../../src/index.ts";
import { decodeScores, encodeRow } from "../../src/predict.ts";
import { Folder } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const description: Description = {
  ...{ format: "csv", loss: "softmax", classes: ["a", "b"], features: ["x", "d", "c"] },
  ...{ label: "y", dropped: ["id"], header: true, decimal: ".", target: { offset: 1, scale: 2 } },
  columns: [
    { name: "x", offset: 1, scale: 2, missing: 3, indicator: true },
    { name: "d", kind: "date", offset: 1, missing: 2 },
    { name: "c", kind: "category", values: ["p", "q"], indicator: true, missing: "p" },
  ],
  order: ["x", "d", "c", "y", "id"],
};
const INPUTS = 6;
const tables = ["x,d,c,y,id\n1,2024-01-01,p,a,1\n,,,b,2\n", "1,2024-01-01,p\n2,2024-01-01,q\n"].map(
  (text, i) => {
    const path = join(folder.path, `${i}.csv`);
    writeFileSync(path, text);
    return path;
  },
);
const hostile: unknown[] = [
  ...[undefined, null, true, false, 0, -1, 0.5, 1e308, 5e-324, "", "x", "__proto__", "\ud800"],
  ...["a".repeat(1e5), {}, [], [1], [[]], [null], ["a"], ["a", "a"], ["__proto__"]],
  ...[{ toString: 1 }, { length: 1e9 }, { name: "x" }, [{ name: "x" }]],
];

const paths: string[][] = [];
const visit = (value: object, path: string[]) => {
  for (const [key, part] of Object.entries(value)) {
    paths.push([...path, key]);
    if (part !== null && typeof part === "object") visit(part, [...path, key]);
  }
};
visit(description, []);

describe("a field that is anything else", () => {
  test.each(paths.map((path) => [path.join("."), path] as const))("%s", async (_, path) => {
    vi.spyOn(process.stderr, "write").mockReturnValue(true); // its notes
    for (const value of hostile) {
      const data = structuredClone(description) as unknown as Record<string, unknown>;
      let at = data;
      for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
      at[path.at(-1) as string] = value;
      const metadata = new Map([
        ["format", "lamella"],
        ["data", JSON.stringify(data)],
        ["architecture", `{"input":[${INPUTS}],"layers":[]}`],
      ]);
      for (const file of tables) {
        try {
          const found = descriptionOf("m", { metadata, tensors: new Map() });
          const { x } = await readQuestions(file, {}, [INPUTS], tableIn(found, INPUTS, 1000));
          expect([...x].every((input) => Number.isFinite(Math.fround(input)))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
        }
      }
      for (const row of [{ x: "1", d: "2024-01-01", c: "p", y: "a" }, ["1", "", null]]) {
        try {
          expect([...encodeRow(metadata, row)].every(Number.isFinite)).toBe(true);
        } catch (error) {
          expect((error as Error).message).toMatch(/^encodeRow: /);
          expect((error as Error).message.length).toBeLessThan(2000);
        }
      }
      try {
        decodeScores(metadata, [1, 2]);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
    vi.restoreAllMocks();
  });
});

test("a file of a hundred bytes that claims a table of many inputs without names is refused at once", async () => {
  for (const input of [[2e8], [1e15]]) {
    const metadata = {
      ...{ format: "lamella", kind: "model", version: "1", weight_layout: "in,out" },
      architecture: JSON.stringify({ input, dtype: "float32", layers: [{ kind: "relu" }] }),
      data: '{"format":"csv","loss":"mse"}',
    };
    folder.write("claims.safetensors", writeSafetensors([], metadata));
    expect(await folder.lamella("predict", "claims.safetensors", "1.csv")).toEqual({
      stdout: "",
      stderr:
        "lamella predict: the model: has more than 1000000 inputs, of which a row has a column each; --max-columns raises this limit\n",
      code: 1,
    });
  }
});

test("an architecture of very many axes and layers is inspected in lines, not in gigabytes", async () => {
  const architecture = JSON.stringify({
    input: Array(200_000).fill(1),
    layers: Array(50_000).fill({ kind: "relu" }),
  });
  folder.write("axes.safetensors", writeSafetensors([], { format: "lamella", architecture }));
  expect(await folder.succeeding("inspect", "axes.safetensors")).toContain("0 tensors");
  const { layers } = JSON.parse(await folder.succeeding("inspect", "axes.safetensors", "--json"));
  expect(layers).toBeUndefined();
});
