// The map from a table's rows to a network's numbers, as a file's metadata have it.

import { describe, expect, test } from "vitest";
import { FormatError, ShapeError } from "../../src/index.ts";
import { daysOf } from "../../src/io/table_map.ts";
import { decodeScores, encodeRow } from "../../src/predict.ts";
import { searchedIn } from "../support/searched.ts";

const metadataOf = (data: object, more: Record<string, string> = {}) =>
  new Map(Object.entries({ format: "lamella", data: JSON.stringify(data), ...more }));

const titanic = metadataOf({
  ...{ format: "csv", loss: "softmax", classes: ["0", "1"] },
  features: ["sex", "age", "day", "deck", "class"],
  ...{ label: "survived", dropped: ["id"], header: true },
  columns: [
    { name: "sex", kind: "category", values: ["female", "male"] },
    { name: "age", missing: 30, indicator: true },
    { name: "day", kind: "date", offset: 19_000, missing: 19_002 },
    { name: "deck", kind: "category", values: ["A", "B"], indicator: true },
    { name: "class", kind: "category", values: ["1", "2", "3"], missing: "3" },
  ],
});
const day = "2022-01-09"; // 19,001 days after 1970-01-01

test("a message that lists the columns has at most 2,000 characters, whatever their names are", () => {
  const names = Array.from({ length: 300 }, (_, i) => "\u0001".repeat(70) + i);
  const columns = names.map((name) => ({ name }));
  const map = metadataOf({ format: "csv", loss: "mse", features: names, label: "y", columns });
  expect(() => encodeRow(map, [1])).toThrow(/^encodeRow: row must have 300 cells.{0,1900}, got 1$/);
});

describe("a row becomes the numbers that the model takes", () => {
  test.each<[string, Parameters<typeof encodeRow>[1], number[]]>([
    [
      "by names",
      { sex: "male", age: "22", day, deck: "B", class: "2" },
      [0, 1, 22, 0, 1, 0, 1, 0, 0, 1, 0],
    ],
    [
      "in any order, with the label and what was left out",
      { id: 7, survived: 1, class: 2, deck: "B", day, age: 22, sex: "male" },
      [0, 1, 22, 0, 1, 0, 1, 0, 0, 1, 0],
    ],
    ["as a list", ["female", 22.5, day, "A", "1"], [1, 0, 22.5, 0, 1, 1, 0, 0, 1, 0, 0]],
    [
      "with spaces around",
      [" female ", " 22.5 ", ` ${day} `, "A ", "1"],
      [1, 0, 22.5, 0, 1, 1, 0, 0, 1, 0, 0],
    ],
    ["with empty cells", ["male", "", null, undefined, "NA"], [0, 1, 30, 1, 2, 0, 0, 1, 0, 0, 1]],
    [
      "with a text that the training has not seen",
      ["other", 1, day, "Z", 9],
      [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0],
    ],
    [
      "with a time of day",
      ["male", 1, "2022-01-08T12:00:00Z", "A", "1"],
      [0, 1, 1, 0, 0.5, 1, 0, 0, 1, 0, 0],
    ],
  ])("%s", (_, row, expected) => {
    expect([...encodeRow(titanic, row)]).toEqual(expected);
  });

  test("of numbers far from 0 keeps in float32 what tells them apart", () => {
    const start = 1_700_000_000_000;
    const ms = metadataOf({ columns: [{ name: "ms", offset: start, scale: 0.5 }] });
    expect([...encodeRow(ms, [start + 1])]).toEqual([2]);
    expect([...encodeRow(ms, { ms: `${start + 2}` })]).toEqual([4]);
  });

  test("with decimal commas, where the training had them", () => {
    const comma = metadataOf({ columns: [{ name: "x" }], decimal: "," });
    expect([...encodeRow(comma, ["1,5"])]).toEqual([1.5]);
    expect([...encodeRow(comma, [1.5])]).toEqual([1.5]);
  });

  test("of a boolean as the table writes it", () => {
    const flags = metadataOf({
      columns: [{ name: "x", kind: "category", values: ["False", "True"] }],
    });
    expect([...encodeRow(flags, [true])]).toEqual([0, 1]);
  });

  test("by a file from before there were maps, with names and without", () => {
    const named = metadataOf({ format: "csv", loss: "mse", features: ["a", "b"], label: "y" });
    expect([...encodeRow(named, { b: 2, a: "1" })]).toEqual([1, 2]);
    const bare = metadataOf(
      { format: "csv", loss: "mse", label: "3", header: false },
      { architecture: JSON.stringify({ input: [2] }) },
    );
    expect([...encodeRow(bare, [1, 2])]).toEqual([1, 2]);
    expect([...encodeRow(bare, { 2: 2, 1: 1 })]).toEqual([1, 2]);
    expect([...decodeScores(named, [1.5])]).toEqual([1.5]);
  });

  test("and scores become the label's values in float64", () => {
    const time = metadataOf({
      columns: [{ name: "x" }],
      target: { offset: 1_700_000_000_000, scale: 2 },
    });
    const values = decodeScores(time, Float32Array.of(0.25, -1));
    expect(values).toEqual(Float64Array.of(1_700_000_000_000.5, 1_699_999_999_998));
  });
});

