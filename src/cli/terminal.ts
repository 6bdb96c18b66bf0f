// What a person sees: numbers, tables, a bar and a curve. Into a pipe or a file all of it is plain lines, without a
// control character.

import process from "node:process";
import asciichart from "asciichart";
import cliProgress from "cli-progress";

type Stream = NodeJS.WriteStream;

const isWatched = (stream: Stream) => Boolean(stream.isTTY) && process.env.TERM !== "dumb";
/** Asked of the stream where it knows; NO_COLOR says no in any host. */
const isColoured = (stream: Stream) =>
  isWatched(stream) && !process.env.NO_COLOR && (stream.hasColors?.() ?? true);

export const coloured = isColoured(process.stdout);
export const bold = (text: string) => (coloured ? `\x1b[1m${text}\x1b[0m` : text);
export const dim = (text: string) => (coloured ? `\x1b[2m${text}\x1b[0m` : text);

/** Has the reader of the standard output left, as `head` does? What is printed from then on is lost. */
let isClosed = false;

/** A reader that has seen enough is no error. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
    isClosed = true;
  });
  process.stderr.on("error", () => {}); // nobody is left to be told
}

export function print(text = ""): void {
  if (!isClosed) process.stdout.write(`${text}\n`);
}

/** What no script should take for a result. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** JSON has no NaN and no infinities: they are null. */
export const json = (value: unknown, indent?: number) => JSON.stringify(value, null, indent);

const LONGEST = 100;
const columnsOf = (stream: Stream) => Math.min(LONGEST, Math.max(40, stream.columns || 80));

/** 12345 → "12,345". */
export const integer = (value: number) => value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");
export const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
/** So many digits that count, and those before the point: 0.00012, 1.235, 12346, 1.235e+20. */
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

/** Rows as lines, the first a head; columns to the left or, where `align` has an "r", to the right. */
export function table(rows: readonly (readonly string[])[], align: string): string {
  const widths = [...align].map((_, k) => Math.max(...rows.map((row) => (row[k] ?? "").length)));
  const lines = rows.map((row) =>
    widths
      .map((width, k) => {
        const cell = row[k] ?? "";
        return align[k] === "r" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
  return [dim(lines[0] as string), ...lines.slice(1)].join("\n");
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
    const columns = columnsOf(stderr);
    this.bar = new cliProgress.SingleBar({
      stream: stderr,
      clearOnComplete: true,
      hideCursor: true,
      format: () => {
        const width = Math.max(8, Math.min(30, columns - this.text.length - 16));
        const full = Math.floor((width * this.done) / total);
        return `${"█".repeat(full)}${"░".repeat(width - full)}  ${this.text}  ${this.left()}`;
      },
    });
    // However the process ends, the cursor comes back.
    process.once("exit", this.stop);
    this.bar.start(total, 0);
  }

  /** Does anybody see it? */
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

/** The means of so many equal parts; parts of one value, drawn out, where there are fewer values. */
function resample(values: readonly number[], points: number): number[] {
  return Array.from({ length: points }, (_, i) => {
    const from = Math.floor((i * values.length) / points);
    const to = Math.max(from + 1, Math.floor(((i + 1) * values.length) / points));
    const part = values.slice(from, to);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

/**
 * Curves over the same time: on one chart in two colours, else one below the other.
 *
 * @param isLogarithmic for what falls fast at first, where what comes later matters too
 */
export function chart(
  curves: readonly Curve[],
  format: (value: number) => string,
  isLogarithmic: boolean,
): string {
  const points = Math.min(72, columnsOf(process.stdout) - 14);
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
