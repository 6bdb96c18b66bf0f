import { once } from "node:events";
import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  affine,
  createRuntimeSync,
  loadModel,
  readSafetensors,
  relu,
  Sequential,
  saveModel,
  softmaxForward,
  writeSafetensors,
} from "../../src/index.ts";
import { Folder, idx, iris, outcome } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());
const runtime = createRuntimeSync();
const table: Record<string, string>[] = parse(readFileSync(iris), { columns: true });
const names = ["setosa", "versicolor", "virginica"];
const features = Object.keys(table[0]!).filter((name) => name !== "species");
const x = table.map((row) => features.map((name) => Number(row[name])));

/** What the library says of the same model. */
let probabilities: Float32Array;
let classes: string[];

beforeAll(async () => {
  await folder.succeeding("train", iris, "-q", "--epochs", "30", "-o", "iris");
  const model = loadModel(runtime, folder.read("iris"));
  const scores = model.predict(x);
  probabilities = softmaxForward(scores).out.toTypedArray() as Float32Array;
  classes = model.classify(x) as string[];
});

const csv = (text: string): string[][] => parse(text);
const accuracy = () => classes.filter((name, n) => name === table[n]!.species).length;
/** Rows of iris in another order of columns. */
const reordered = () =>
  [
    "petal_width,sepal_length,petal_length,sepal_width",
    ...x.map(([a, b, c, d]) => [d, a, c, b].join(",")),
  ].join("\n");

describe("a table", () => {
  test("gives the class and its probability, as the library does, to the bit", async () => {
    const { stdout, stderr, code } = await folder.lamella("predict", "iris", iris);
    expect(code).toBe(0);
    const [head, ...rows] = csv(stdout);
    expect(head).toEqual(["class", "probability"]);
    expect(rows.map(([name]) => name)).toEqual(classes);
    rows.forEach(([name, given], n) => {
      expect(Math.fround(Number(given))).toBe(probabilities[3 * n + names.indexOf(name!)]);
    });
    const share = ((100 * accuracy()) / 150).toFixed(2);
    expect(stderr).toMatch(`accuracy ${share} %: ${accuracy()} of 150 right\nclass `);
    for (const name of names) {
      const answered = classes.filter(
        (one, n) => one === name && table[n]!.species === name,
      ).length;
      expect(stderr).toMatch(new RegExp(`^${name} +50 +${(2 * answered).toFixed(2)} % `, "m"));
    }
  });

  test("gives all probabilities, or what the network puts out", async () => {
    const all = csv(await folder.succeeding("predict", "iris", iris, "--answer", "probabilities"));
    expect(all[0]).toEqual(["class", ...names]);
    const given = all.slice(1).flatMap((row) => row.slice(1).map(Number));
    expect(Float32Array.from(given)).toEqual(probabilities);
    const values = csv(await folder.succeeding("predict", "iris", iris, "--answer", "values"));
    expect(values[0]).toEqual(names);
    const scores = loadModel(runtime, folder.read("iris")).predict(x).toTypedArray();
    expect(Float32Array.from(values.slice(1).flat().map(Number))).toEqual(scores);
  });

  test("may have its columns in any order, come from the standard input, and lack a header", async () => {
    const expected = csv(await folder.succeeding("predict", "iris", iris));
    const byName = await folder.given(reordered(), "predict", "iris", "-");
    expect(byName).toMatchObject({ stderr: "", code: 0 });
    expect(csv(byName.stdout)).toEqual(expected);
    const byPlace = await folder.given(x.join("\n"), "predict", "iris", "--input", "-");
    expect(csv(byPlace.stdout)).toEqual(expected);
    const labelled = x.map((row, n) => [...row, table[n]!.species].join(",")).join("\n");
    const withLabel = await folder.given(labelled, "predict", "iris", "-");
    expect(csv(withLabel.stdout)).toEqual(expected);
    expect(withLabel.stderr).toMatch(/^accuracy .* of 150 right\nclass .*\n(\w+ +50 .*\n){3}$/);
  });

  test("of a model that met no names takes a table with names by its places, if told of them", async () => {
    // The label is the first column, and not the last one.
    const label = "species";
    const lines = [[label, ...features], ...table.map((row, n) => [row[label], ...x[n]!])];
    const [head, ...data] = lines.map((row) => row.join());
    const given = data.join("\n");
    const options = ["-q", "--epochs", "5", "--label", "1", "--no-header", "-o", "nameless"];
    expect(await folder.given(given, "train", "-", ...options)).toMatchObject({ code: 0 });
    const plain = await folder.given(given, "predict", "nameless", "-");
    expect(plain.stderr).toContain("of 150 right");
    const withNames = `${head}\n${given}`;
    const told = await folder.given(withNames, "predict", "nameless", "-", "--header");
    expect(told).toEqual(plain);
    expect(await folder.given(withNames, "predict", "nameless", "-")).toEqual({
      ...{ stdout: "", code: 1 },
      stderr:
        'lamella predict: the standard input, line 1: column "2" has "sepal_length", expected a number (if the first line holds names, say so with --header)\n',
    });
  });

  test("gives JSON with the accuracy in it", async () => {
    const result = JSON.parse(await folder.succeeding("predict", "iris", iris, "--json"));
    expect(result).toMatchObject({ model: "iris", count: 150, accuracy: accuracy() / 150 });
    expect(result.predictions.map((row: { class: string }) => row.class)).toEqual(classes);
    expect(result.predictions[0]).toEqual({ class: "setosa", probability: expect.any(Number) });
    const all = JSON.parse(
      await folder.succeeding("predict", "iris", iris, "--json", "--answer", "probabilities"),
    );
    expect(Object.keys(all.predictions[0].probabilities)).toEqual(names);
  });

  test("of values gives values, and the error where the data tell", async () => {
    folder.write(
      "y.csv",
      `a,y\n${Array.from({ length: 40 }, (_, i) => `${i},${2 * i}`).join("\n")}`,
    );
    await folder.succeeding("train", "y.csv", "--loss", "mse", "-q", "--epochs", "5", "-o", "y");
    const { stdout, stderr } = await folder.lamella("predict", "y", "y.csv");
    const [head, ...rows] = csv(stdout);
    expect(head).toEqual(["y"]);
    const squares = rows.map(([value], i) => (Number(value) - 2 * i) ** 2);
    const error = Math.sqrt(squares.reduce((a, b) => a + b) / 40);
    expect(stderr).toBe(`root mean squared error ${Number(error.toPrecision(4))} over 40\n`);
    const refused = await folder.lamella("predict", "y", "y.csv", "--answer", "class");
    expect(refused).toEqual({
      ...{ stdout: "", code: 2 },
      stderr: "lamella predict: --answer class: y knows no classes, but values\n",
    });
  });

  test("of an SVM gives scores, which are no probabilities", async () => {
    await folder.succeeding("train", iris, "--loss", "svm", "-q", "--epochs", "5", "-o", "svm");
    const [head, ...rows] = csv(await folder.succeeding("predict", "svm", iris));
    expect(head).toEqual(["class", "score"]);
    const scores = loadModel(runtime, folder.read("svm")).predict(x).toTypedArray();
    rows.forEach(([, score], n) => {
      expect(Math.fround(Number(score))).toBe(Math.max(...scores.subarray(3 * n, 3 * n + 3)));
    });
  });
});

