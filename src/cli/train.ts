// `lamella train` makes a model's file from a table or from images.

import process from "node:process";
import {
  adam,
  adamw,
  affine,
  cosine,
  type LayerSpec,
  linear,
  loadModel,
  momentum,
  nesterov,
  normalize,
  type Optimizer,
  type Runtime,
  rmsprop,
  Sequential,
  ShapeError,
  saveModel,
  sgd,
  Trainer,
} from "lamella";
import { decodeBy, widthOf } from "../io/table_map.ts";
import { type ColumnsOptions, type Data, pathsOf, readTraining } from "./data.ts";
import { type Description, describe, withDescription } from "./description.ts";
import { Fault, quoted, USAGE, visible } from "./fault.ts";
import { imageLayer, parseLayers, type Written } from "./layers.ts";
import { Output } from "./output.ts";
import { numberOf } from "./profile.ts";
import {
  type ClassFigures,
  type ClassQuality,
  eachScores,
  highest,
  qualityOfClasses,
  qualityOfValues,
  rmseText,
  scoresOf,
  tellConstant,
  type ValueFigures,
} from "./quality.ts";
import { openRuntime, type RuntimeChoice } from "./runtime.ts";
import {
  bold,
  bytes,
  type Curve,
  chart,
  coloured,
  duration,
  integer,
  json,
  Progress,
  percent,
  plural,
  print,
  printToStandardError,
  short,
} from "./terminal.ts";

export const optimizers = { adam, adamw, sgd, momentum, nesterov, rmsprop };
export const schedules = ["constant", "linear", "cosine"] as const;
/** A file stores weights as one of these. */
export const storedTypes = ["float32", "float16", "int8"] as const;

export interface TrainOptions extends ColumnsOptions, RuntimeChoice {
  out: string;
  weights: (typeof storedTypes)[number];
  layers?: Written[];
  preset?: keyof typeof presets;
  classWeights?: "auto";
  optimizer: keyof typeof optimizers;
  learningRate?: number;
  schedule?: (typeof schedules)[number];
  l2: number;
  epochs?: number;
  batch?: number;
  validation: number;
  patience?: number;
  seed: number;
  force?: boolean;
  json?: boolean;
  quiet?: boolean;
}

/** What holds where no option says otherwise. */
interface Defaults {
  layers: string;
  epochs: number;
  batch: number;
  /** The learning rate of Adam. */
  rate: number;
  schedule: (typeof schedules)[number];
}

/** The settings without options do well on small tables, and on images like MNIST. */
const defaults: Record<Data["format"], Defaults> = {
  csv: { layers: "32,relu,32,relu", epochs: 100, batch: 32, rate: 5e-3, schedule: "constant" },
  idx: { layers: "128,relu,dropout:0.2", epochs: 10, batch: 128, rate: 1e-3, schedule: "constant" },
};

const block = (filters: number) => `conv:${filters}x3:same,batchnorm,relu,pool:2`;

/** Networks by name, with the settings that they do well with. */
export const presets: Record<"cnn", Defaults> = {
  cnn: {
    layers: `${block(16)},${block(32)},128,relu,dropout:0.3`,
    ...{ epochs: 8, batch: 128, rate: 2e-3, schedule: "cosine" },
  },
};

/** More labels than this are hardly classes if all of them are numbers. */
const MOST_NUMBERED = 100;

/** The right answer to each example. */
interface Truth {
  classes: string[] | undefined;
  y: Int32Array | Float64Array;
}