describe("a date of ISO 8601", () => {
  test.each<[string, number]>([
    ["1970-01-01", 0],
    ["1969-12-31", -1],
    ["2000-02-29", 11_016],
    ["0001-01-01", -719_162],
    ["1970-01-02T06:00", 1.25],
    ["1970-01-02 06:00:00", 1.25],
    ["1970-01-02T06:00:00+06:00", 1],
    ["1970-01-02T06:30:00-0530", 1.5],
    ["1970-01-01T00:00:43.2Z", 0.0005],
  ])("%s is %d days", (text, days) => {
    expect(daysOf(text)).toBeCloseTo(days, 12);
  });

  test.each([
    "2001-02-29",
    "2001-13-01",
    "2001-00-10",
    "2001-1-1",
    "01.02.2003",
    "2001-01-01T25:00",
    "",
  ])("%s is none", (text) => {
    expect(daysOf(text)).toBeNaN();
  });
});

describe("what does not fit is refused by name", () => {
  const row = { sex: "male", age: 1, day, deck: "A", class: 1 };
  test.each<[string, unknown, new () => Error, string]>([
    ["a column too few", { ...row, age: undefined, day: undefined }, TypeError, 'column "day"'],
    [
      "none of its name",
      (({ age: _, ...rest }) => rest)(row),
      TypeError,
      'row has no column "age", which the model takes',
    ],
    [
      "one inherited",
      Object.create(row),
      TypeError,
      'row has no column "sex", which the model takes',
    ],
    [
      "a column too many",
      { ...row, agee: 1 },
      TypeError,
      'row has a column "agee", which the model does not take',
    ],
    ["no number", { ...row, age: "old" }, TypeError, 'column "age" has "old", expected a number'],
    ["NaN", { ...row, age: Number.NaN }, TypeError, 'column "age" has NaN, expected a number'],
    [
      "a number beyond float32",
      { ...row, age: "1e39" },
      TypeError,
      'column "age" has "1e39", expected a number',
    ],
    [
      "no date",
      { ...row, day: "09.01.2022" },
      TypeError,
      'column "day" has "09.01.2022", expected a date such as 2024-01-31',
    ],
    [
      "nothing, where the training had something always",
      { ...row, sex: "" },
      TypeError,
      'column "sex" has nothing, expected a text',
    ],
    [
      "an object as a cell",
      { ...row, age: [] },
      TypeError,
      'column "age" has [], expected a number',
    ],
    [
      "a list too short",
      ["male"],
      ShapeError,
      'row must have 5 cells, one for each column ("sex", "age", "day", "deck", "class"), got 1',
    ],
    [
      "a symbol as a cell",
      { ...row, age: Symbol("a") },
      TypeError,
      'column "age" has Symbol(a), expected a number',
    ],
    [
      "a function as a text",
      { ...row, sex: () => 1 },
      TypeError,
      'column "sex" has a function, expected a text',
    ],
    [
      "what throws when it is made a text",
      { ...row, sex: { toString: 1 } },
      TypeError,
      'column "sex" has Object, expected a text',
    ],
    ["no row", null, TypeError, "row must be an object or an array of cells, got null"],
  ])("%s", (what, given, kind, message) => {
    // A date that is empty takes the map's; the first row has an age that is empty too.
    if (what === "a column too few")
      return expect(() => encodeRow(titanic, given as [])).not.toThrow();
    expect(() => encodeRow(titanic, given as [])).toThrow(kind);
    expect(() => encodeRow(titanic, given as [])).toThrow(message);
  });

  test.each<[string, unknown]>([
    ["no JSON", "{"],
    ["no object", "[1]"],
    ["columns without names", { columns: [{}] }],
    ["columns of no kind", { columns: [{ name: "a", kind: "image" }] }],
    ["a category without values", { columns: [{ name: "a", kind: "category" }] }],
    ["a scale of 0", { columns: [{ name: "a", scale: 0 }] }],
    ["an offset that is text", { columns: [{ name: "a", offset: "1" }] }],
    ["an input for empty cells without their value", { columns: [{ name: "a", indicator: true }] }],
    ["columns that are none", { columns: [null] }],
    ["a target that is none", { columns: [], target: 3 }],
  ])("metadata with %s", (_, data) => {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    expect(() => encodeRow(new Map([["data", text]]), [])).toThrow(FormatError);
  });

  test("metadata without a map, and what is no metadata", () => {
    expect(() => encodeRow(new Map(), [])).toThrow(
      "encodeRow: the metadata have no data, the map from a table that `lamella train` writes",
    );
    expect(() => decodeScores({} as never, [])).toThrow(
      "decodeScores: metadata must be those of a predictor, predictor.metadata, got Object",
    );
  });
});

