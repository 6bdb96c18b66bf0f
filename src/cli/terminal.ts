// This file prints what a person sees: numbers, tables, a bar and a curve. A pipe or a file gets
// plain lines, without a control character.

import process from "node:process";
import asciichart from "asciichart";
import cliProgress from "cli-progress";
import { reasonOf, visibleLines } from "./fault.ts";

type Stream = NodeJS.WriteStream;

const isWatched = (stream: Stream) => Boolean(stream.isTTY) && process.env.TERM !== "dumb";
/** The stream is asked where it knows; NO_COLOR means no in every host. */
const isColoured = (stream: Stream) =>
  isWatched(stream) && !process.env.NO_COLOR && (stream.hasColors?.() ?? true);

export const coloured = isColoured(process.stdout);
export const bold = (text: string) => (coloured ? `\x1b[1m${text}\x1b[0m` : text);
export const dim = (text: string) => (coloured ? `\x1b[2m${text}\x1b[0m` : text);

/**
 * True if nothing more can be printed: the reader has left, as `head` does, or the disk is full.
 */
let isClosed = false;

/**
 * A reader that has seen enough is no error, and ends nothing. What cannot be written for another
 * reason is told once, and the process ends with exit code 1 when its work is done: a training
 * still has its file.
 */
export function watchOutput(command: string): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (isClosed) return;
    isClosed = true;
    if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") return;
    note(`${command}: the standard output: ${reasonOf(error)}`);
    process.once("exit", (code) => {
      if (code === 0) process.exitCode = 1;
    });
  });
  process.stderr.on("error", () => {}); // nobody is left who could read of it
}

let isGivenAway = false;

/** From here on words go to the standard error, as a model's file goes to the standard output. */
export function printToStandardError(): void {
  isGivenAway = true;
}

/** The colours of this file. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const COLOUR = /(\x1b\[(?:[012]|3[34])m)/;

function write(text: string): void {
  if (!isClosed) process.stdout.write(`${text}\n`);
}

/**
 * The one way to the standard output. Whatever a file has put into the text, no terminal obeys it.
 *
 * @param isRaw into a pipe or a file the text goes as it is
 */
export function print(text = "", isRaw = false): void {
  if (isGivenAway) note(text);
  else if (isRaw && !process.stdout.isTTY) write(text);
  else {
    // The separators stand at the odd places.
    const parts = coloured ? text.split(COLOUR) : [text];
    write(parts.map((part, i) => (i % 2 === 1 ? part : visibleLines(part))).join(""));
  }
}

/** This many lines are printed together. */
const TOGETHER = 1000;

/**
 * Prints lines as they are made: however many there are, and however slow the reader is, few are
 * held at a time. Nothing more is printed once the reader has left.
 */
export async function printLines(lines: Iterable<string>, isRaw = false): Promise<void> {
  let part: string[] = [];
  for (const line of lines) {
    if (part.push(line) < TOGETHER) continue;
    print(part.join("\n"), isRaw);
    part = [];
    await written();
    if (isClosed) return;
  }
  if (part.length > 0) print(part.join("\n"), isRaw);
}

/** Waits until the reader has taken what was printed, or takes nothing any more. */
function written(): Promise<void> {
  const { stdout } = process;
  return new Promise((resolve) => {
    if (isClosed || !stdout.writableNeedDrain) return resolve();
    const ends = ["drain", "error", "close"];
    const end = () => {
      for (const name of ends) stdout.removeListener(name, end);
      resolve();
    };
    for (const name of ends) stdout.on(name, end);
  });
}

/** Prints a line that no script should take for a result. */
export function note(text: string): void {
  process.stderr.write(`${visibleLines(text)}\n`);
}

/**
 * Returns a value as JSON, which has no NaN and no infinities: they become null. Characters that a
 * terminal obeys are escaped, even where JSON need not do so, so that the values stay those of the
 * file.
 */
export const json = (value: unknown, indent?: number) =>
  JSON.stringify(value, null, indent).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\n"
      ? character
      : Array.from({ length: character.length }, unitOf, character).join(""),
  );

/** Returns \u202e for its character; of one that takes two units, one is written. */
function unitOf(this: string, _: unknown, index: number): string {
  return `\\u${this.charCodeAt(index).toString(16).padStart(4, "0")}`;
}

/** Returns the width of a line, which is read each time, as a terminal may be resized. */
const columnsOf = (stream: Stream) => stream.columns || 80;

