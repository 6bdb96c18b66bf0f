// What becomes of the columns of a table that people really have, and what the file is worth that
// was made of it.

import { afterAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/index.ts";
import { decodeScores, encodeRow, loadPredictor } from "../../src/predict.ts";
import { car, draws, glass, penguins, titanic } from "../support/tables.ts";
import { Folder } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

let count = 0;

/** Trains on a table, and asks the file about the same one: what both have told. */
async function trained(contents: string, ...more: string[]) {
  const name = `t${count++}`;
  folder.write(`${name}.csv`, contents);
  const { stdout, stderr, code } = await folder.lamella(
    ...["train", `${name}.csv`, "-o", name, "--json", "--validation", "0", ...more],
  );
  if (code !== 0) return { name, stderr, code } as never;
  const done = JSON.parse(stdout.trim().split("\n").at(-1)!);
  const data = JSON.parse(readSafetensors(folder.read(name)).metadata.get("data")!);
  const asked = await folder.lamella("predict", name, `${name}.csv`, "--json");
  return { name, data, done, stderr, code, asked, served: JSON.parse(asked.stdout || "null") };
}
const refused = async (contents: string, ...more: string[]) => {
  const { stderr, code } = (await trained(contents, ...more)) as { stderr: string; code: number };
  return { stderr: stderr.replace(/t\d+\.csv/g, "t.csv"), code };
};
const brief = ["--epochs", "1", "--layers", "none"];
const rows = (length: number, row: (i: number) => (string | number)[]) =>
  Array.from({ length }, (_, i) => `${row(i).join(",")}\n`).join("");

describe("what train tells is what predict finds in the file", () => {
  const started = Date.UTC(2024, 0, 1);
  test.concurrent.each<[string, (i: number) => number | string]>([
    ["years", (i) => 1990 + (i % 30)],
    ["dates as numbers", (i) => 20_240_000 + i],
    ["Unix seconds", (i) => started / 1000 + 60 * i],
    ["Unix milliseconds", (i) => started + 60_000 * i],
    ["milliseconds within a minute", (i) => started + 150 * i],
    ["tiny values", (i) => 1e-30 * (i + 1)],
    ["values below float32", (i) => 1e-200 * (i + 1)],
    ["huge values", (i) => 1e30 * (i + 1)],
    ["values beyond float32", (i) => 1e300 * (i + 1)],
    ["values near 0", (i) => i / 100],
    ["negative values", (i) => -5e9 - i],
  ])("%s", async (_, labelOf) => {
    const table = `x,y\n${rows(400, (i) => [i / 400, labelOf(i)])}`;
    const { done, served, data, name } = await trained(
      ...[table, "--loss", "mse", "--epochs", "30"],
    );
    // Summed in two orders.
    expect(served.rmse / done.rmse).toBeCloseTo(1, 12);
    expect(done.rSquared).toBeGreaterThan(_ === "years" ? -0.1 : 0.9);
    expect(done.loss ?? Infinity).toBe(done.rmse * done.rmse);
    // Whoever serves the file gets the same values.
    const predictor = await loadPredictor(folder.read(name));
    const scores = predictor.predict(encodeRow(predictor.metadata, { x: 0.25 }));
    const [value] = decodeScores(predictor.metadata, scores);
    const [told] = served.predictions[100].values;
    expect(data.target ? told : Math.fround(told)).toBe(value);
    if (_ === "years" || _ === "values near 0") expect(data.target).toBeUndefined();
  });

  test("classes, and the share of each that is found", async () => {
    const { done, served } = await trained(penguins(), "--label", "species", "--epochs", "3");
    expect(served.accuracy).toBe(done.accuracy);
    expect(served.perClass).toEqual(done.perClass);
    expect(served.confusion).toEqual(done.confusion);
    const right = done.confusion.reduce(
      (sum: number, row: number[], i: number) => sum + row[i]!,
      0,
    );
    expect(right / 344).toBe(done.accuracy);
    for (const [i, row] of done.perClass.entries()) {
      expect(row.examples).toBe(done.confusion[i].reduce((a: number, b: number) => a + b));
      expect(row.recall).toBe(done.confusion[i][i] / row.examples);
    }
  });

  test("in the text as well", async () => {
    folder.write("day.csv", `x,day\n${rows(400, (i) => [i / 400, 20_240_000 + i])}`);
    const args = ["--loss", "mse", "--validation", "0", "--quiet", "--out", "day", "--epochs", "5"];
    const stdout = await folder.succeeding("train", "day.csv", ...args);
    const told = /^root mean squared error ([\d.]+), R² [\d.-]+ on what it learned from$/m.exec(
      stdout,
    )![1];
    const { stderr } = await folder.lamella("predict", "day", "day.csv");
    expect(stderr).toBe(`root mean squared error ${told} over 400\n`);
  });
});

describe("features far from 0", () => {
  const start = 1_700_000_000_000;
  test("are told apart: a threshold within a minute of Unix milliseconds", async () => {
    const table = `time,late\n${rows(400, (i) => [start + 150 * ((i * 37) % 400), (i * 37) % 400 < 200 ? "no" : "yes"])}`;
    const { done, data, served } = await trained(table, "--epochs", "40");
    expect(done.accuracy).toBeGreaterThan(0.98); // float32 steps of 131,072 ms leave 0.5
    expect(served.accuracy).toBe(done.accuracy);
    expect(data.columns[0].offset).toBeCloseTo(start + 150 * 199.5, 3);
  });

  test.each([1e-40, 1e-300, 1e40, 1e300])("of the size of %d are told apart too", async (size) => {
    const table = `x,y\n${rows(200, (i) => [((i * 7) % 200) * size, (i * 7) % 200 < 100 ? "a" : "b"])}`;
    expect((await trained(table, "--epochs", "40")).done.accuracy).toBeGreaterThan(0.97);
  });
});

describe("a column that counts the rows", () => {
  const draw = draws(5);
  const data = Array.from({ length: 60 }, () => [draw().toFixed(3), draw() < 0.5 ? "a" : "b"]);
  const shuffled = data.map((_, i) => ((i * 7) % 60) + 1);
  test.concurrent.each<[string, string, (i: number) => number | string]>([
    ["from 1", "id", (i) => i + 1],
    ["from 0", "id", (i) => i],
    ["in another order", "id", (i) => shuffled[i]!],
    ["without a name, as pandas writes it", "", (i) => i],
    ["without a name, from anywhere", "", (i) => 892 + i],
    ["without a name, of texts as R writes it", '""', (i) => `"row ${i}"`],
  ])("%s is named and left out", async (_, name, of) => {
    const table = `${name},x,y\n${rows(60, (i) => [of(i), ...data[i]!])}`;
    const shown = name === "id" ? "id" : "column_1";
    const result = await trained(table, ...brief);
    expect(result.stderr).toMatch(
      new RegExp(
        `^t\\d+.csv: column "${shown}" counts or names the rows, and is left out \\(--keep "${shown}" takes it\\)\n$`,
      ),
    );
    expect(result.data).toMatchObject({ features: ["x"], dropped: [shown] });
    expect(result.asked.code).toBe(0);
  });

  test("stays where --keep names it, and where nothing else is there", async () => {
    const table = `id,x,y\n${rows(60, (i) => [i, ...data[i]!])}`;
    const kept = await trained(table, ...brief, "--keep", "id");
    expect(kept.data).toMatchObject({ features: ["id", "x"] });
    expect(kept.stderr).toBe("");
    const alone = await trained(`t,y\n${rows(60, (i) => [i, i < 30 ? "a" : "b"])}`, ...brief);
    expect(alone.data.features).toEqual(["t"]);
    expect(alone.stderr).toMatch(
      /column "t" counts or names the rows; nothing else is there, so it is kept\n$/,
    );
  });

  test("as the names above the rows of R's write.table", async () => {
    const table = `"x"\t"y"\n${data.map(([x, y], i) => `"${i + 1}"\t${x}\t"${y}"`).join("\n")}\n`;
    const { data: found } = await trained(table, ...brief);
    expect(found).toMatchObject({ features: ["x"], dropped: ["column_1"], label: "y" });
  });

  test("is no column that only looks so at first, and no label", async () => {
    const table = `a,y\n${rows(60, (i) => [i === 59 ? 70 : i, i])}`;
    const { data: found } = await trained(table, ...brief, "--loss", "mse");
    expect(found.features).toEqual(["a"]);
  });
});

describe("tables of other people train as they are", () => {
  test("car: texts alone, no header", async () => {
    const { data, done } = await trained(car(), "--epochs", "30");
    expect(done.examples).toBe(1728);
    expect(data.columns.map(({ values }: { values: string[] }) => values.length)).toEqual([
      4, 4, 4, 3, 3, 3,
    ]);
    expect(data.classes).toEqual(["acc", "good", "unacc", "vgood"]);
    expect(done.accuracy).toBeGreaterThan(0.95);
  });

  test("penguins: empty cells, and the class in front", async () => {
    const { data, done, stderr } = await trained(
      penguins(),
      "--label",
      "species",
      "--epochs",
      "20",
    );
    expect(done.accuracy).toBeGreaterThan(0.97);
    expect(data.columns).toEqual([
      { name: "island", kind: "category", values: ["Biscoe", "Dream", "Torgersen"] },
      ...["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"].map((name) => ({
        ...{ name, missing: expect.any(Number), indicator: true },
      })),
      { name: "sex", kind: "category", values: ["female", "male"], indicator: true },
    ]);
    expect(stderr).toMatch(
      /one input for each of its values: "island" \(Biscoe, Dream, Torgersen\), "sex"/,
    );
    expect(stderr).toMatch(
      /empty cells get an input of their own, and numbers their mean: "bill_length_mm" \(\d+\)/,
    );
  });

  test("titanic: what cannot be learned is told at once, and how to leave it out", async () => {
    const { stderr, code } = await refused(titanic(), "--label", "Survived");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /lamella train: t.csv: column "Name" has more than 50 different texts in 891 rows, such as "Passenger, No. 1", .*; so have "Ticket", "Cabin" \(--drop "Name" --drop "Ticket" --drop "Cabin" leaves the columns out\)\n$/,
    );
    const drop = ["Name", "Ticket", "Cabin"].flatMap((name) => ["--drop", name]);
    const {
      done,
      data,
      name,
      served,
      stderr: told,
    } = await trained(...[titanic(), "--label", "Survived", ...drop, "--epochs", "20"]);
    expect(done.accuracy).toBeGreaterThan(0.75);
    expect(data.features).toEqual(["Pclass", "Sex", "Age", "SibSp", "Parch", "Fare", "Embarked"]);
    expect(told).toContain('column "PassengerId" counts or names the rows, and is left out');
    // The rows to predict may come without what was left out, without the label, and without names.
    folder.write("new.csv", "Embarked,Sex,Age,Pclass,SibSp,Parch,Fare\nS,male,,3,1,0,7.25\n");
    const [head, answer] = (await folder.succeeding("predict", name, "new.csv")).split("\n");
    expect(head).toBe("class,probability");
    const bare = titanic().split("\n").slice(1).join("\n");
    const again = await folder.given(bare, "predict", name, "-", "--json");
    expect(JSON.parse(again.stdout).predictions).toEqual(served.predictions);
    const short = await folder.given("3,male,,1,0,7.25,S\n", "predict", name, "-");
    expect(short.stdout.split("\n")[1]).toBe(answer);
  });

  test("glass: the names of its rows are worth nothing on rows that it has not seen", async () => {
    const { data, stderr } = await trained(glass(), ...brief);
    expect(data.dropped).toEqual(["column_1"]);
    expect(data.classes).toEqual(["1", "2", "3", "5", "6", "7"]);
    expect(stderr).toContain('column "column_1" counts or names the rows, and is left out');
  });
});

