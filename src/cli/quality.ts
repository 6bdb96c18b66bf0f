// This file measures how right a model is where the answers are known: `lamella train` tells it of
// the file that it wrote, and `lamella predict` of any file.

import type { Sequential } from "lamella";
import { quoted, visible } from "./fault.ts";
import { integer, note, percent, short, table } from "./terminal.ts";

/** This many examples go through at once. */
const BATCH = 1024;
/**
 * A table shows each answer for up to MOST_ANSWERS classes, and a line each for up to MOST_LINES;
 * JSON has all answers for up to MOST_CONFUSED.
 */
const MOST_ANSWERS = 10;
const MOST_LINES = 40;
const MOST_CONFUSED = 100;

/**
 * Visits the scores of all examples, part by part, as the network gives them; `start` is the index
 * of a part's first example.
 */
export function eachScores(
  model: Sequential,
  x: Float64Array,
  count: number,
  visit: (scores: Float32Array<ArrayBuffer>, start: number) => void,
): void {
  const inSize = x.length / count;
  for (let n = 0; n < count; n += BATCH) {
    const part = model.predict(x.subarray(n * inSize, (n + BATCH) * inSize));
    visit(part.toTypedArray() as Float32Array<ArrayBuffer>, n);
    part.dispose();
  }
}

/** Returns all scores as one array. */
export function scoresOf(model: Sequential, x: Float64Array, count: number) {
  const outSize = model.output.reduce((product, length) => product * length, 1);
  const scores = new Float32Array(count * outSize);
  eachScores(model, x, count, (part, start) => scores.set(part, start * outSize));
  return scores;
}

/** Returns the class with the highest score of each example, the first of equal ones. */
export function highest(scores: ArrayLike<number>, width: number): Int32Array {
  return Int32Array.from({ length: scores.length / width }, (_, n) => {
    let top = 0;
    for (let i = 1; i < width; i++) {
      if ((scores[n * width + i] as number) > (scores[n * width + top] as number)) top = i;
    }
    return top;
  });
}

interface ClassRow {
  class: string;
  /** The number of examples of this class, and of those that are answered by it. */
  examples: number;
  answers: number;
  /**
   * The share of the class's examples that are found, and the share of its answers that are right;
   * null where there are none.
   */
  recall: number | null;
  precision: number | null;
}

export interface ClassFigures {
  accuracy: number;
  perClass: ClassRow[];
  /** confusion[i][j]: examples of class i that are answered by class j. */
  confusion?: number[][];
}

export interface ClassQuality {
  figures: ClassFigures;
  count: number;
  right: number;
  text: string;
  /** The class that every example gets as its answer, if it is always the same. */
  constant: string | undefined;
}

/**
 * @param truth the class of each example; −1 for one that the model does not know, which is counted
 *   as wrong
 */