describe("what does not fit is refused by name", () => {
  const header = `${features.join(",")}\n`;
  test.concurrent.each<[string, string, string]>([
    [
      "a column too few",
      "1,2,3\n",
      'line 1: 3 columns, expected 4, or 5 with the label as the last: nothing for "petal_width"',
    ],
    [
      "columns too many",
      "1,2,3,4,5,6\n",
      'line 1: 6 columns, expected 4, or 5 with the label as the last: "6" stands after the last',
    ],
    [
      "a column that is missing",
      "sepal_length,sepal_width,petal_length\n1,2,3\n",
      'has no column "petal_width", which the model takes; it has "sepal_length", "sepal_width", "petal_length"',
    ],
    [
      "a column that it does not know",
      `${features.join(",")},colour\n1,2,3,4,5\n`,
      'column "colour" is none that the model takes: --drop "colour" leaves it out',
    ],
    [
      "a short row",
      `${header}1,2,3,4\n1,2\n`,
      'line 3: expected 4 cells, got 2: nothing for column "petal_length"',
    ],
    [
      "no number",
      `${header}1,2,,4\n`,
      'line 2: column "petal_length" has nothing, expected a number (the training met no empty cell there: leave the row out, or train with --missing mean)',
    ],
    ["nothing", "", "has no lines"],
    [
      "a quote that does not end",
      `${header}1,2,3,"4\n`,
      "not CSV: Quote Not Closed: the parsing is finished with an opening quote at line 2",
    ],
  ])("%s", async (_, input, message) => {
    const { stdout, stderr, code } = await folder.given(input, "predict", "iris", "-");
    expect(stdout).toBe("");
    const joint = message.startsWith("line") ? ", " : message.startsWith("not") ? ": " : ": ";
    expect(stderr).toBe(`lamella predict: the standard input${joint}${message}\n`);
    expect(code).toBe(1);
  });

  test("a label that the model does not know is told, and counts as wrong", async () => {
    const { stderr } = await folder.given(
      `${features.join(",")},species\n5.1,3.5,1.4,0.2,setosa\n5.1,3.5,1.4,0.2,rose\n`,
      ...["predict", "iris", "-"],
    );
    expect(stderr.slice(0, stderr.indexOf("class  "))).toBe(
      'the standard input: label "rose" is no class that the model knows\naccuracy 50.00 %: 1 of 2 right\n',
    );
  });

  test("no data, or twice", async () => {
    const message = "lamella predict: expected one file of data, or - for the standard input\n";
    const none = await folder.lamella("predict", "iris");
    expect(none).toEqual({ stdout: "", stderr: message, code: 2 });
    expect(await folder.lamella("predict", "iris", iris, "--input", iris)).toEqual(none);
  });
});