function truthOf(data: Data, given: TrainOptions["loss"]): Truth {
  const labels = data.labels as string[];
  const what = data.table?.label ? `column ${quoted(data.table.label)}` : "the labels";
  const { decimal } = data.table ?? {};
  const numbers = labels.map((label) => numberOf(label, decimal));
  const unlike = numbers.findIndex((value) => !Number.isFinite(value));
  if (given === "mse") {
    if (unlike >= 0) {
      const label = labels[unlike] as string;
      let hint = "";
      if (/^[\d.]*,\d+$/.test(label)) hint = " (--decimal , reads decimal commas)";
      else if (/^[-+]?nan$/i.test(label)) {
        hint = " (write NA for what is missing: --missing drop leaves such rows out)";
      }
      const holds = `${what} of ${data.name} holds ${quoted(label)}, expected numbers`;
      throw new Fault(`--loss mse: ${holds}; without it, they are classes${hint}`, USAGE);
    }
    return { classes: undefined, y: Float64Array.from(numbers) };
  }
  const distinct = [...new Set(labels)];
  const isNumbered = unlike < 0;
  // Their order does not depend on that of the rows: it is by number, else by code units.
  const classes = isNumbered
    ? distinct.sort((a, b) => numberOf(a, decimal) - numberOf(b, decimal))
    : distinct.sort();
  const fraction = isNumbered
    ? classes.find((label) => !Number.isInteger(numberOf(label, decimal)))
    : undefined;
  if (given === undefined && (fraction || (isNumbered && classes.length > MOST_NUMBERED))) {
    const why = fraction
      ? `holds fractions, such as ${fraction}`
      : `holds ${classes.length} different numbers`;
    throw new Fault(
      `${what} of ${data.name} ${why}: --loss mse learns values; --loss softmax takes each for a class`,
      USAGE,
    );
  }
  if (classes.length < 2) {
    throw new Fault(
      `${what} of ${data.name} is ${quoted(classes[0] as string)} in every row, and telling classes apart takes two`,
    );
  }
  const index = new Map(classes.map((label, i) => [label, i]));
  return { classes, y: Int32Array.from(labels, (label) => index.get(label) as number) };
}

interface Part {
  x: Data["x"];
  y: Truth["y"];
  count: number;
}

/** Gathers these examples, in this order. */
function gather(data: Data, { y }: Truth, order: ArrayLike<number>): Part {
  const width = data.x.length / data.count;
  const x = new (data.x.constructor as Float64ArrayConstructor)(order.length * width);
  const labels = new (y.constructor as Float64ArrayConstructor)(order.length);
  for (let i = 0; i < order.length; i++) {
    const from = (order[i] as number) * width;
    x.set(data.x.subarray(from, from + width) as Float64Array, i * width);
    labels[i] = y[order[i] as number] as number;
  }
  return { x, y: labels, count: order.length };
}

/**
 * Returns the mean and the deviation of every width-th number from `start` on; a deviation of 0
 * becomes 1, as it divides.
 */
function momentsOf(values: ArrayLike<number>, start = 0, width = 1): { mean: number; std: number } {
  let [sum, count] = [0, 0];
  for (let i = start; i < values.length; i += width, count++) sum += values[i] as number;
  const mean = sum / count;
  let squares = 0;
  for (let i = start; i < values.length; i += width) {
    squares += ((values[i] as number) - mean) * ((values[i] as number) - mean);
  }
  return { mean, std: Math.sqrt(squares / count) || 1 };
}

/**
 * Makes the layer that takes the examples as they are. Each column of a table has its own mean and
 * deviation, and all pixels have the same.
 */
function standardise({ x, count }: Part, { table }: Data): LayerSpec {
  if (!table) return normalize(momentsOf(x));
  const width = x.length / count;
  // Inputs of categories and of empty cells are 0 and 1 already, and a rare one would become large.
  const isMeasured = table.columns.flatMap((column) =>
    Array.from({ length: widthOf(column) }, (_, i) => !column.values && i === 0),
  );
  const columns = isMeasured.map((is, j) => (is ? momentsOf(x, j, width) : { mean: 0, std: 1 }));
  return normalize({ mean: columns.map(({ mean }) => mean), std: columns.map(({ std }) => std) });
}

function optimizerOf(
  name: TrainOptions["optimizer"],
  rate: number,
  schedule: Defaults["schedule"],
  steps: number,
): Optimizer {
  const learningRate =
    schedule === "constant" ? rate : { linear, cosine }[schedule]({ from: rate, steps });
  return optimizers[name]({ learningRate });
}