describe("empty cells", () => {
  const table = `x,c,y\n${rows(40, (i) => [i % 4 === 0 ? "" : i, i % 5 === 0 ? "NA" : "rs"[i % 2]!, i % 2 ? "a" : "b"])}`;
  test("are the mean and a class of their own, or as --missing says", async () => {
    const auto = await trained(table, ...brief);
    expect(auto.data.columns).toEqual([
      { name: "x", missing: 20, indicator: true },
      { name: "c", kind: "category", values: ["r", "s"], indicator: true },
    ]);
    const mean = await trained(table, ...brief, "--missing", "mean");
    expect(mean.data.columns).toEqual([
      { name: "x", missing: 20 },
      { name: "c", kind: "category", values: ["r", "s"], missing: "r" },
    ]);
    const drop = await trained(table, ...brief, "--missing", "drop");
    expect(drop.done.examples).toBe(24);
    expect(drop.stderr).toMatch(/16 rows of 40 have an empty cell and are left out/);
    const error = await refused(table, ...brief, "--missing", "error");
    expect(error.stderr).toBe(
      'lamella train: t.csv, line 2: column "x" has nothing (--missing mean, --missing drop or the default take empty cells)\n',
    );
  });

  test("of the label are refused by line, or left out", async () => {
    const holes = `x,y\n${rows(20, (i) => [i * i, i === 7 ? "" : i % 2 ? "a" : "b"])}`;
    expect(await refused(holes, ...brief)).toEqual({
      stderr:
        'lamella train: t.csv, line 9: column "y", the label, has nothing (--missing drop leaves such rows out)\n',
      code: 1,
    });
    const { name, done } = await trained(holes, ...brief, "--missing", "drop");
    expect(done.examples).toBe(19);
    const question = await folder.given("x,y\n1,a\n,a\n", "predict", name, "-");
    expect(question.stderr).toBe(
      'lamella predict: the standard input, line 3: column "x" has nothing, expected a number (the training met no empty cell there: leave the row out, or train with --missing mean)\n',
    );
    const { stderr } = await folder.given("x,y\n1,a\n4,\n9,a\n", "predict", name, "-");
    expect(stderr).toMatch(/^accuracy .* of 2 right\n/);
  });

  test("in a label of nothing else are refused as a column that is no label", async () => {
    const notes = `x,y,notes\n${rows(20, (i) => [i * i, i % 2 ? "a" : "b", ""])}`;
    expect(await refused(notes, ...brief)).toEqual({
      stderr:
        'lamella train: column "notes" of t.csv, the last and so the label, has nothing in any row: --label names the label, or --drop "notes" leaves the column out\n',
      code: 2,
    });
    expect(await refused(notes, ...brief, "--label", "notes")).toEqual({
      stderr: 'lamella train: column "notes" of t.csv, the label, has nothing in any row\n',
      code: 2,
    });
    expect((await trained(notes, ...brief, "--drop", "notes")).data.classes).toEqual(["a", "b"]);
  });

  test("in a column of nothing else leave it out", async () => {
    const { data, stderr } = await trained(
      `x,e,y\n${rows(20, (i) => [i * i, "", i % 2 ? "a" : "b"])}`,
      ...brief,
    );
    expect(data.features).toEqual(["x"]);
    expect(stderr).toMatch(/column "e" has no cell that is not empty, and is left out/);
  });
});

