// How a table is read that people really have: encodings, delimiters, first lines.

import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/index.ts";
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