/** The shape of an example for these layers: images have a last axis of channels. */
function shapeFor(
  hidden: readonly Written[],
  { name, shape, format }: Data,
  { layers, preset }: TrainOptions,
): number[] {
  const image = imageLayer(hidden);
  if (!image || shape.length === 3) return shape;
  if (shape.length === 2) return [...shape, 1];
  const has =
    shape.length === 1
      ? `rows of ${plural(shape[0] as number, format === "csv" ? "feature" : "number")}`
      : `examples of ${shape.join(" × ")}`;
  const option = layers ? `layers ${image.text}` : `preset ${preset}`;
  throw new Fault(`--${option} needs images; ${name} has ${has}`, USAGE);
}

/** Builds the network; what a layer refuses is told by the name that it has on the command line. */
function networkOf(
  runtime: Runtime,
  input: number[],
  [first, ...rest]: LayerSpec[],
  hidden: readonly Written[],
  seed: number,
): Sequential {
  const layers = [first as LayerSpec, ...hidden.map(({ spec }) => spec), ...rest];
  try {
    return new Sequential(runtime, { input, layers, seed });
  } catch (error) {
    const found =
      error instanceof ShapeError && /^.*?layer (\d+) \(\w+\)(.*)$/s.exec(error.message);
    const layer = found && hidden[Number(found[1]) - 1];
    if (!layer) throw error;
    throw new Fault(`--layers: layer ${found[1]} (${layer.text})${found[2]}`, USAGE);
  }
}

/** The values that a model had in its best epoch. */
class Snapshot {
  private readonly values: (Float32Array | Float64Array)[];

  constructor(
    private readonly model: Sequential,
    readonly epoch: number,
    readonly loss: number,
  ) {
    this.values = Object.values(model.stateDict()).map((tensor) => tensor.toTypedArray());
  }

  restore(): void {
    for (const [i, tensor] of Object.values(this.model.stateDict()).entries()) {
      tensor.data.set(this.values[i] as Float32Array);
    }
  }
}

/** The result of an epoch; losses of values are those of multiples of their deviation. */
interface EpochRow {
  epoch: number;
  loss: number;
  accuracy?: number;
  validationLoss?: number;
  validationAccuracy?: number;
}

/** The figures of a file on some examples. */
interface Measured {
  count: number;
  loss: number;
  classes?: ClassQuality;
  values?: ValueFigures;
}

/** Returns the figures that have no name of their own in JSON. */
const detailsOf = ({ accuracy: _, ...details }: ClassFigures) => details;

/** Gives all classes the same weight, with a mean of 1 over the examples. */
function balance(y: ArrayLike<number>, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (let n = 0; n < y.length; n++)
    counts[y[n] as number] = (counts[y[n] as number] as number) + 1;
  return counts.map((count) => y.length / (classes * Math.max(1, count)));
}

const signalCodes = { SIGINT: 130, SIGTERM: 143 };

