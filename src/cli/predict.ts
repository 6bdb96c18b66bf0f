// What a model says of new examples.

import { FormatError, loadModel, mseLoss, type Sequential, softmaxForward } from "lamella";
import { csvCell } from "./csv_cell.ts";
import { type Data, type DataOptions, pathsOf, readQuestions } from "./data.ts";
import { descriptionOf } from "./description.ts";
import { Fault, quoted, USAGE, visible } from "./fault.ts";
import { readModel } from "./files.ts";
import { refuseToAppend } from "./output.ts";
import { openRuntime } from "./runtime.ts";
import { integer, json, note, percent, print, short } from "./terminal.ts";

export const answers = ["class", "probabilities", "values"] as const;

export interface PredictOptions extends DataOptions {
  input?: string;
  answer?: (typeof answers)[number];
  json?: boolean;
  rawCsv?: boolean;
}

/** The shortest decimals that are this float32. */
function decimal(value: number): number | null {
  if (!Number.isFinite(value)) return null;
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

  const table = description?.features
    ? {
        features: description.features,
        label: description.label,
        header: description.header ?? true,
        dropped: description.dropped ?? [],
      }
    : undefined;
  const data = await readQuestions(input, options, model.input, table);
  const scores = model.predict(data.x as Float64Array).toTypedArray();
  const { count } = data;

  // The losses take scores; a network that ends in softmax gives probabilities itself. An SVM's scores are none.
  const isMargin = loss === "svm";
  const isSoftmax = model.layers.at(-1)?.kind === "softmax";
  const shares =
    !classes || isMargin || isSoftmax
      ? scores
      : softmaxForward(runtime.tensor(scores, [count, width])).out.toTypedArray();
  const valueName = isMargin ? "score" : "probability";
  const best = Array.from({ length: count }, (_, n) => {
    let top = 0;
    for (let i = 1; i < width; i++) {
      if ((scores[n * width + i] as number) > (scores[n * width + top] as number)) top = i;
    }
    return top;
  });

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
    if (answer === "values") return part(scores);
    const top = best[n] as number;
    const name = classes?.[top] as string;
    if (answer === "class") return [name, decimal(shares[from + top] as number)];
    return [name, ...part(shares)];
  };
  const quality = qualityOf(data, scores, best, classes, loss);

  if (options.json) {
    const predictions = Array.from({ length: count }, (_, n) => {
      const row = rowOf(n);
      if (answer === "values") return { values: row };
      if (answer === "class") return { class: row[0], [valueName]: row[1] };
      const each = (classes as string[]).map((name, i) => [name, row[i + 1]]);
      return { class: row[0], [isMargin ? "scores" : "probabilities"]: Object.fromEntries(each) };
    });
    print(json({ model: path, count, ...quality?.figures, predictions }, 2));
  } else {
    const { rawCsv = false } = options;
    const cell = (value: string | number | null) =>
      typeof value === "string" ? csvCell(value, rawCsv) : `${value ?? ""}`;
    const lines = [head.map(cell).join(",")];
    for (let n = 0; n < count; n++) lines.push(rowOf(n).map(cell).join(","));
    print(lines.join("\n"), rawCsv);
  }
  if (quality) note(quality.text);
  runtime.dispose();

  /** How right the answers are, where the data tell. */
  function qualityOf(
    { labels, table, name }: Data,
    values: ArrayLike<number>,
    chosen: readonly number[],
    names: readonly string[] | undefined,
    trainedFor: string | undefined,
  ) {
    if (!labels) return undefined;
    if (names) {
      const right = labels.filter((label, n) => names[chosen[n] as number] === label).length;
      const unknown = labels.find((label) => !names.includes(label));
      if (unknown !== undefined && description) {
        note(`${name}: label ${quoted(unknown)} is no class that the model knows`);
      }
      return {
        figures: { accuracy: right / count },
        text: `accuracy ${percent(right / count)}: ${integer(right)} of ${integer(count)} right`,
      };
    }
    const truth = Float64Array.from(labels, Number);
    if (width !== 1 || truth.some((value) => !Number.isFinite(value))) {
      if (trainedFor)
        note(`${name}: column ${quoted(table?.label ?? "")} is not compared: not all are numbers`);
      return undefined;
    }
    const mse = runtime.scope(
      () =>
        mseLoss(runtime.tensor(Float64Array.from(values)), runtime.tensor(truth), { dx: false })
          .loss,
    );
    return {
      figures: { rmse: Math.sqrt(mse) },
      text: `root mean squared error ${short(Math.sqrt(mse))} over ${integer(count)}`,
    };
  }
}

/** Library errors name a call; here it is the file that matters. */
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