describe("a column", () => {
  const label = (i: number) => (i % 2 ? "a" : "b");
  test("of yes and no, or true and false, has two values", async () => {
    const { data } = await trained(
      `p,q,y\n${rows(40, (i) => [i % 3 ? "yes" : "no", i % 5 ? "True" : "False", label(i)])}`,
      ...brief,
    );
    expect(data.columns.map(({ values }: { values: string[] }) => values)).toEqual([
      ["no", "yes"],
      ["False", "True"],
    ]);
  });

  test("of dates is days, and told", async () => {
    const { data, stderr } = await trained(
      ...[
        `d,y\n${rows(28, (i) => [`2024-02-${`${i + 1}`.padStart(2, "0")}`, label(i)])}`,
        ...brief,
      ],
    );
    expect(data.columns).toEqual([
      { name: "d", kind: "date", offset: expect.closeTo(19_767.5, 9) },
    ]);
    expect(stderr).toMatch(/dates, as days since 1970-01-01: "d"\n$/);
  });

  test("of numbers that are names is --category", async () => {
    const table = `zip,y\n${rows(40, (i) => [10_115 + (i % 3), label(i)])}`;
    const { data } = await trained(table, ...brief, "--category", "zip");
    expect(data.columns).toEqual([
      { name: "zip", kind: "category", values: ["10115", "10116", "10117"] },
    ]);
  });

  test("of decimal commas is read with --decimal ,", async () => {
    const table = `x;y\n${rows(40, (i) => [`"${i},5";${label(i)}`])}`;
    const { name, data, done } = await trained(table, ...brief, "--decimal", ",");
    expect(data.decimal).toBe(",");
    expect(done.examples).toBe(40);
    const { stdout } = await folder.given('x\n"3,5"\n', "predict", name, "-");
    expect(stdout.split("\n")).toHaveLength(3);
  });

  test.concurrent.each<[string, string, RegExp]>([
    [
      "commas between thousands",
      `x;y\n${rows(40, (i) => [i])}`.replace(
        /^(\d+)$/gm,
        (_, i) => `${+i + 1},234;${i % 2 ? "a" : "b"}`,
      ),
      /line 2: column "x" has "1,234", expected a number \(--decimal , reads decimal commas; commas between thousands have to be taken out\)/,
    ],
    [
      "decimal commas",
      `x;y\n${rows(40, (i) => [`"${i},5";${label(i)}`])}`,
      /line 2: column "x" has "0,5", expected a number \(--decimal , reads decimal commas\)/,
    ],
    [
      "dates of another order",
      `x,y\n${rows(28, (i) => [`${i + 1}.02.2024`, label(i)])}`,
      /line 2: column "x" has "1.02.2024", expected a date as ISO 8601 has it, 2024-01-31 \(write dates so, or --drop "x" leaves the column out\)/,
    ],
    [
      "dates with slashes",
      `x,y\n${rows(28, (i) => [`02/${i + 1}/24`, label(i)])}`,
      /has "02\/1\/24", expected a date/,
    ],
    [
      "NaN",
      `x,y\n${rows(40, (i) => [i === 6 ? "NaN" : i * i, label(i)])}`,
      /line 8: column "x" has "NaN", expected a number \(--drop "x" leaves the column out\)/,
    ],
    [
      "nan, beside what marks a missing value",
      `x,y\n${rows(40, (i) => [i === 6 ? "nan" : i === 9 ? "NA" : i * i, label(i)])}`,
      /"nan", expected a number \(--drop "x" leaves the column out\); if it marks a value that is missing, write NA there: --missing mean fills it in, and --missing drop leaves its row out/,
    ],
    [
      "infinity",
      `x,y\n${rows(40, (i) => [i % 2 ? "-inf" : i * i, label(i)])}`,
      /line 3: column "x" has "-inf", expected a number/,
    ],
    [
      "numbers beyond float64",
      `x,y\n${rows(40, (i) => [i === 6 ? "1e999" : i * i, label(i)])}`,
      /line 8: column "x" has "1e999", expected a number/,
    ],
    [
      "a text among numbers",
      `x,y\n${rows(400, (i) => [i % 100 === 7 ? "unknown" : i * i, label(i)])}`,
      /line 9: column "x" has "unknown", expected a number \(--drop "x" leaves the column out\)/,
    ],
    [
      "a text for each row",
      `x,z,y\n${rows(40, (i) => [`name ${i}`, i * i, label(i)])}`,
      /line 2: column "x" has "name 0", expected a number/,
    ],
    [
      "very many texts",
      `x,z,y\n${rows(200, (i) => [`name ${i % 60}`, i * i, label(i)])}`,
      /column "x" has more than 50 different texts in 200 rows, such as "name 0", "name 1", "name 2"; up to 50 are taken for categories \(--max-categories\) \(--drop "x" leaves the column out\)/,
    ],
  ])("of %s is refused, with what to do", async (_, table, message) => {
    const { stderr, code } = await refused(table, ...brief);
    expect(stderr).toMatch(message);
    expect(stderr.split("\n")).toHaveLength(2);
    expect(code).toBe(1);
  });

  test("of more texts is taken with --max-categories", async () => {
    const table = `x,y\n${rows(200, (i) => [`name ${i % 60}`, label(i)])}`;
    const { data } = await trained(table, ...brief, "--max-categories", "60");
    expect(data.columns[0].values).toHaveLength(60);
  });
});