export async function train(path: string, options: TrainOptions): Promise<number> {
  const inputs = pathsOf(path, options);
  const output = new Output("--out", options.out, { inputs, force: options.force });
  if (output.isStandardOutput) printToStandardError();
  const data = await readTraining(path, options);
  const truth = truthOf(data, options.loss);
  const { classes } = truth;
  const loss = options.loss ?? "softmax";
  const usual = options.preset ? presets[options.preset] : defaults[data.format];
  const { epochs = usual.epochs, batch = usual.batch, schedule = usual.schedule, seed } = options;
  const hidden = options.layers ?? parseLayers(usual.layers);
  const shape = shapeFor(hidden, data, options);

  const runtime = await openRuntime(options);
  const [training, validation] = split(runtime, data, truth, options);
  // Values are learned as multiples of their deviation, whatever their unit. The last layer is told
  // the unit in the end, but for what float32 cannot hold of it: that is the map's.
  const { offset = 0, scale = 1 } = data.table?.target ?? {};
  const near = (part: Part) => (classes ? part.y : part.y.map((value) => (value - offset) / scale));
  const unit = classes ? { mean: 0, std: 1 } : momentsOf(near(training));
  const toLearn = (part: Part) => ({
    x: part.x,
    y: classes ? part.y : near(part).map((value) => (value - unit.mean) / unit.std),
  });
  const classWeights = options.classWeights && classes && balance(training.y, classes.length);
  const outer = [standardise(training, data), affine(classes?.length ?? 1)];
  const model = networkOf(runtime, shape, outer, hidden, seed);
  const rate = options.learningRate ?? (options.optimizer.startsWith("adam") ? usual.rate : 1e-2);
  const steps = epochs * Math.ceil(training.count / batch);
  const trainer = new Trainer(model, {
    ...{ loss, l2: options.l2, seed, classWeights },
    optimizer: optimizerOf(options.optimizer, rate, schedule, steps),
  });

  const show = options.json || options.quiet ? () => {} : print;
  const unseen = validation ? `, ${plural(validation.count, "other")} to check with` : "";
  const column = data.table?.label === undefined ? undefined : quoted(data.table.label);
  const task = classes
    ? `${classes.length} classes${column ? ` of ${column}` : ""} (${visible(classes.join(", "))})`
    : `values of ${column ?? "the labels"}`;
  show(`${bold(data.name)}: ${plural(training.count, "example")} to learn from${unseen}; ${task}`);
  show(`\n${model}\n`);

  const stop = new AbortController();
  let signal: keyof typeof signalCodes | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    // A second signal means that nobody wants to wait for the file.
    if (signal) process.exit(signalCodes[signal]);
    signal = name as keyof typeof signalCodes;
    stop.abort();
  };
  for (const name of Object.keys(signalCodes)) process.on(name, onSignal);

  const description: Description = {
    ...{ format: data.format, loss, classes },
    ...(data.table && describe(data.table)),
  };
  const fileOf = () => withDescription(saveModel(model, { weights: options.weights }), description);
  output.reserve(fileOf().length);

  const began = performance.now();
  const progress = options.json || options.quiet ? undefined : new Progress(steps);
  const stepLosses: number[] = [];
  const stepAccuracies: number[] = [];
  const rows: EpochRow[] = [];
  let best: Snapshot | undefined;
  let speed = 0;
  let stopped = false;
  const deviation = unit.std * scale;
  // It is shown as the deviation of the answers, in the label's own unit.
  const inUnit = (value: number) => (classes ? value : deviation * Math.sqrt(value));
  const lossText = (value: number) => (classes ? value.toFixed(4) : short(inUnit(value)));
  const lossName = classes ? "loss" : "error";
  try {
    const { patience } = options;
    const earlyStopping = patience === undefined ? undefined : { patience };
    const set = {
      ...toLearn(training),
      ...(validation && { validation: toLearn(validation) }),
    };
    const fitOptions = {
      ...{ epochs, batchSize: batch, signal: stop.signal, earlyStopping },
      stopOnNaN: false, // checkLoss says so below
    };
    for await (const event of trainer.fit(set, fitOptions)) {
      speed = event.examplesPerSecond;
      if (event.type === "step") {
        checkLoss(event.loss, event.epoch);
        stepLosses.push(event.loss);
        stepAccuracies.push(event.accuracy);
        const known = rows.at(-1);
        const checked = known?.validationLoss ?? known?.loss;
        const figures = checked === undefined ? "" : `  ${lossName} ${lossText(checked)}`;
        progress?.update(trainer.steps, `epoch ${event.epoch}/${epochs}${figures}`);
        continue;
      }
      const row: EpochRow = { epoch: event.epoch, loss: event.loss };
      if (classes) row.accuracy = event.accuracy;
      if (event.validation) {
        row.validationLoss = event.validation.loss;
        if (classes) row.validationAccuracy = event.validation.accuracy;
      }
      rows.push(row);
      checkLoss(row.validationLoss ?? row.loss, row.epoch);
      if (options.json) {
        print(json({ type: "epoch", ...inSquares(row), examplesPerSecond: speed }));
      }
      stopped = event.stopped;
      const isTold = stopped || epochs <= 20 || event.epoch % Math.ceil(epochs / 20) === 0;
      if (!progress?.isShown && isTold) show(epochLine(row));
      // The best epoch is that on examples that are not learned from; without those it is the last.
      const isBest = !best || (row.validationLoss ?? -row.epoch) < best.loss;
      if (isBest) best = new Snapshot(model, row.epoch, row.validationLoss ?? -row.epoch);
    }
  } catch (error) {
    if (error !== stop.signal.reason) throw error; // it is not the interruption
  } finally {
    progress?.stop();
  }
  // An interruption before the first check leaves the values as they are.
  if (validation || !signal) best?.restore();
  if (!classes) tellUnit(model, unit);

  const file = fileOf();
  output.write(file);

  const seconds = (performance.now() - began) / 1000;
  const kept = validation || !signal ? best?.epoch : undefined;
  // The figures are those of the file, and not of the model before it was written.
  const served = loadModel(runtime, file) as Sequential;
  const learned = measure(training);
  const checked = validation && measure(validation);
  served.dispose();
  const told = checked ?? learned;
  const code = signal ? signalCodes[signal] : 0;
  if (options.json) {
    const { variant, threads } = runtime;
    const parameters = model.parameters().reduce((sum, { value }) => sum + value.size, 0);
    print(
      json({
        ...{ type: "done", file: options.out, bytes: file.length, parameters, epoch: kept ?? null },
        ...{ epochs: rows.length, interrupted: signal !== undefined, stopped },
        ...{ examples: training.count, validationExamples: validation?.count ?? 0 },
        ...{ loss: learned.loss, accuracy: learned.classes?.figures.accuracy },
        ...{
          validationLoss: checked?.loss,
          validationAccuracy: checked?.classes?.figures.accuracy,
        },
        ...(told.values ?? (told.classes && detailsOf(told.classes.figures))),
        ...{ classes, seed, seconds, variant, threads },
      }),
    );
  } else {
    if (rows.length > 1) show(`\n${charts(rows, stepLosses, stepAccuracies)}\n`);
    if (signal) show(`interrupted in epoch ${rows.length + 1} of ${epochs}`);
    else if (stopped) {
      show(
        `no better for ${plural(options.patience as number, "epoch")}: ended after epoch ${rows.length}`,
      );
    }
    print(summary());
    show(
      `next: ${bold(`lamella predict ${visible(options.out)} ${data.format === "csv" ? "new.csv" : "images"}`)}`,
    );
  }
  const advice = options.classWeights
    ? ""
    : "; --class-weights auto gives rare classes the weight of common ones";
  if (told.classes) tellConstant(told.classes, advice);
  runtime.dispose();
  return code;

  /** Refuses to go on where the loss is no number, or is too large for anything to be learned. */
  function checkLoss(value: number, epoch: number): void {
    const first = stepLosses[0] ?? value;
    const limit = 1e6 * Math.max(1, first);
    if (value <= limit) return;
    const where = `step ${integer(trainer.steps)} of ${integer(steps)}`;
    const grown = Number.isFinite(value) ? `, after ${short(first)} in the first step` : "";
    throw new Fault(
      `the loss is ${Number.isFinite(value) ? short(value) : value} in epoch ${epoch}${grown}: --learning-rate ${short(rate)} is too large for this (${where}); nothing was written`,
    );
  }

  /** Measures the file on these examples. */
  function measure({ x, y, count }: Part): Measured {
    if (!classes) {
      const scores = scoresOf(served, x as Float64Array, count);
      const values = qualityOfValues(y, decodeBy(data.table?.target, scores));
      return { count, values, loss: values.rmse * values.rmse };
    }
    const { loss: value } = served.evaluate({ x: x as Float64Array, y, loss, classWeights });
    // The scores of all are not kept: with many examples and classes no memory would hold them.
    const answers = new Int32Array(count);
    eachScores(served, x as Float64Array, count, (scores, start) =>
      answers.set(highest(scores, classes.length), start),
    );
    const quality = qualityOfClasses(y, answers, classes);
    return { count, classes: quality, loss: value };
  }

  /** Returns a row with losses as they are printed: those of values in the label's unit squared. */
  function inSquares(row: EpochRow): EpochRow {
    if (classes) return row;
    const { loss: learned, validationLoss: checked } = row;
    return {
      ...row,
      loss: inUnit(learned) * inUnit(learned),
      ...(checked !== undefined && { validationLoss: inUnit(checked) * inUnit(checked) }),
    };
  }

  function epochLine(row: EpochRow): string {
    const right = (share: number | undefined) =>
      share === undefined ? "" : `, ${percent(share)} right`;
    const checked =
      row.validationLoss === undefined
        ? ""
        : `; validation ${lossText(row.validationLoss)}${right(row.validationAccuracy)}`;
    const number = `${row.epoch}`.padStart(`${epochs}`.length);
    return `epoch ${number}/${epochs}  ${lossName} ${lossText(row.loss)}${right(row.accuracy)}${checked}`;
  }

  function charts(all: EpochRow[], losses: number[], accuracies: number[]): string {
    const curve = (name: string, values: (number | undefined)[]): Curve[] =>
      values.some((value) => value === undefined) ? [] : [{ name, values: values as number[] }];
    const checked = all.map((row) => row.validationLoss);
    const lossCurves = [
      ...curve(`${lossName}, learning`, losses.map(inUnit)),
      ...curve(
        `${lossName}, validation`,
        checked.map((value) => (value === undefined ? value : inUnit(value))),
      ),
    ];
    const drawn = [chart(lossCurves, (value) => short(value, 3), true)];
    if (classes) {
      const rightCurves = [
        ...curve("right, learning", accuracies),
        ...curve(
          "right, validation",
          all.map((row) => row.validationAccuracy),
        ),
      ];
      // Without colours each curve takes a chart of its own, and these are enough of them.
      drawn.push(
        chart(
          coloured ? rightCurves : rightCurves.slice(-1),
          (value) => `${(100 * value).toFixed(1)} %`,
          false,
        ),
      );
    }
    return drawn.join("\n\n");
  }

  function summary(): string {
    const where = checked
      ? `on ${plural(checked.count, "example")} that it did not learn from`
      : "on what it learned from";
    let quality = "";
    if (told.classes) {
      const { figures, count, text } = told.classes;
      const usual = Math.max(...figures.perClass.map(({ examples }) => examples)) / count;
      quality = `${percent(figures.accuracy)} right ${where} (always the same class: ${percent(usual)})\n\n${text}\n`;
    } else if (told.values) {
      const { rSquared } = told.values;
      const shown = rSquared === null ? "" : `, R² ${rSquared.toFixed(3)}`;
      quality = `${rmseText(told.values)}${shown} ${where}`;
    }
    const which = kept !== undefined && kept < rows.length ? `, of epoch ${kept}, the best` : "";
    const wrote = `wrote ${bold(visible(options.out))} (${bytes(file.length)})${which}`;
    const pace = `${duration(seconds)}, ${integer(speed)} examples/s`;
    return [quality, `${wrote}; ${pace}`].filter(Boolean).join("\n");
  }
}

/** Draws by the seed which examples are learned from and which are kept to check with. */
function split(
  runtime: Runtime,
  data: Data,
  truth: Truth,
  { validation, seed }: TrainOptions,
): [Part, Part | undefined] {
  const order = runtime.scope(() => runtime.random(seed).permutation(data.count).toTypedArray());
  const kept = Math.floor(data.count * validation);
  const training = gather(data, truth, order.subarray(0, data.count - kept));
  if (training.count === 0) {
    throw new Fault(
      `--validation ${validation} leaves nothing of ${plural(data.count, "example")}`,
    );
  }
  return [
    training,
    kept === 0 ? undefined : gather(data, truth, order.subarray(data.count - kept)),
  ];
}

/** Makes the last layer answer in the label's own unit: y · std + mean. */
function tellUnit(model: Sequential, { mean, std }: { mean: number; std: number }): void {
  const state = model.stateDict();
  const last = model.layers.length - 1;
  const weight = state[`${last}.weight`]?.data as Float32Array;
  const bias = state[`${last}.bias`]?.data as Float32Array;
  for (let i = 0; i < weight.length; i++) weight[i] = (weight[i] as number) * std;
  for (let i = 0; i < bias.length; i++) bias[i] = (bias[i] as number) * std + mean;
}
