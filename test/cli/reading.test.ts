// How a table is read that people really have: encodings, delimiters, first lines.

import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import {
  affine,
  createRuntimeSync,
  readSafetensors,
  Sequential,
  saveModel,
} from "../../src/index.ts";
import { Folder, iris } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

/** Trains on a table as briefly as can be: what the file says of it, and what was told. */
async function trained(contents: string | Uint8Array, ...more: string[]) {
  const name = `t${trained.count++}`;
  folder.write(`${name}.csv`, contents);
  const args = ["train", `${name}.csv`, "--epochs", "1", "--layers", "none", "-o", name, "--json"];
  const { stdout, stderr, code } = await folder.lamella(...args, ...more);
  if (code !== 0) return { stderr, code };
  const done = JSON.parse(stdout.trim().split("\n").at(-1)!);
  const data = JSON.parse(readSafetensors(folder.read(name)).metadata.get("data")!);
  return { data, stderr, code, count: done.examples + done.validationExamples };
}
trained.count = 0;

const cities = "größe,stadt\n7,Köln\n2,Münster\n3,Köln\n4,Münster\n5,Koln\n6,Koln\n";
const names = { classes: ["Koln", "Köln", "Münster"], features: ["größe"], label: "stadt" };
const utf16 = (text: string, isBig: boolean) => {
  const bytes = Buffer.from(text, "utf16le");
  return isBig ? bytes.swap16() : bytes;
};

describe("an encoding", () => {
  test.concurrent.each<[string, Uint8Array, RegExp]>([
    ["UTF-8", Buffer.from(cities), /^$/],
    ["UTF-8 with a byte order mark", Buffer.from(`\ufeff${cities}`), /^$/],
    [
      "Latin-1",
      Buffer.from(cities, "latin1"),
      /^t\d+.csv: is no UTF-8 \(line 1 has the byte 0xf6\) and is read as Windows-1252 \(--encoding says otherwise\)\n$/,
    ],
    ["UTF-16LE with a byte order mark", utf16(`\ufeff${cities}`, false), /^$/],
    ["UTF-16BE with a byte order mark", utf16(`\ufeff${cities}`, true), /^$/],
    ["UTF-16LE without one", utf16(cities, false), /looks like UTF-16 and is read as utf-16le/],
    ["UTF-16BE without one", utf16(cities, true), /looks like UTF-16 and is read as utf-16be/],
  ])("%s gives the same classes and names", async (_, bytes, told) => {
    const { data, stderr, count } = await trained(bytes);
    expect(data).toMatchObject(names);
    expect(stderr).toMatch(told);
    expect(count).toBe(6);
  });

  test("of Windows has the euro where Latin-1 has control characters", async () => {
    const bytes = Uint8Array.from(Buffer.from("x,in\n1,\x80\n2,$\n3,\x80\n4,$\n", "latin1"));
    expect((await trained(bytes)).data.classes).toEqual(["$", "€"]);
    expect((await trained(bytes, "--encoding", "latin1")).data.classes).toEqual(["$", "€"]);
  });

  test("is what --encoding says, and refused where the bytes are not that", async () => {
    const cyrillic = Uint8Array.of(...Buffer.from("x,y\n1,"), 0xd0, ...Buffer.from("\n2,b\n"));
    expect((await trained(cyrillic, "--encoding", "koi8-r")).data.classes).toEqual(["b", "п"]);
    const refused = await trained(Buffer.from(cities, "latin1"), "--encoding", "utf-8");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/its bytes are not utf-8 \(line 1 has the byte 0xf6\)/);
    expect(await trained(cities, "--encoding", "klingon")).toEqual({
      stderr:
        "lamella train: --encoding klingon: expected an encoding, such as utf-8, windows-1252 or utf-16le\n",
      code: 2,
    });
  });

  test("of the rows to predict may be another", async () => {
    await trained(cities);
    const model = `t${trained.count - 1}`;
    folder.write("latin1.csv", Buffer.from(cities, "latin1"));
    folder.write("utf16.csv", utf16(`\ufeff${cities}`, false));
    const [a, b, c] = await Promise.all([
      folder.given(cities, "predict", model, "-"),
      folder.lamella("predict", model, "latin1.csv"),
      folder.lamella("predict", model, "utf16.csv"),
    ]);
    expect([b.stdout, c.stdout]).toEqual([a.stdout, a.stdout]);
    expect(b.stderr).toContain(a.stderr);
  });
});