describe("the label", () => {
  const iris = (i: number) => [(i % 7) / 2, "abc"[i % 3]!, (i % 9) / 4];
  test.concurrent.each<[string, string, RegExp]>([
    [
      "fractions",
      `length,species,petal_width\n${rows(60, iris)}`,
      /^lamella train: the label is "petal_width", the last column, which holds fractions, such as 0.25; did you mean --label "species"\? \(--loss mse learns its values/,
    ],
    [
      "whole measurements",
      `species,mass\n${rows(60, (i) => ["abc"[i % 3]!, 3000 + 5 * i])}`,
      /the label is "mass", the last column, which holds 60 different numbers; did you mean --label "species"\?/,
    ],
    [
      "two candidates",
      `a,b,z\n${rows(60, (i) => ["xy"[i % 2]!, "xyz"[i % 3]!, i / 7])}`,
      /did you mean --label "a" or --label "b"\?/,
    ],
  ])("that was rather measured, beside classes, is asked about: %s", async (_, table, message) => {
    const { stderr, code } = await refused(table, ...brief);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  test("that an option names is not asked about", async () => {
    const table = `length,species,petal_width\n${rows(60, iris)}`;
    expect((await trained(table, ...brief, "--label", "species")).data.label).toBe("species");
    expect((await trained(table, ...brief, "--loss", "mse")).data.label).toBe("petal_width");
  });

  test("with a comma in its number has a hint", async () => {
    const { stderr } = await refused('x;y\n1;"1,5"\n2;"2,5"\n3;"3,5"\n', "--loss", "mse", ...brief);
    expect(stderr).toContain("(--decimal , reads decimal commas)");
  });
});

describe("rare classes", () => {
  /** The rarer class lies higher by so much. */
  const table = (shift: number) => {
    const draw = draws(9);
    return `x,z,y\n${rows(1000, (i) => {
      const isRare = i % 50 === 0;
      const x = draw() + (isRare ? shift : 0);
      return [x.toFixed(3), draw().toFixed(3), isRare ? "rare" : "common"];
    })}`;
  };
  test("have their recall and precision told, and an answer that is always the same", async () => {
    folder.write("rare.csv", table(0.05));
    const { stdout, stderr } = await folder.lamella(
      ...["train", "rare.csv", "-q", "-o", "rare", ...brief, "--epochs", "30"],
    );
    expect(stdout).toMatch(/^class +examples +recall +precision +as common +as rare$/m);
    expect(stdout).toMatch(/^rare +\d+ +0.00 % +– +\d+ +0$/m);
    expect(stderr).toBe(
      'the model answers "common" to every example; --class-weights auto gives rare classes the weight of common ones\n',
    );
    const asked = await folder.lamella("predict", "rare", "rare.csv");
    expect(asked.stderr).toMatch(
      /^accuracy 98.00 %: 980 of 1,000 right\nclass +examples +recall +precision +as common +as rare\ncommon +980 +100.00 % +98.00 % +980 +0\nrare +20 +0.00 % +– +20 +0\n$/,
    );
  });

  test("are found with --class-weights auto", async () => {
    const weighed = await trained(table(0.6), "--class-weights", "auto", "--epochs", "30");
    const [, rare] = weighed.done.perClass;
    expect(rare.recall).toBeGreaterThan(0.6);
    expect(weighed.stderr).toBe("");
  });
});

test("a rate of 1e9 is an error that names the step, and leaves no file", async () => {
  for (const optimizer of ["adam", "sgd"]) {
    const { stderr, code } = await refused(
      penguins(),
      "--label",
      "species",
      "--learning-rate",
      "1e9",
      "--optimizer",
      optimizer,
    );
    expect(stderr).toMatch(
      /the loss is \S+ in epoch 1.*: --learning-rate 1e\+9 is too large for this \(step \d+ of 1,100\); nothing was written\n$/,
    );
    expect(code).toBe(1);
  }
});

test("names and texts of a file do nothing to a terminal", async () => {
  const table = `"a\x1b[2J","b\x9b1m",y\n${rows(60, (i) => [`"\x1b]0;${i % 2}\x07"`, i * i, `"\x1b[3${i % 2}m"`])}`;
  folder.write("escapes.csv", table);
  const { stdout, stderr, code } = await folder.lamella(
    "train",
    "escapes.csv",
    ...brief,
    "-o",
    "esc",
  );
  const asked = await folder.lamella("predict", "esc", "escapes.csv");
  const refusal = await folder.lamella("train", "escapes.csv", "--category", "b\x9b1m");
  expect([code, asked.code, refusal.code]).toEqual([0, 0, 1]);
  for (const text of [stdout, stderr, asked.stderr, refusal.stderr]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  }
});