export function qualityOfClasses(
  truth: ArrayLike<number>,
  answers: ArrayLike<number>,
  classes: readonly string[],
): ClassQuality {
  const width = classes.length;
  const pairs = new Map<number, number>();
  const [examples, given, found] = [0, 1, 2].map(() => new Int32Array(width)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  let right = 0;
  for (let n = 0; n < truth.length; n++) {
    const [is, said] = [truth[n] as number, answers[n] as number];
    given[said] = (given[said] as number) + 1;
    if (is < 0) continue;
    examples[is] = (examples[is] as number) + 1;
    const pair = is * width + said;
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    if (is !== said) continue;
    right++;
    found[is] = (found[is] as number) + 1;
  }
  const share = (part: number, of: number) => (of === 0 ? null : part / of);
  const perClass = classes.map((name, i): ClassRow => {
    const [of, to, hits] = [examples[i] as number, given[i] as number, found[i] as number];
    return {
      ...{ class: name, examples: of, answers: to },
      ...{ recall: share(hits, of), precision: share(hits, to) },
    };
  });
  const confusionOf = (i: number, j: number) => pairs.get(i * width + j) ?? 0;
  const figures = {
    accuracy: right / truth.length,
    perClass,
    ...(width <= MOST_CONFUSED && {
      confusion: classes.map((_, i) => classes.map((__, j) => confusionOf(i, j))),
    }),
  };
  const only = perClass.filter(({ answers: count }) => count > 0);
  return {
    ...{ figures, count: truth.length, right, text: textOf(perClass, confusionOf) },
    constant: only.length === 1 && truth.length > 1 ? only[0]?.class : undefined,
  };
}

const cut = (text: string) => (text.length > 16 ? `${text.slice(0, 15)}…` : text);

/**
 * Makes a line for each class: how many examples it has, how many of them are found, and what the
 * others are taken for.
 */
function textOf(
  perClass: readonly ClassRow[],
  confusion: (i: number, j: number) => number,
): string {
  const all = perClass.map((row, i) => ({ ...row, i }));
  // Where there are many classes, those that are found least are shown.
  const worst = [...all].sort((a, b) => (a.recall ?? 2) - (b.recall ?? 2) || a.i - b.i);
  const shown = all.length > MOST_LINES ? worst.slice(0, MOST_LINES) : all;
  const isWide = perClass.length > MOST_ANSWERS;
  const share = (value: number | null) => (value === null ? "–" : percent(value));
  const head = ["class", "examples", "recall", "precision"];
  const answered = isWide
    ? ["taken for instead"]
    : perClass.map(({ class: name }) => `as ${cut(visible(name))}`);
  const rows = shown.map(({ class: name, examples, recall, precision, i }) => {
    const others = perClass.map((_, j) => j);
    const most = others
      .filter((j) => j !== i && confusion(i, j) > 0)
      .sort((a, b) => confusion(i, b) - confusion(i, a) || a - b);
    const cells = isWide
      ? [
          most
            .slice(0, 2)
            .map((j) => `${cut(visible(perClass[j]?.class ?? ""))} (${integer(confusion(i, j))})`)
            .join(", "),
        ]
      : others.map((j) => integer(confusion(i, j)));
    return [cut(visible(name)), integer(examples), share(recall), share(precision), ...cells];
  });
  const drawn = table(
    [[...head, ...answered], ...rows],
    `lrrr${isWide ? "l" : "r".repeat(answered.length)}`,
    true,
  );
  return shown.length === all.length
    ? drawn
    : `${drawn}\n(the ${MOST_LINES} of ${all.length} classes that are found least)`;
}

/** Says so where a model always gives the same answer and the data have others. */
export function tellConstant({ constant, figures, count }: ClassQuality, advice = ""): void {
  const present = figures.perClass.filter(({ examples }) => examples > 0);
  // With a handful of examples that means nothing.
  if (constant === undefined || present.length < 2 || count < 10) return;
  note(`the model answers ${quoted(constant)} to every example${advice}`);
}

export interface ValueFigures {
  rmse: number;
  rSquared: number | null;
}

/** Measures answers that are values, in the label's own unit and in float64. */
export function qualityOfValues(truth: ArrayLike<number>, values: ArrayLike<number>): ValueFigures {
  const count = truth.length;
  const first = truth[0] as number;
  // The squares of very large or very small numbers leave float64's range.
  let [sum, size] = [0, 0];
  for (let n = 0; n < count; n++) {
    const [is, said] = [truth[n] as number, values[n] as number];
    size = Math.max(size, Math.abs(is - first), Math.abs(said - is));
    sum += (is - first) / count;
  }
  if (size === 0) return { rmse: 0, rSquared: null };
  const mean = first + sum;
  let [squares, spread] = [0, 0];
  for (let n = 0; n < count; n++) {
    const error = ((values[n] as number) - (truth[n] as number)) / size;
    const distance = ((truth[n] as number) - mean) / size;
    squares += error * error;
    spread += distance * distance;
  }
  return {
    rmse: Math.sqrt(squares / count) * size,
    rSquared: spread === 0 ? null : 1 - squares / spread,
  };
}

export const rmseText = ({ rmse }: ValueFigures) => `root mean squared error ${short(rmse)}`;
