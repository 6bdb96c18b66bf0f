// This file makes CSV into rows of cells, as often as they are asked for. A cell that does not fit
// is refused by its line and column.

import { CsvError, parse } from "csv-parse/sync";
import { isMissing } from "../io/table_map.ts";
import { toUtf8 } from "./encoding.ts";
import { Fault, quoted, USAGE, visible } from "./fault.ts";
import type { Limits } from "./files.ts";
import { binaryKind, type Foreign, textKind } from "./foreign.ts";
import { quantityOf } from "./quantity.ts";
import { RowLimits } from "./row_limits.ts";

export interface CsvOptions extends Partial<Limits> {
  /** It is looked for where this is undefined. */
  header?: boolean | undefined;
  delimiter?: string | undefined;
  encoding?: string | undefined;
}

type Cells = readonly string[];

export interface Rows {
  /** The name of the table in messages. */
  name: string;
  /** The first lines; all of them are data, but the first may be names. */
  sample: readonly Cells[];
  /** Reads all lines anew; none of them is kept. */
  each(visit: (cells: string[], line: number) => void): void;
}

/** The columns of a table. */
export interface Layout {
  /** True if the first line names the columns; otherwise it is data. */
  header: boolean;
  /** The names of the columns, as many as a row has cells. */
  columns: readonly string[];
}

/**
 * This many lines are looked at before anything is decided, and delimiters are counted in this many
 * bytes.
 */
const SAMPLE = 1000;
const SAMPLE_BYTES = 262_144;

export const isNumber = (cell: string) => cell !== "" && Number.isFinite(Number(cell));
/** True if all cells are numbers, which a header hardly has. */
export const allNumbers = (cells: Cells) => cells.every(isNumber);

const DELIMITERS = [",", ";", "\t", "|"];

/**
 * Returns the delimiter that the lines agree on. Most lines have it equally often outside quotes;
 * among several such it is the most frequent one.
 */
function sniff(text: string): string {
  const counts = new Map(DELIMITERS.map((delimiter) => [delimiter, new Map<number, number>()]));
  let here = new Map<string, number>();
  let [isQuoted, isBlank, lines] = [false, true, 0];
  // Semicolons or tabs separate where each comma stands within a number, as in 1,5;2,25.
  let commasInNumbers = true;
  const endLine = () => {
    if (!isBlank) {
      lines++;
      for (const [delimiter, count] of here) {
        const of = counts.get(delimiter) as Map<number, number>;
        of.set(count, (of.get(count) ?? 0) + 1);
      }
    }
    here = new Map();
    isBlank = true;
  };
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    if (character === '"') isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (character === "\n" || character === "\r") endLine();
    else {
      if (character.trim() !== "" || character === "\t") isBlank = false;
      if (!counts.has(character)) continue;
      here.set(character, (here.get(character) ?? 0) + 1);
      if (character === "," && !/^\d,\d$/.test(text.slice(i - 1, i + 2))) commasInNumbers = false;
    }
  }
  endLine();
  const ranked = DELIMITERS.map((delimiter) => {
    let [usual, agreeing] = [0, 0];
    for (const [count, share] of counts.get(delimiter) as Map<number, number>) {
      if (share > agreeing || (share === agreeing && count > usual))
        [usual, agreeing] = [count, share];
    }
    return { delimiter, usual, share: lines === 0 ? 0 : agreeing / lines };
  });
  const others = ranked.some(
    ({ delimiter, share }) => (delimiter === ";" || delimiter === "\t") && share > 0.9,
  );
  const best = ranked.reduce((a, b) => {
    if (commasInNumbers && others && a.delimiter === ",") return b;
    return b.share > a.share || (b.share === a.share && b.usual > a.usual) ? b : a;
  });
  return best.delimiter;
}

function refuse(name: string, kind: Foreign | undefined, more: string): void {
  if (kind) throw new Fault(`${name}: looks like ${kind.what}, not CSV: ${kind.advice}${more}`);
}