/** Returns "12,345" for 12345. */
export const integer = (value: number) => value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");
export const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
/** Keeps this many significant digits, and all before the point: 0.00012, 1.235, 12346. */
export const short = (value: number, digits = 4) => {
  const size = Math.abs(value);
  if (size >= 1e9) return Number(value.toPrecision(digits)).toExponential();
  if (size >= 1000) return value.toFixed(0);
  return `${Number(value.toPrecision(digits))}`;
};
export const plural = (count: number, one: string, many = `${one}s`) =>
  `${integer(count)} ${count === 1 ? one : many}`;

export function bytes(count: number): string {
  if (count < 1000) return plural(count, "byte");
  const [unit, name] = count < 1e6 ? [1e3, "KB"] : count < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(count / unit).toFixed(1)} ${name}`;
}

export function duration(seconds: number): string {
  if (seconds < 1e-3) return `${(1e6 * seconds).toFixed(1)} µs`;
  if (seconds < 1) return `${(1e3 * seconds).toFixed(2)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${(seconds % 60).toFixed(0)} s`;
}

/** This stands between two columns of a table. */
const GAP = "  ";

/**
 * Makes rows into lines, the first of which is a head. Columns are aligned to the left or, where
 * `align` has an "r", to the right.
 * Where that is wider than the terminal, the columns come in blocks, one below the other, each with
 * the table's first column, and a cell that is wider than a block goes on in the next line.
 *
 * @param isPlain without a colour for the head, as a note has none
 * @param options.together columns that one block is to have, for which the first column gives way;
 *   where that would break a word of it, its cells stand on lines of their own, above the others
 * @param options.among rows of other tables as well, beside which this one stands in the same
 *   columns
 */
export function table(
  rows: readonly (readonly string[])[],
  align: string,
  isPlain = false,
  { together = 1, among = [] }: { together?: number; among?: typeof rows } = {},
): string {
  const { stdout } = process;
  const limit = isWatched(stdout) ? columnsOf(stdout) : Number.POSITIVE_INFINITY;
  const widest = (k: number) =>
    [...rows, ...among].reduce((most, row) => Math.max(most, (row[k] ?? "").trimEnd().length), 0);
  let most = Math.max(1, Math.floor(0.6 * limit));
  let isApart = false;
  if (together > 1) {
    let others = 0;
    for (let k = 1; k < together; k++) others += GAP.length + widest(k);
    most = Math.max(12, limit - others);
    const words = [...rows, ...among].flatMap(([cell = ""]) => cell.match(/^ *\S+|\S+/g) ?? []);
    isApart = words.some((word) => word.length > most);
  }
  const first = isApart ? 0 : Math.min(widest(0), most);
  const room = Math.max(1, limit - first - GAP.length);
  const widths = [first, ...[...align].slice(1).map((_, k) => Math.min(widest(k + 1), room))];
  const blocks: number[][] = [[0]];
  let used = first;
  for (let k = 1; k < widths.length; k++) {
    const width = GAP.length + (widths[k] as number);
    if (used + width > limit && blocks.at(-1)?.length !== 1) {
      blocks.push([0]);
      used = first;
    }
    used += width;
    blocks.at(-1)?.push(k);
  }
  const draw = (block: readonly number[]) => {
    // A row that has nothing in a later block is left out of it.
    const isFirst = block === blocks[0];
    const shown = rows.filter((row) => isFirst || block.slice(1).some((k) => row[k]));
    const paint = (text: string, row: unknown) => (row === rows[0] && !isPlain ? dim(text) : text);
    const linesOf = (row: readonly string[]) => {
      const [name = "", ...others] = row;
      if (!isApart) return rowLines(row, block, widths, align);
      const text = name.trimStart();
      const indent = " ".repeat(name.length - text.length);
      const above = text ? cellLines(text, limit - indent.length) : [];
      return [
        ...above.map((line) => indent + line),
        rowLines(["", ...others], block, widths, align),
      ].join("\n");
    };
    return shown.map((row) => paint(linesOf(row), row)).join("\n");
  };
  return blocks.map(draw).join("\n\n");
}

/** Writes the cells of some columns, in as many lines as the longest of them takes. */
function rowLines(
  row: readonly string[],
  block: readonly number[],
  widths: readonly number[],
  align: string,
): string {
  const cells = block.map((k) => cellLines(row[k] ?? "", widths[k] as number));
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) =>
    block
      .map((k, i) => {
        const [width, part] = [widths[k] as number, cells[i]?.[line] ?? ""];
        return align[k] === "r" ? part.padStart(width) : part.padEnd(width);
      })
      .join(GAP)
      .trimEnd(),
  ).join("\n");
}

/** Breaks a cell into lines of a width, at a space, or within a word where it has none. */
function cellLines(cell: string, width: number): string[] {
  const lines: string[] = [];
  let rest = cell.trimEnd();
  while (rest.length > width) {
    const space = rest.lastIndexOf(" ", width);
    const end = space > 0 && rest.slice(0, space).trim() ? space : width;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}

/** A bar on the standard error, where somebody watches. */
export class Progress {
  private readonly bar: InstanceType<typeof cliProgress.SingleBar> | undefined;
  private text = "";
  private readonly began = performance.now();
  private done = 0;

  constructor(private readonly total: number) {
    const { stderr } = process;
    if (!isWatched(stderr)) return;
    this.bar = new cliProgress.SingleBar({
      stream: stderr,
      clearOnComplete: true,
      hideCursor: true,
      format: () => this.line(columnsOf(stderr)),
    });
    // However the process ends, the cursor comes back.
    process.once("exit", this.stop);
    this.bar.start(total, 0);
  }

  /** True if the bar is on a terminal. */
  get isShown(): boolean {
    return this.bar !== undefined;
  }

  update(done: number, text: string): void {
    this.done = done;
    this.text = text;
    this.bar?.update(done);
  }

  readonly stop = (): void => {
    this.bar?.stop();
    process.removeListener("exit", this.stop);
  };

  /** Makes the line; the text matters most, then the time that is left, and then the bar. */
  private line(columns: number): string {
    const { text, done, total } = this;
    const left = this.left();
    // The time has the room of "99 s left" or of "99 min 59 s left": the bar's length stands still.
    const timeWidth = GAP.length + (left.length > 9 ? 16 : 9);
    const isTimed = text.length + timeWidth <= columns;
    const room = columns - text.length - GAP.length - (isTimed ? timeWidth : 0);
    const width = Math.min(30, room);
    const full = Math.floor((width * done) / total);
    const bar = width < 4 ? "" : `${"█".repeat(full)}${"░".repeat(width - full)}${GAP}`;
    return `${bar}${text}${isTimed ? GAP + left : ""}`.trimEnd().slice(0, columns);
  }

  private left(): string {
    if (this.done === 0) return "";
    const passed = (performance.now() - this.began) / 1000;
    const seconds = Math.ceil(((this.total - this.done) * passed) / this.done);
    return `${seconds < 100 ? `${seconds} s` : duration(seconds)} left`;
  }
}

export interface Curve {
  name: string;
  values: readonly number[];
}

/**
 * Returns the means of this many equal parts; where there are fewer values, each is repeated.
 */
function resample(values: readonly number[], points: number): number[] {
  return Array.from({ length: points }, (_, i) => {
    const from = Math.floor((i * values.length) / points);
    const to = Math.max(from + 1, Math.floor(((i + 1) * values.length) / points));
    const part = values.slice(from, to);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

/**
 * Draws curves over the same time: on one chart in two colours, or one below the other.
 *
 * @param isLogarithmic for what falls fast at first, where what comes later matters too
 */
export function chart(
  curves: readonly Curve[],
  format: (value: number) => string,
  isLogarithmic: boolean,
): string {
  const points = Math.max(1, Math.min(72, columnsOf(process.stdout) - 14));
  const series = curves.map(({ values }) => resample(values, points));
  const isPositive = series.every((values) => values.every((value) => value > 0));
  const scaled = isLogarithmic && isPositive;
  const label = (value: number) => format(scaled ? 10 ** value : value).padStart(10);
  const draw = (lines: number[][], colors: string[]) =>
    asciichart
      .plot(
        lines.map((line) => (scaled ? line.map(Math.log10) : line)),
        {
          height: 8,
          format: label,
          // One symbol for the whole axis, as a logarithm has no 0 to mark.
          symbols: ["┤", "┤", "╶", "╴", "─", "╰", "╭", "╮", "╯", "│"],
          ...(coloured ? { colors } : {}),
        },
      )
      .replace(/ +$/gm, "");
  const paints = [asciichart.blue, asciichart.yellow];
  if (!coloured) {
    return curves
      .map(({ name }, i) => `${name}\n${draw([series[i] as number[]], [])}`)
      .join("\n\n");
  }
  const names = curves.map(({ name }, i) => `${paints[i]}${name}\x1b[0m`).join(", ");
  return `${names}\n${draw(series, paints)}`;
}