test("an empty cell that nothing stands for is no value of its column, whatever its values are", () => {
  const column = { name: "a", kind: "category", values: ["undefined", "null"], indicator: true };
  expect([...encodeRow(metadataOf({ columns: [column] }), [""])]).toEqual([0, 0, 1]);
});

describe("scores", () => {
  const metadata = metadataOf({ columns: [{ name: "a" }], target: { offset: 10, scale: 2 } });

  test.each<[string, ArrayLike<number>]>([
    ["as a predictor gives them", Float32Array.of(1, 2.5)],
    ["in an array", [1, 2.5]],
    [
      "in an array of a class whose length and iterator lie",
      new (class extends Float64Array {
        override get length() {
          return 1e9;
        }
        override [Symbol.iterator](): never {
          throw new Error("asked");
        }
      })([1, 2.5]),
    ],
  ])("%s are brought to the label's unit", (_, scores) => {
    expect([...decodeScores(metadata, scores)]).toEqual([12, 15]);
  });

  test("that are gone, nested or none are a TypeError with what was given", () => {
    const gone = new Float32Array(2);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    const throwing = new Proxy([1], {
      get() {
        throw new Error("read");
      },
    });
    for (const [given, message] of [
      [undefined, "scores must be a typed array of numbers or an array, got undefined"],
      [null, "scores must be a typed array of numbers or an array, got null"],
      [5, "scores must be a typed array of numbers or an array, got number"],
      ["12", "scores must be a typed array of numbers or an array, got string"],
      [{ length: 1e9 }, "scores must be a typed array of numbers or an array, got Object"],
      [new BigInt64Array(1), "scores must be a typed array of numbers or an array"],
      [[[1], [2]], "scores must be numbers in a row, got an array of shape (2, 1)"],
      [["1"], "scores[0] must be a number, got string"],
      [[1, { valueOf: 1 }], "scores[1] must be a number, got Object"],
      [[1, Symbol("a")], "scores[1] must be a number, got symbol"],
      [gone, "scores's buffer is gone"],
    ]) {
      const call = () => decodeScores(metadata, given as number[]);
      expect(call).toThrow(TypeError);
      expect(call).toThrow(`decodeScores: ${message}`);
    }
    expect(() => decodeScores(metadata, throwing)).toThrow("read");
  });

  test("are read once, and no more of them than there are", () => {
    const reads: PropertyKey[] = [];
    const scores = new Proxy([1, 2.5], {
      get(target, key) {
        reads.push(key);
        return Reflect.get(target, key);
      },
    });
    expect([...decodeScores(metadata, scores)]).toEqual([12, 15]);
    expect(reads).toEqual(["length", "0", "1"]);
  });
});

describe("a map of very many words", () => {
  test("is looked up by name: no name of a row is compared with all of them", async () => {
    const names = Array.from({ length: 4000 }, (_, i) => `column ${i}`);
    const [first, rest] = [names.slice(0, 2000), names.slice(2000)];
    const metadata = metadataOf({ columns: first.map((name) => ({ name })), dropped: rest });
    const row = Object.fromEntries(names.map((name, i) => [name, i]));
    let encoded = new Float32Array(0);
    const searched = await searchedIn(() => {
      encoded = encodeRow(metadata, row);
    });
    expect(searched).toBeLessThan(20 * names.length);
    expect(encoded.length).toBe(2000);
    expect(encoded[1999]).toBe(1999);
  });

  test.each<[string, object]>([
    ["names that are a number", { features: 5 }],
    ["names that are an object", { features: {} }],
    ["no names", { features: [] }],
    ["columns that are a text", { columns: "a" }],
    ["what was left out as an object", { columns: [{ name: "a" }], dropped: {} }],
    ["what was left out as null", { columns: [{ name: "a" }], dropped: null }],
    ["10^15 inputs without names", {}],
  ])("with %s is a FormatError, and nothing is made by its claims", (_, data) => {
    const architecture = JSON.stringify({ input: [1e15] });
    const call = () => encodeRow(metadataOf(data, { architecture }), { a: 1 });
    expect(call).toThrow(FormatError);
    expect(call).toThrow("encodeRow: the metadata's data are not what `lamella train` writes");
  });
});