/** @param name the name of the table in messages */
export function openTable(
  given: Uint8Array<ArrayBuffer>,
  name: string,
  { delimiter: chosen, encoding, ...limits }: CsvOptions,
): Rows {
  refuse(name, binaryKind(given), "");
  let bytes = toUtf8(given, name, encoding);
  let begin = new TextDecoder().decode(bytes.subarray(0, SAMPLE_BYTES));
  // Such a text may still be a table, as a caller knows who names its delimiter.
  if (chosen === undefined) refuse(name, textKind(begin), " (--delimiter , reads it as a table)");
  // Excel names the delimiter in a line of its own.
  const [line, told] = /^"?sep=([^"\r\n])"?[ \t]*(?:\r\n|\r|\n)/i.exec(begin) ?? [];
  if (line !== undefined) {
    const mark = bytes[0] === 0xef ? 3 : 0;
    bytes = bytes.subarray(mark + Buffer.byteLength(line));
    begin = begin.slice(line.length);
  }
  const skipped = line === undefined ? 0 : 1;
  // The last line of a longer text may be cut.
  if (bytes.length > SAMPLE_BYTES) begin = begin.slice(0, begin.lastIndexOf("\n") + 1) || begin;
  const delimiter = chosen ?? told ?? sniff(begin);
  new RowLimits(name, delimiter, limits).check(bytes);

  const read = (visit: (cells: string[], line: number) => void, to?: number) => {
    try {
      parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
        delimiter,
        // The limits end a row at any of these, and so does the parser: if it knew the first line's
        // alone, a whole file might be one row.
        record_delimiter: ["\r\n", "\n", "\r"],
        bom: true,
        trim: true,
        skip_empty_lines: true,
        // A spreadsheet may leave empty rows below its table.
        skip_records_with_empty_values: true,
        relax_column_count: true, // eachRow counts them, and names the column
        ...(to !== undefined && { to }),
        on_record: (cells: string[], { lines }) => {
          visit(cells, lines + skipped);
          return null;
        },
      });
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      throw new Fault(`${name}: not CSV: ${visible(error.message)}`);
    }
  };
  const sample: string[][] = [];
  read((cells) => void sample.push(cells), SAMPLE);
  if (sample.length === 0) throw new Fault(`${name}: has no lines`);
  return { name, sample, each: (visit) => read(visit) };
}

/** Tells whether the first line is data, by comparing it with those below it. */
function judge([first = [], ...rest]: readonly Cells[]): "names" | "data" | "unclear" {
  const isFraction = (cell: string) => isNumber(cell) && !Number.isInteger(Number(cell));
  const isEvenlyNumbered = first.every(
    (cell, i) =>
      !isNumber(cell) ||
      i === 0 ||
      !isNumber(first[i - 1] as string) ||
      Number(cell) === Number(first[i - 1]) + 1,
  );
  if (allNumbers(first)) {
    return first.some(isFraction) || new Set(first).size < first.length ? "data" : "unclear";
  }
  if (rest.length === 0) return "names";
  // In each column the first cell looks like those below it, or like their name.
  let [alike, alikeTexts, named, fractions] = [0, 0, 0, 0];
  for (const [j, cell] of first.entries()) {
    if (isMissing(cell)) continue;
    const below = rest.map((cells) => cells[j] ?? "").filter((one) => !isMissing(one));
    const numbers = below.filter(isNumber).length;
    if (below.length > 0 && numbers >= 0.9 * below.length) {
      if (!isNumber(cell)) named++;
      else alike++;
      if (isFraction(cell)) fractions++;
      continue;
    }
    const quantities = below.map(quantityOf);
    const measured = quantities.filter((one) => one !== undefined).length;
    if (below.length > 0 && measured >= 0.9 * below.length) {
      // A word above dates, shares or sums of money is a name.
      if (quantities.includes(quantityOf(cell) ?? "a word")) alike++;
      else named++;
    } else if (new Set(below).size <= below.length / 2) {
      if (below.includes(cell)) alikeTexts++;
      else named++;
    }
  }
  if (named === 0) return alike + alikeTexts > 0 ? "data" : "names";
  if (fractions > 0 && alike + alikeTexts > named) return "data";
  if (alikeTexts === 0 && (alike === 0 || isEvenlyNumbered)) return "names";
  return alike + alikeTexts > named ? "unclear" : "names";
}