describe("a delimiter", () => {
  const rows = [
    ["1.5", "2.5", "a"],
    ["2.5", "3.5", "b"],
    ["3", "4", "a"],
    ["4", "5", "b"],
  ];
  const table = (delimiter: string, head: string[], end = "", newline = "\n") =>
    [head, ...rows].map((cells) => cells.join(delimiter) + end).join(newline) + newline;
  const head = ["width", "height", "grade"];
  const found = { features: ["width", "height"], label: "grade", classes: ["a", "b"] };

  test.concurrent.each<[string, string, object?]>([
    ["comma", table(",", head)],
    ["semicolon", table(";", head)],
    ["tab", table("\t", head)],
    ["bar", table("|", head)],
    [
      "semicolon beside quoted commas in the first line",
      table(";", ['"width, cm"', '"height, cm, not inches"', "grade"]),
      { ...found, features: ["width, cm", "height, cm, not inches"] },
    ],
    ["comma beside semicolons in the first line alone", table(",", ["width", "height", "grade"])],
    ["named by sep=", `sep=;\n${table(";", head)}`],
    ["named by sep= and \\r\\n", `\ufeffsep=;\r\n${table(";", head, "", "\r\n")}`],
    ["named by sep= that nobody would guess", `sep=^\n${table("^", head)}`],
    ["comma at the end of each line", table(",", head, ",")],
    ["semicolons at the end of each line", table(";", head, ";;", "\r\n")],
    ["comma at the end of the data alone", table(",", head, ",").replace("grade,", "grade")],
    ["comma at the end of the names alone", table(",", [...head, ""])],
    ["comma, and empty rows below", `${table(",", head)},,\n,,\n`],
    [
      "comma in a quoted cell with a line break",
      table(",", ['"wi;;;;;;;\ndth"', "height", "grade"]),
      { ...found, features: ["wi;;;;;;;\ndth", "height"] },
    ],
  ])("%s", async (_, contents, expected = found) => {
    const { data, count, stderr } = await trained(contents);
    expect({ stderr, data }).toMatchObject({ stderr: "", data: expected });
    expect(count).toBe(4);
  });

  test("is no comma where commas stand within numbers alone", async () => {
    const { stderr } = await trained("1,5;2,25;a\n2,5;3,25;b\n");
    expect(stderr).toContain('"1,5"');
  });

  test("and a line count that includes the line of sep=", async () => {
    const { stderr } = await trained("sep=;\na;b\n1;x\n2;y\n3;z;4\n");
    expect(stderr).toMatch(/line 5: expected 2 cells, got 3/);
  });
});

