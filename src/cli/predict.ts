// `lamella predict` tells what a model answers to new examples.

import { FormatError, loadModel, type Sequential, softmaxForward } from "lamella";
import { decodeBy, isMissing } from "../io/table_map.ts";
import { csvCell } from "./csv_cell.ts";
import { type Data, type DataOptions, pathsOf, readQuestions } from "./data.ts";
import { descriptionOf, tableIn } from "./description.ts";
import { Fault, quoted, USAGE, visible } from "./fault.ts";
import { checkLimit, limits, readModel } from "./files.ts";
import { kinds } from "./kinds.ts";
import { refuseToAppend } from "./output.ts";
import { numberOf } from "./profile.ts";
import { highest, qualityOfClasses, qualityOfValues, rmseText, scoresOf } from "./quality.ts";
import { openRuntime } from "./runtime.ts";
import { integer, json, note, percent, printLines } from "./terminal.ts";

export const answers = ["class", "probabilities", "values"] as const;

export interface PredictOptions extends DataOptions {
  input?: string;
  answer?: (typeof answers)[number];
  json?: boolean;
  rawCsv?: boolean;
}

/** Returns the shortest decimals that are this float32, or this float64 where it is no float32. */
function decimal(value: number): number | null {
  if (!Number.isFinite(value)) return null;
  if (Math.fround(value) !== value) return value;
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}

