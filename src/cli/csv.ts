// Tables: CSV into numbers, row by row. What does not fit is refused by its line and column.

import { CsvError, parse } from "csv-parse/sync";
import { Fault, quoted, USAGE, visible } from "./fault.ts";
import type { Limits } from "./files.ts";
import { RowLimits } from "./row_limits.ts";

export interface CsvOptions extends Partial<Limits> {
  /** undefined: decided by `choose`, which is told. */
  header?: boolean | undefined;
  delimiter?: string | undefined;
}

/** Which columns are read. */
export interface Choice {
  /** Does the first line name the columns? Else it is data. */
  header: boolean;
  /** By name, for messages; as many as a row has cells. */
  columns: readonly string[];
  /** Indexes of columns, in the order in which the network takes them. */
  features: readonly number[];
  label: number | undefined;
  /** May a feature that holds no numbers be left out? */
  canDrop: boolean;
}

export interface Table {
  count: number;
  /** count × features. */
  x: Float64Array;
  /** The label column's cells as they stand, where it was chosen. */
  labels: string[] | undefined;
}

/** All cells are numbers: hardly a header. */
export const allNumbers = (cells: readonly string[]) =>
  cells.every((cell) => cell.trim() !== "" && Number.isFinite(Number(cell)));

/** The one of comma, semicolon and tab that the first line has most of. */
function sniff(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 65_536));
  const [line = ""] = text.trimStart().split(/\r?\n|\r/, 1);
  const count = (delimiter: string) => line.split(delimiter).length;
  return [",", ";", "\t"].reduce((a, b) => (count(b) > count(a) ? b : a));
}

/**
 * @param name what errors call it
 * @param choose is shown the first line, and refuses it or chooses
 */
export function readTable(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  { delimiter = sniff(bytes), ...given }: CsvOptions,
  choose: (first: readonly string[]) => Choice,
): Table {
  if (bytes.subarray(0, 65_536).includes(0)) {
    throw new Fault(`${name}: neither a table nor IDX: it has zero bytes, as no text has`);
  }
  new RowLimits(name, delimiter, given).check(bytes);
  let choice: Choice | undefined;
  let x = new Float64Array(4096);
  let count = 0;
  const labels: string[] = [];
  const addRow = (cells: readonly string[], line: number, chosen: Choice) => {
    const { columns, features, label, canDrop } = chosen;
    const place = `${name}, line ${line}`;
    if (cells.length !== columns.length) {
      const [given, expected] = [cells.length, columns.length];
      const which =
        given < expected
          ? `nothing for column ${quoted(columns[given] as string)}`
          : `${quoted(cells[expected] as string)} stands after the last column, ${quoted(columns[expected - 1] as string)}`;
      throw new Fault(`${place}: expected ${expected} cells, got ${given}: ${which}`);
    }
    const start = count * features.length;
    if (start + features.length > x.length) {
      const larger = new Float64Array(2 * Math.max(x.length, features.length));
      larger.set(x);
      x = larger;
    }
    for (const [j, column] of features.entries()) {
      const cell = cells[column] as string;
      const value = Number(cell);
      if (cell === "" || !Number.isFinite(value)) {
        const title = columns[column] as string;
        const given = cell === "" ? "nothing" : quoted(cell);
        const hint = canDrop ? ` (--drop ${quoted(title)} leaves the column out)` : "";
        throw new Fault(`${place}: column ${quoted(title)} has ${given}, expected a number${hint}`);
      }
      x[start + j] = value;
    }
    if (label !== undefined) {
      const cell = cells[label] as string;
      if (cell === "") {
        throw new Fault(
          `${place}: column ${quoted(columns[label] as string)}, the label, has nothing`,
        );
      }
      labels.push(cell);
    }
    count++;
  };
  try {
    parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      delimiter,
      bom: true,
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true, // counted above, by the column's name
      on_record: (cells: string[], { lines }) => {
        if (!choice) {
          choice = choose(cells);
          if (!choice.header) addRow(cells, lines, choice);
        } else addRow(cells, lines, choice);
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new Fault(`${name}: not CSV: ${visible(error.message)}`);
  }
  if (!choice) throw new Fault(`${name}: has no lines`);
  if (count === 0) throw new Fault(`${name}: has a header, but no line of data below it`);
  const { features, label } = choice;
  return {
    count,
    x: x.subarray(0, count * features.length),
    labels: label === undefined ? undefined : labels,
  };
}

/** The index of a column, or a Fault that names the option and what there is. */
export function columnOf(option: string, column: string, columns: readonly string[], name: string) {
  const index = columns.indexOf(column);
  if (index >= 0) return index;
  const shown = columns.slice(0, 20).map(quoted).join(", ");
  throw new Fault(
    `${option}: ${name} has no column ${quoted(column)}; it has ${shown}${columns.length > 20 ? ", …" : ""}`,
    USAGE,
  );
}

/** Refuses names that stand for two columns. */
export function checkHeader(columns: readonly string[], name: string): void {
  const seen = new Set<string>();
  const twice = columns.find((column) => seen.size === seen.add(column).size);
  if (twice !== undefined) {
    throw new Fault(`${name}: two columns are called ${quoted(twice)}`);
  }
}