describe("a first line", () => {
  const body = readFileSync(iris, "utf8").split("\n").slice(1).join("\n");

  test("of data is data: iris without its names has 150 examples", async () => {
    const { data, stderr, count } = await trained(body);
    expect(count).toBe(150);
    expect(data).toMatchObject({ classes: ["setosa", "versicolor", "virginica"], header: false });
    expect(stderr).toMatch(
      /^t\d+.csv: the first line is read as data, not as names \(--header says otherwise\)\n$/,
    );
  });

  test.concurrent.each<[string, string, string, number, boolean]>([
    ["numbers with a fraction", "1.5,0\n2.5,1\n3.5,0\n", "2", 3, false],
    ["numbers, one of them twice", "1,1,0\n2,2,1\n3,3,0\n", "3", 3, false],
    ["the class first", "b,1,2\na,3,4\nb,1,2\na,3,4\n", "1", 4, false],
    ["names above numbers and classes", "x,y,kind\n1,2,a\n3,4,b\n1,2,a\n3,4,b\n", "kind", 4, true],
    [
      "numbers that are names, above a class",
      "1,2,3,kind\n1,2,4,a\n3,4,5,b\n1,2,3,a\n1,2,3,b\n",
      ...(["kind", 4, true] as const),
    ],
    ["names of pixels", "label,0,1,2\n1,0,0,255\n0,9,0,255\n1,0,0,7\n", "label", 3, true],
    [
      "a class that comes once, beside fractions",
      "1.5,2.5,c\n1,2,a\n3,4,b\n1,2,a\n3,4,b\n",
      ...(["3", 5, false] as const),
    ],
  ])("%s", async (_, contents, label, rows, header) => {
    const { data, count } = await trained(contents, "--validation", "0", "--label", label);
    expect({ count, header: data.header }).toEqual({ count: rows, header });
  });

  test.concurrent.each<[string, string[]]>([
    ["dates, the day first", ["31/12/2023", "1/2/2024", "5/6/2024", "07/08/2024"]],
    ["dates with dots and two digits", ["31.12.23", "1.2.24", "5.6.24", "7.8.24"]],
    ["dates with times", ["2024-01-31T10:00", "2024-02-01 11:30Z", "2024-02-02", "2024-02-03"]],
    ["dates with names of months", ["12 Jan 2024", "3-Feb-24", "March 4, 2024", "5 Apr 2024"]],
    ["times", ["10:30", "9:05 pm", "23:59:59.5", "00:00"]],
    ["shares", ["12%", "3.5 %", "-7%", "0,5 %"]],
    ["money, its sign first", ["$5", "$1,200.50", "-$3", "$ 7"]],
    ["money, its sign last", ["5 €", "1.200,50 €", "3€", "7 EUR"]],
    ["numbers in groups", ["1 200", "3,400", "5'600", "7,800"]],
    ["decimal commas", ['"1,5"', '"2,25"', '"-3,5"', '"4,0"']],
    ["lengths", ["5kg", "1.5 kg", "3 kg", "12kg"]],
  ])("of words above %s names them, and without the words it is data", async (_, cells) => {
    const [a, b, c, d] = cells.map((cell) =>
      cell.includes(",") && !cell.startsWith('"') ? `"${cell}"` : cell,
    );
    const body = `1,${a},u\n4,${b},v\n9,${c},u\n6,${d},v\n`;
    const options = ["--validation", "0", "--label", "kind"];
    const named = await trained(`id,when,kind\n${body}`, ...options, "--drop", "when");
    expect(named.stderr).not.toContain("is read as data");
    expect(named).toMatchObject({ code: 0, count: 4, data: { header: true, dropped: ["when"] } });
    const bare = await trained(body, "--validation", "0", "--drop", "2");
    expect(bare).toMatchObject({ code: 0, count: 4, data: { header: false } });
  });

  test("of words above dates alone is refused by the column's name, not by a number", async () => {
    const { stderr, code } = await trained("day,month\n31/12/2023,a\n1/2/2024,b\n5/6/2024,a\n");
    expect(code).toBe(1);
    expect(stderr).toMatch(/line 2: column "day" has "31\/12\/2023", expected a date as ISO 8601/);
  });

  test.each([
    ["numbers alone", "1,2\n3,4\n5,6\n"],
    [
      "what looks like data in some columns and like names in others",
      "7,9,kind\n1,2,a\n3,4,b\n1,2,a\n3,4,b\n",
    ],
  ])("of %s is asked about", async (what, contents) => {
    const { stderr, code } = await trained(contents);
    expect(code).toBe(2);
    expect(stderr).toContain(
      `the first line holds ${what}: --no-header if it is data, --header if these are names`,
    );
  });
});