/**
 * Tells which columns a table has, and whether its first line names them.
 *
 * @param onData is called where the first line is taken for data because it looks like that
 */
export function layoutOf(
  { name, sample }: Rows,
  given: boolean | undefined,
  onData: () => void,
): Layout {
  const [first = [], ...rest] = sample;
  let header = given;
  if (header === undefined) {
    const judged = judge(sample);
    if (judged === "unclear") {
      const holds = allNumbers(first)
        ? "numbers alone"
        : "what looks like data in some columns and like names in others";
      throw new Fault(
        `${name}: the first line holds ${holds}: --no-header if it is data, --header if these are names`,
        USAGE,
      );
    }
    header = judged === "names";
    if (!header) onData();
  }
  // A delimiter at the end of each line makes no column.
  const isEnded = (line: Cells, from: number) => line.slice(from).every((cell) => cell === "");
  let width = first.length;
  // Cells beyond those of the first line are looked at together, and then each column alone.
  const isOver = sample.every((line) => isEnded(line, width));
  while (isOver && width > 1 && sample.every((line) => !line[width - 1])) width--;
  const columns = header ? first.slice(0, width) : unnamed(width);
  // R leaves the name out above the names of rows.
  const isShort = header && rest.length > 0 && rest.every((line) => line.length === width + 1);
  const lead = rest.map((line) => line[0] as string);
  if (isShort && new Set(lead).size === lead.length && rest.some((line) => line[width] !== "")) {
    columns.unshift("");
  }
  return { header, columns };
}

/** Returns names for columns that have none: 1, 2, … */
export const unnamed = (count: number) => Array.from({ length: count }, (_, i) => `${i + 1}`);

/** Visits all rows of data, each with a cell for every column. Returns the number of rows. */
export function eachRow(
  { name, each }: Rows,
  { header, columns }: Layout,
  visit: (cells: Cells, place: string) => void,
): number {
  let count = header ? -1 : 0;
  each((cells, line) => {
    if (++count === 0) return;
    while (cells.length > columns.length && cells.at(-1) === "") cells.pop();
    const place = `${name}, line ${line}`;
    if (cells.length !== columns.length) {
      const [given, expected] = [cells.length, columns.length];
      const which =
        given < expected
          ? `nothing for column ${quoted(columns[given] as string)}`
          : `${quoted(cells[expected] as string)} stands after the last column, ${quoted(columns[expected - 1] as string)}`;
      throw new Fault(`${place}: expected ${expected} cells, got ${given}: ${which}`);
    }
    visit(cells, place);
  });
  if (count <= 0) throw new Fault(`${name}: has a header, but no line of data below it`);
  return count;
}

/** Returns the index of a column; a Fault names the option and the columns that there are. */
export function columnOf(option: string, column: string, columns: Cells, name: string) {
  const index = columns.indexOf(column);
  if (index >= 0) return index;
  const shown = columns.slice(0, 20).map(quoted).join(", ");
  throw new Fault(
    `${option}: ${name} has no column ${quoted(column)}; it has ${shown}${columns.length > 20 ? ", …" : ""}`,
    USAGE,
  );
}

/** Refuses names that stand for two columns. */
export function checkHeader(columns: Cells, name: string): void {
  const seen = new Set<string>();
  const twice = columns.find((column) => seen.size === seen.add(column).size);
  if (twice !== undefined) {
    throw new Fault(`${name}: two columns are called ${quoted(twice)}`);
  }
}