describe("a model of the library's own", () => {
  const model = new Sequential(runtime, {
    input: [2, 3],
    layers: [affine(4), relu(), affine(2)],
    seed: 5,
  });
  folder.write("own", saveModel(model));
  const examples = [
    [1, 2, 3, 4, 5, 6],
    [6, 5, 4, 3, 2, 1],
  ];
  const scores = model.predict(examples.flat()).toTypedArray();

  test("puts out values for rows without names, with any names, and for images", async () => {
    const rows = examples.join("\n");
    folder.write("images", idx([2, 2, 3], examples.flat()));
    const outcomes = await Promise.all([
      folder.given(rows, "predict", "own", "-"),
      folder.given(`a,b,c,d,e,f\n${rows}`, "predict", "own", "-"),
      folder.lamella("predict", "own", "images"),
    ]);
    for (const { stdout, stderr, code } of outcomes) {
      expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
      const [head, ...values] = csv(stdout);
      expect(head).toEqual(["value_0", "value_1"]);
      expect(Float32Array.from(values.flat().map(Number))).toEqual(scores);
    }
    const { stderr } = await folder.lamella("predict", "iris", "images");
    expect(stderr).toBe("lamella predict: images: an example is 2 × 3, and the model takes 4\n");
  });

  test("tells classes by number where it is asked to", async () => {
    const { stdout } = await folder.given(
      "1,2,3,4,5,6\n",
      "predict",
      "own",
      "-",
      "--answer",
      "class",
    );
    expect(csv(stdout)[1]![0]).toBe(scores[0]! >= scores[1]! ? "0" : "1");
  });
});

describe("a hostile file is refused in one line", () => {
  const { tensors, metadata } = readSafetensors(
    saveModel(new Sequential(runtime, { input: [2], layers: [affine(3)], seed: 1 })),
  );
  const withMetadata = (changes: Record<string, string>) =>
    writeSafetensors(tensors, { ...Object.fromEntries(metadata), ...changes });
  const data = (value: unknown) => withMetadata({ data: JSON.stringify(value) });
  const layers = (value: unknown) =>
    withMetadata({ architecture: JSON.stringify({ input: [2], dtype: "float32", layers: value }) });

  test.concurrent.each<[string, Uint8Array, RegExp]>([
    [
      "bytes",
      Uint8Array.from({ length: 100 }, (_, i) => i),
      /not a safetensors file: expected a header/,
    ],
    ["nothing", new Uint8Array(0), /not a safetensors file: expected at least 8 bytes, got 0/],
    ["a state_dict", writeSafetensors(tensors), /not a model that lamella wrote/],
    [
      "a width that no memory has",
      layers([{ kind: "affine", units: 2 ** 40 }]),
      /^lamella predict: \S+: /,
    ],
    ["layers of another kind", layers([{ kind: "\x1b[2J" }]), /^lamella predict: \S+: /],
    ["a data that is no JSON", withMetadata({ data: "{" }), /the metadata's data are not what/],
    [
      "classes that are no names",
      data({ format: "csv", loss: "softmax", classes: [1, 2, 3] }),
      /are not what/,
    ],
    [
      "fewer classes than scores",
      data({ format: "csv", loss: "softmax", classes: ["a"] }),
      /the metadata's classes must be 3 texts, one for each score, got 1/,
    ],
    [
      "more features than numbers",
      data({ format: "csv", loss: "softmax", classes: ["a", "b", "c"], features: ["a", "b", "c"] }),
      /the model takes 2 numbers, and its file names 3 features/,
    ],
  ])("%s", async (what, bytes, message) => {
    const name = `hostile-${what.replaceAll(/\W/g, "-")}`;
    folder.write(name, bytes);
    const { stdout, stderr, code } = await folder.given("1,2\n", "predict", name, "-");
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toMatch(message);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(stderr).toMatch(/^[^\x00-\x1f]+\n$/);
  });
});

test("a reader that leaves early, as head does, is no error", async () => {
  folder.write("long.csv", `${features.join(",")}\n${"5.1,3.5,1.4,0.2\n".repeat(50_000)}`);
  const child = folder.start("predict", "iris", "long.csv");
  const ended = outcome(child);
  await once(child.stdout!, "data");
  child.stdout!.destroy();
  expect(await ended).toMatchObject({ stderr: "", code: 0 });
});