describe("a file of another kind", () => {
  const magic = (...parts: (string | number[])[]) =>
    Buffer.concat([
      ...parts.map((part) =>
        typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part),
      ),
      Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 89) % 256)),
    ]);
  test.concurrent.each<[string, string | Uint8Array, RegExp]>([
    [
      "HTML",
      "<!DOCTYPE html>\n<html><body>404, a, b</body></html>\n",
      /an HTML page, not CSV: look at/,
    ],
    ["HTML after a mark and space", "\ufeff \n<HTML lang='en'>\n<p>x,y</p></HTML>", /an HTML page/],
    ["HTML in UTF-16", utf16("\ufeff<html><body>a,b</body></html>", false), /an HTML page/],
    ["XML", '<?xml version="1.0"?>\n<rows><row a="1"/></rows>', /XML, not CSV/],
    ["XML without its first line", '<rows>\n<row a="1">x</row></rows>', /XML, not CSV/],
    ["JSON rows", '[\n  {"a": 1, "b": 2},\n  {"a": 3, "b": 4}\n]\n', /JSON, not CSV/],
    ["JSON lines", '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n', /JSON, not CSV/],
    ["nested lists in JSON", "[[1, 2], [3, 4]]", /JSON, not CSV/],
    ["a list in JSON", "[1, 2, 3]", /JSON, not CSV/],
    [
      "a sheet of Excel",
      magic("PK\x03\x04", [20, 0, 6, 0]),
      /a ZIP archive, as .xlsx is, not CSV: save/,
    ],
    ["an old sheet of Excel", magic([0xd0, 0xcf, 0x11, 0xe0]), /an Excel file of the older kind/],
    ["Parquet", magic("PAR1", [0x15, 0]), /Parquet, not CSV/],
    ["PDF", magic("%PDF-1.7\n"), /a PDF, not CSV/],
    ["SQLite", magic("SQLite format 3\0"), /an SQLite database, not CSV/],
    ["NumPy", magic([0x93], "NUMPY"), /an array of NumPy, .npy, not CSV/],
    ["PNG", magic([0x89], "PNG\r\n"), /a PNG image, not CSV/],
    ["Zstandard", magic([0x28, 0xb5, 0x2f, 0xfd]), /a Zstandard file, not CSV: unpack/],
    [
      "Git LFS",
      "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n",
      /a Git LFS pointer/,
    ],
    [
      "a model",
      saveModel(new Sequential(createRuntimeSync(), { input: [2], layers: [affine(2)] })),
      /a model's file/,
    ],
  ])("is named: %s", async (_, contents, message) => {
    const { stderr, code } = await trained(contents);
    expect(stderr).toMatch(/^lamella train: t\d+\.csv: looks like [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });

  test.concurrent.each([
    ["brackets in its names", "[a],[b]\n1,x\n2,y\n3,x\n"],
    ["a smaller sign in its cells", "size,kind\n<5,x\n<7,y\n<5,x\n<7,y\n"],
    ["a name in angle brackets", "<size>,kind\n1,x\n3,y\n7,x\n"],
    ["braces in its names", "{a},{b}\n1,x\n3,y\n7,x\n"],
  ])("is not a table with %s", async (_, contents) => {
    expect(await trained(contents)).toMatchObject({ code: 0 });
  });

  test("is what --delimiter says, where a text begins as JSON does", async () => {
    const contents = "[[1]|x\n[[2]|y\n[[1]|x\n[[2]|y\n";
    expect((await trained(contents)).stderr).toContain("(--delimiter , reads it as a table)");
    expect(await trained(contents, "--delimiter", "|", "--no-header")).toMatchObject({ code: 0 });
  });

  test("is named where rows to predict are due", async () => {
    await trained("a,b\n1,x\n2,y\n3,x\n");
    const { stderr, code } = await folder.given(
      "<html>a,b</html>",
      "predict",
      `t${trained.count - 1}`,
      "-",
    );
    expect(stderr).toMatch(
      /^lamella predict: the standard input: looks like an HTML page, not CSV/,
    );
    expect(code).toBe(1);
  });
});