export async function predict(
  path: string,
  dataPath: string | undefined,
  options: PredictOptions,
): Promise<void> {
  const input = dataPath ?? options.input;
  if (input === undefined || (dataPath !== undefined && options.input !== undefined)) {
    throw new Fault("expected one file of data, or - for the standard input", USAGE);
  }
  refuseToAppend(path, ...pathsOf(input, options));
  const { bytes, file } = readModel(path);
  const description = descriptionOf(path, file);
  const runtime = await openRuntime({});
  const model = modelOf(path, () => loadModel(runtime, bytes) as Sequential);
  const width = model.output.reduce((product, length) => product * length, 1);
  const { loss } = description ?? {};
  let { classes } = description ?? {};
  if (classes && classes.length !== width) {
    throw new Fault(`${visible(path)}: ${classes.length} classes, but ${width} scores`);
  }
  const answer = options.answer ?? (classes ? "class" : "values");
  if (answer !== "values" && !classes) {
    if (loss === "mse" || width < 2) {
      throw new Fault(`--answer ${answer}: ${visible(path)} knows no classes, but values`, USAGE);
    }
    classes = Array.from({ length: width }, (_, i) => `${i}`);
  }

  const inputs = model.input.reduce((product, length) => product * length, 1);
  const table = tableIn(description, inputs, options.maxColumns ?? limits.maxColumns);
  const data = await readQuestions(input, options, model.input, table);
  checkLimit("maxCells", options, data.count * width, data.name, "scores");
  const scores = scoresOf(model, data.x as Float64Array, data.count);
  const { target } = description ?? {};
  // Answers are in the label's own unit, and in float64 where that is far from 0.
  const values = target ? decodeBy(target, scores) : scores;
  const { count } = data;

  // The losses take scores; a network that ends in such a layer gives probabilities itself. The
  // scores of an SVM are no probabilities.
  const isMargin = loss === "svm";
  const { givesProbabilities } = kinds.get(model.layers.at(-1)?.kind ?? "") ?? {};
  const shares =
    !classes || isMargin || givesProbabilities
      ? scores
      : softmaxForward(runtime.tensor(scores, [count, width])).out.toTypedArray();
  const valueName = isMargin ? "score" : "probability";
  const best = highest(scores, width);

  const head = {
    class: ["class", valueName],
    probabilities: ["class", ...(classes ?? [])],
    values:
      width === 1
        ? [description?.label ?? "value"]
        : (classes ?? Array.from({ length: width }, (_, i) => `value_${i}`)),
  }[answer];
  const rowOf = (n: number): (string | number | null)[] => {
    const from = n * width;
    const part = (of: ArrayLike<number>) =>
      Array.from({ length: width }, (_, i) => decimal(of[from + i] as number));
    if (answer === "values") return part(values);
    const top = best[n] as number;
    const name = classes?.[top] as string;
    if (answer === "class") return [name, decimal(shares[from + top] as number)];
    return [name, ...part(shares)];
  };
  const quality = qualityOf(data);

  const { rawCsv = false } = options;
  await (options.json ? printLines(jsonLines()) : printLines(csvLines(), rawCsv));
  if (quality) note(quality.text);
  runtime.dispose();

  function* csvLines() {
    const cell = (value: string | number | null) =>
      typeof value === "string" ? csvCell(value, rawCsv) : `${value ?? ""}`;
    yield head.map(cell).join(",");
    for (let n = 0; n < count; n++) yield rowOf(n).map(cell).join(",");
  }

  /** Gives one document in parts, as `JSON.stringify` would write the whole. */
  function* jsonLines() {
    const whole = json({ model: path, count, ...quality?.figures, predictions: [] }, 2);
    const end = "]\n}";
    yield whole.slice(0, -end.length);
    for (let n = 0; n < count; n++) {
      const row = rowOf(n);
      let prediction: object = { class: row[0], [valueName]: row[1] };
      if (answer === "values") prediction = { values: row };
      if (answer === "probabilities") {
        const each = (classes as string[]).map((name, i) => [name, row[i + 1]]);
        const key = isMargin ? "scores" : "probabilities";
        prediction = { class: row[0], [key]: Object.fromEntries(each) };
      }
      yield `${json(prediction, 2).replace(/^/gm, "    ")}${n + 1 < count ? "," : ""}`;
    }
    yield `  ${end}`;
  }

  /** Tells how right the answers are, where the data have labels. */
  function qualityOf({ labels, table, name }: Data) {
    // Rows without a label have answers, which are compared with nothing.
    const rows = labels?.flatMap((label, n) =>
      isMissing(label) && !classes?.includes(label) ? [] : [n],
    );
    if (!labels || !rows || rows.length === 0) return undefined;
    const known = rows.map((n) => labels[n] as string);
    if (classes) {
      const index = new Map(classes.map((label, i) => [label, i]));
      const truth = known.map((label) => index.get(label) ?? -1);
      const unknown = truth.indexOf(-1);
      if (unknown >= 0 && description) {
        note(`${name}: label ${quoted(known[unknown] as string)} is no class that the model knows`);
      }
      const chosen = rows.map((n) => best[n] as number);
      const found = qualityOfClasses(truth, chosen, classes);
      const { right, count: of, text, figures } = found;
      return {
        figures,
        text: `accuracy ${percent(figures.accuracy)}: ${integer(right)} of ${integer(of)} right\n${text}`,
      };
    }
    const truth = known.map((label) => numberOf(label, table?.decimal));
    if (width !== 1 || truth.some((value) => !Number.isFinite(value))) {
      if (loss) {
        note(`${name}: column ${quoted(table?.label ?? "")} is not compared: not all are numbers`);
      }
      return undefined;
    }
    const figures = qualityOfValues(
      truth,
      rows.map((n) => values[n] as number),
    );
    return { figures, text: `${rmseText(figures)} over ${integer(truth.length)}` };
  }
}

/** Makes an error of the library, which names a call, one that names the file. */
function modelOf<T>(path: string, load: () => T): T {
  try {
    return load();
  } catch (error) {
    const { message } = error as Error;
    const hint =
      error instanceof FormatError && message.includes("not a file of this package")
        ? "not a model that lamella wrote: its file tells no layers (loadTorch of the library reads a state_dict)"
        : message.replace(/^loadModel: /, "");
    throw new Fault(`${visible(path)}: ${hint}`);
  }
}
