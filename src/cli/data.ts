// This file reads what networks are trained on and asked about: tables and images. The content of a
// file decides which it is, and not its name.

import { existsSync } from "node:fs";
import {
  encodeCell,
  isMissing,
  type TableColumn,
  type TableMap,
  widthOf,
} from "../io/table_map.ts";
import {
  allNumbers,
  type CsvOptions,
  checkHeader,
  columnOf,
  eachRow,
  type Layout,
  layoutOf,
  openTable,
  type Rows,
  unnamed,
} from "./csv.ts";
import { Fault, quoted, USAGE, visible } from "./fault.ts";
import { checkLimit, type Limits, nameOf, readInput } from "./files.ts";
import { type Idx, isIdx, parseIdx } from "./idx.ts";
import {
  columnFor,
  isRefusal,
  listOf,
  type Missing,
  Profile,
  type Refusal,
  shownValues,
} from "./profile.ts";
import { note, plural } from "./terminal.ts";

/** Options of every command that reads data. */
export interface DataOptions extends CsvOptions {
  label?: string;
  labels?: string;
  drop?: string[];
  decimal?: string;
}

/** Options of the command that decides what becomes of a table's columns. */
export interface ColumnsOptions extends DataOptions {
  loss?: "softmax" | "svm" | "mse";
  keep?: string[];
  category?: string[];
  missing?: Missing;
  maxCategories?: number;
}

/** A table, and the map from its cells to numbers. */
export interface Table extends TableMap {
  label: string | undefined;
  header: boolean;
  /** The names of the columns that are left out. */
  dropped: string[];
  /**
   * The columns of the training in their order, where that is not the features and then the label.
   */
  order?: string[] | undefined;
}

export interface Data {
  /** Its name in messages. */
  name: string;
  format: "csv" | "idx";
  count: number;
  /** The shape of one example. */
  shape: number[];
  /** The numbers of the examples, one after the other. */
  x: Idx["data"] | Float64Array;
  /** The label of each example as text, "" for one without; undefined where no example has one. */
  labels: string[] | undefined;
  table?: Table;
}

/** The most different texts that a label may have. */
const MOST_CLASSES = 65_536;
/** A column may have this many one-hot values where no option says otherwise. */
const MOST_CATEGORIES = 50;
/**
 * A column of whole numbers with more values than this counts as measured, where another column of
 * texts could be the class.
 */
const MOST_WHOLE = 20;

/** The columns that are read, by their places in a row. */
interface Choice extends Layout {
  features: readonly number[];
  label: number | undefined;
}

/**
 * Returns the numbers of all rows, by the map of the table.
 *
 * @param more the limits, whether a row with an empty cell is left out, whether the label may be
 *   empty, and whether the first line may be names
 */
function numbersOf(
  rows: Rows,
  { columns: map, decimal }: TableMap,
  choice: Choice,
  more: Partial<Limits> & { dropsEmpty?: boolean; canLackLabel?: boolean; canBeNames?: boolean },
) {
  const { columns, features, label } = choice;
  const width = map.reduce((sum, column) => sum + widthOf(column), 0);
  let x = new Float64Array(4096);
  let start = 0;
  let count = 0;
  // There is one string for each class, not one for each row.
  const known = new Map<string, string>();
  const labels: string[] = [];
  eachRow(rows, choice, (cells, place) => {
    const isEmpty = (column: number) => isMissing(cells[column] as string);
    if (more.dropsEmpty && (features.some(isEmpty) || isEmpty(label as number))) return;
    count++;
    if (start + width > x.length) {
      checkLimit("maxCells", more, count * width, rows.name, "cells once its texts are numbers");
      const larger = new Float64Array(2 * Math.max(x.length, width));
      larger.set(x);
      x = larger;
    }
    for (const [i, column] of map.entries()) {
      const cell = cells[features[i] as number] as string;
      const expected = encodeCell(column, cell, decimal, x, start);
      if (expected) {
        const isEmpty = isMissing(cell);
        const given = isEmpty ? "nothing" : quoted(cell);
        const advice = isEmpty
          ? " (the training met no empty cell there: leave the row out, or train with --missing mean)"
          : count === 1 && more.canBeNames && !choice.header
            ? " (if the first line holds names, say so with --header)"
            : column.missing !== undefined && column.kind !== "category"
              ? " (NA, or nothing, stands for a value that is missing)"
              : "";
        throw new Fault(
          `${place}: column ${quoted(column.name)} has ${given}, expected ${expected}${advice}`,
        );
      }
      start += widthOf(column);
    }
    if (label === undefined) return;
    const cell = cells[label] as string;
    if (isMissing(cell) && !more.canLackLabel) {
      throw new Fault(
        `${place}: column ${quoted(columns[label] as string)}, the label, has nothing (--missing drop leaves such rows out)`,
      );
    }
    if (!known.has(cell)) known.set(cell, cell);
    labels.push(known.get(cell) as string);
  });
  return {
    ...{ count, x: x.subarray(0, start), shape: [width] },
    labels: label === undefined ? undefined : labels,
  };
}

/** Returns train-labels-idx1-ubyte.gz for train-images-idx3-ubyte.gz, if there is such a file. */
function siblingOf(path: string): string | undefined {
  const sibling = path.replace(/images([-.])idx\d+/, "labels$1idx1");
  const plain = sibling.replace(/\.gz$/, "");
  return [sibling, plain, `${plain}.gz`].find((file) => file !== path && existsSync(file));
}

/** Returns the paths of this file and of every other that is read with it. */
export function pathsOf(path: string, { labels = siblingOf(path) }: DataOptions): string[] {
  return labels === undefined ? [path] : [path, labels];
}

async function imagesOf(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  options: DataOptions,
): Promise<Data> {
  const { labels: labelsPath = siblingOf(path), label, header, delimiter, drop } = options;
  const name = nameOf(path);
  const wrong = Object.entries({ label, header, delimiter, drop }).find(([, value]) => value);
  if (wrong) {
    const hint = wrong[0] === "label" ? "; --labels names the file with the labels" : "";
    throw new Fault(`--${wrong[0]} is for tables, and ${name} is IDX${hint}`, USAGE);
  }
  const { shape, data } = parseIdx(bytes, name);
  const [count = 0, ...each] = shape;
  checkLimit("maxRows", options, count, name, "examples");
  const size = each.reduce((product, length) => product * length, 1);
  if (count === 0 || size === 0) throw new Fault(`${name}: has no examples`);
  if (each.length === 0) {
    throw new Fault(`${name}: has one number an example, as files of labels do: expected images`);
  }
  let labels: string[] | undefined;
  if (labelsPath !== undefined) {
    const labelsName = visible(labelsPath);
    const read = await readInput(labelsPath, options);
    const idx = parseIdx(read, labelsName);
    if (idx.shape.length !== 1 || idx.shape[0] !== count) {
      throw new Fault(
        `${labelsName}: expected ${count} labels, one for each example of ${name}, got ${idx.shape.join(" × ")}`,
      );
    }
    labels = Array.from(idx.data, String);
  }
  return { name, format: "idx", count, shape: each, x: data, labels };
}

/**
 * Reads the data of a file to train on. In a table the label is the last column, unless an option
 * names it.
 */
export async function readTraining(path: string, options: ColumnsOptions): Promise<Data> {
  const bytes = await readInput(path, options);
  const name = nameOf(path);
  if (isIdx(bytes)) {
    const data = await imagesOf(path, bytes, options);
    if (data.labels) return data;
    throw new Fault(
      `${name} has images alone: --labels names the IDX file with their labels`,
      USAGE,
    );
  }
  if (options.labels !== undefined) {
    throw new Fault(
      `--labels is for IDX, and ${name} is a table: --label names one of its columns`,
      USAGE,
    );
  }
  return tableOf(openTable(bytes, name, options), options);
}

/**
 * Returns the first place of each name. To search for every name among all would be quadratic in
 * the columns.
 */
const indexesOf = (names: readonly string[]) =>
  new Map(names.map((name, i) => [name, i] as const).reverse());

/** Decides what becomes of each column, says so, and reads the table accordingly. */
function tableOf(rows: Rows, options: ColumnsOptions): Data {
  const { name } = rows;
  const layout = layoutOf(rows, options.header, () =>
    note(`${name}: the first line is read as data, not as names (--header says otherwise)`),
  );
  const { header } = layout;
  const columns = named(layout.columns);
  checkHeader(columns, name);
  const chosenBy = (option: string, given: readonly string[] = []) =>
    given.map((column) => columnOf(`--${option}`, column, columns, name));
  const dropped = chosenBy("drop", options.drop);
  const kept = chosenBy("keep", options.keep);
  const categories = chosenBy("category", options.category);
  const left = columns.map((_, i) => i).filter((i) => !dropped.includes(i));
  const label =
    options.label === undefined
      ? (left.at(-1) ?? 0)
      : columnOf("--label", options.label, columns, name);
  const { missing = "auto", maxCategories: most = MOST_CATEGORIES, decimal } = options;
  const profiles = columns.map((column, i) => {
    const values = i === label ? MOST_CLASSES : most;
    return new Profile(column, i > 0 || layout.columns[0] !== "", values, decimal);
  });
  eachRow(rows, layout, (cells, place) => {
    for (const i of left) (profiles[i] as Profile).add(cells[i] as string, place);
  });
  const of = profiles[label] as Profile;
  if (of.rows > 0 && of.filled === 0) {
    const title = `column ${quoted(of.name)} of ${name}`;
    throw options.label === undefined
      ? new Fault(
          `${title}, the last and so the label, has nothing in any row: --label names the label, or --drop ${quoted(of.name)} leaves the column out`,
          USAGE,
        )
      : new Fault(`${title}, the label, has nothing in any row`, USAGE);
  }
  if (of.values === undefined && options.loss !== "mse") {
    throw new Fault(
      `${name}: column ${quoted(of.name)}, the label, has more than ${MOST_CLASSES} different texts`,
    );
  }
  if (options.label === undefined && options.loss !== "mse") askForLabel(profiles, label, left);

  let features = left.filter((i) => i !== label);
  const omit = (
    which: (profile: Profile) => boolean,
    why: (names: string, isOne: boolean) => string,
  ) => {
    const out = features.filter((i) => which(profiles[i] as Profile) && !kept.includes(i));
    if (out.length === 0) return;
    const isOne = out.length === 1;
    const names = listOf(out.map((i) => columns[i] as string));
    if (out.length === features.length)
      return note(`${name}: ${why(names, isOne)}; nothing else is there, so it is kept`);
    const gone = new Set(out);
    features = features.filter((i) => !gone.has(i));
    dropped.push(...out);
    note(
      `${name}: ${why(names, isOne)}, and ${isOne ? "is" : "are"} left out (--keep ${isOne ? names : "<column>"} takes ${isOne ? "it" : "them"})`,
    );
  };
  omit(
    ({ filled }) => filled === 0,
    (names, isOne) =>
      `${isOne ? "column" : "columns"} ${names} ${isOne ? "has" : "have"} no cell that is not empty`,
  );
  omit(
    ({ countsRows }) => countsRows,
    (names, isOne) =>
      `${isOne ? "column" : "columns"} ${names} ${isOne ? "counts or names" : "count or name"} the rows`,
  );
  if (features.length === 0) {
    throw new Fault(
      `${name}: nothing to learn from: the ${columns.length === 1 ? "only column is" : "columns left are"} the label ${quoted(of.name)} (are columns separated by something else? --delimiter)`,
    );
  }
  const chosen = features.map((i) =>
    columnFor(profiles[i] as Profile, { missing, most, isCategory: categories.includes(i) }),
  );
  const refused = chosen.filter(isRefusal);
  if (refused.length > 0)
    refuse(
      refused,
      features.flatMap((i, k) => (isRefusal(chosen[k] as Refusal) ? [columns[i] as string] : [])),
    );
  const map = chosen as TableColumn[];
  tellColumns(name, map, profiles);
  const target = options.loss === "mse" ? of.numbers.line : {};
  const table: Table = {
    ...{ columns: map, decimal, label: of.name, header },
    dropped: dropped.map((i) => columns[i] as string),
    ...(target.offset !== undefined && { target }),
    ...([...features, label].some((i, k) => i !== k) && { order: columns }),
  };
  const choice = { header, columns, features, label };
  const read = numbersOf(rows, table, choice, { ...options, dropsEmpty: missing === "drop" });
  if (read.count === 0) {
    throw new Fault(`${name}: each of its rows has an empty cell, and --missing drop leaves none`);
  }
  const without = of.rows - read.count;
  if (without > 0) {
    note(`${name}: ${plural(without, "row")} of ${of.rows} have an empty cell and are left out`);
  }
  return { name, format: "csv", ...read, table };

  function refuse(all: readonly Refusal[], names: readonly string[]): never {
    const { place, message, hint, more = "", isTooMany } = all[0] as Refusal;
    const alike = isTooMany ? names.filter((_, i) => all[i]?.isTooMany) : names.slice(0, 1);
    const drop = alike.map((column) => `--drop ${quoted(column)}`).join(" ");
    const others =
      alike.length > 1
        ? `; so ${alike.length === 2 ? "has" : "have"} ${listOf(alike.slice(1))}`
        : "";
    const advice = hint ?? `${drop} leaves the column${alike.length > 1 ? "s" : ""} out`;
    throw new Fault(`${place ?? name}: ${message}${others} (${advice})${more}`);
  }
}

/** Gives names to columns that have none, as a header of pandas or R leaves one out. */
const named = (columns: readonly string[]) =>
  columns.map((column, i) => (column === "" ? `column_${i + 1}` : column));

/** Says what becomes of the columns that are not simply numbers. */
function tellColumns(
  name: string,
  map: readonly TableColumn[],
  profiles: readonly Profile[],
): void {
  const tell = (
    which: (column: TableColumn) => unknown,
    what: string,
    how: (column: TableColumn) => string,
  ) => {
    const found = map.filter(which);
    if (found.length === 0) return;
    const shown = found.slice(0, 8).map((column) => `${quoted(column.name)}${how(column)}`);
    const more = found.length > 8 ? `, and ${found.length - 8} more` : "";
    note(`${name}: ${what}: ${shown.join(", ")}${more}`);
  };
  const empties = new Map(profiles.map((profile) => [profile.name, profile.empties]));
  const emptyIn = (column: TableColumn) => empties.get(column.name) ?? 0;
  tell(
    ({ values }) => values,
    "one input for each of its values",
    ({ values }) => ` (${shownValues(values as string[])})`,
  );
  tell(
    ({ kind }) => kind === "date",
    "dates, as days since 1970-01-01",
    () => "",
  );
  tell(
    (column) => emptyIn(column) > 0 && column.indicator,
    "empty cells get an input of their own, and numbers their mean",
    (column) => ` (${emptyIn(column)})`,
  );
  tell(
    (column) => emptyIn(column) > 0 && column.missing !== undefined && !column.indicator,
    "empty cells get the mean, or the most usual text",
    (column) => ` (${emptyIn(column)})`,
  );
}

/**
 * Asks which column is the label where the last one seems measured and another looks like classes.
 */
function askForLabel(profiles: readonly Profile[], label: number, left: readonly number[]): void {
  const last = profiles[label] as Profile;
  const isMeasured =
    last.is("number") && (last.fraction !== undefined || (last.values?.size ?? 0) > MOST_WHOLE);
  if (!isMeasured) return;
  const candidates = left.filter((i) => i !== label && (profiles[i] as Profile).looksLikeClasses);
  if (candidates.length === 0) return;
  const options = candidates
    .slice(0, 4)
    .map((i) => `--label ${quoted((profiles[i] as Profile).name)}`);
  const holds = last.fraction
    ? `fractions, such as ${last.fraction}`
    : `${last.values?.size} different numbers`;
  throw new Fault(
    `the label is ${quoted(last.name)}, the last column, which holds ${holds}; did you mean ${options.join(" or ")}? (--loss mse learns its values, --label ${quoted(last.name)} takes each for a class)`,
    USAGE,
  );
}

/**
 * Reads the data of a file to ask a network about.
 *
 * @param input the shape of an example
 * @param known the table that the network was trained on, where the model's file tells
 */
export async function readQuestions(
  path: string,
  options: DataOptions,
  input: readonly number[],
  known: Table | undefined,
): Promise<Data> {
  const bytes = await readInput(path, options);
  const name = nameOf(path);
  const size = input.reduce((product, length) => product * length, 1);
  if (isIdx(bytes)) {
    const data = await imagesOf(path, bytes, options);
    // A network over images [H, W, C] takes no others of as many numbers, as 14 × 56 for 28 × 28.
    const isOther =
      input.length === 3 &&
      data.shape.length > 1 &&
      `${[...data.shape, 1].slice(0, 3)}` !== `${input}`;
    const length = data.shape.reduce((product, length) => product * length, 1);
    if (length === size && !isOther) return { ...data, shape: [...input] };
    throw new Fault(
      `${name}: an example is ${data.shape.join(" × ")}, and the model takes ${input.join(" × ")}`,
    );
  }
  if (options.labels !== undefined) {
    throw new Fault(
      `--labels is for IDX, and ${name} is a table: --label names one of its columns`,
      USAGE,
    );
  }
  // A file of a hundred bytes may claim any number of inputs.
  checkLimit("maxColumns", options, size, "the model", "inputs, of which a row has a column each");
  const table: Table = {
    ...(known ?? { columns: unnamed(size).map((column) => ({ name: column })), dropped: [] }),
    ...{ label: known?.label, header: false },
    decimal: options.decimal ?? known?.decimal,
  };
  const width = table.columns.reduce((sum, column) => sum + widthOf(column), 0);
  if (width !== size) {
    const what = known?.columns.some((column) => widthOf(column) > 1) ? "inputs" : "features";
    throw new Fault(`the model takes ${size} numbers, and its file names ${width} ${what}`);
  }
  const taken = table.columns.map((column) => column.name);
  const rows = openTable(bytes, name, options);
  const choice = choose(known?.header === false ? false : undefined);
  table.header = choice.header;
  const canBeNames = options.header === undefined;
  const read = numbersOf(rows, table, choice, { ...options, canLackLabel: true, canBeNames });
  return { name, format: "csv", ...read, shape: [...input], table };

  function choose(usual: boolean | undefined): Choice {
    const { columns: cells } = layoutOf(rows, false, () => {});
    const first = (rows.sample[0] as readonly string[]).slice(0, cells.length);
    const names = new Set(first);
    const isNames = known && taken.every((column) => names.has(column));
    const header = options.header ?? usual ?? (isNames || !looksLikeData(first));
    if (!header || !known) return byPlace(first, header);
    // The training had no names like those of this line, so that the places count.
    if (known.header === false && !isNames) return { ...byPlace(first, false), header };
    const given = layoutOf(rows, true, () => {}).columns;
    const columns = taken.includes("") ? given : named(given);
    checkHeader(columns, name);
    const indexes = indexesOf(columns);
    const features = taken.map((column) => {
      const index = indexes.get(column);
      if (index !== undefined) return index;
      throw new Fault(
        `${name}: has no column ${quoted(column)}, which the model takes; it has ${columns.slice(0, 20).map(quoted).join(", ")}`,
      );
    });
    table.label = options.label ?? known.label;
    const label =
      options.label === undefined
        ? columns.indexOf(known.label ?? "")
        : columnOf("--label", options.label, columns, name);
    const more = options.drop ?? [];
    for (const column of more) columnOf("--drop", column, columns, name);
    const dropped = new Set([...known.dropped, ...more]);
    const read = new Set(features);
    const extra = columns.find((column, i) => i !== label && !read.has(i) && !dropped.has(column));
    if (extra !== undefined) {
      throw new Fault(
        `${name}: column ${quoted(extra)} is none that the model takes: --drop ${quoted(extra)} leaves it out`,
      );
    }
    return { header, columns, features, label: label < 0 ? undefined : label };
  }

  /**
   * True if a line can be data: the map takes its cells, with the label or without it, and the map
   * does not take every text.
   */
  function looksLikeData(first: readonly string[]): boolean {
    if (!known) return allNumbers(first.slice(0, size));
    const names = new Set(first);
    if (taken.some((column) => names.has(column))) return false;
    const order = orders(first.length)[0];
    if (!order) return allNumbers(first.slice(0, taken.length));
    const places = indexesOf(order);
    return table.columns.every((column, i) => {
      const cell = first[places.get(taken[i] as string) ?? -1] as string;
      if (column.values) return isMissing(cell) || column.values.includes(cell);
      return (
        encodeCell(column, cell, table.decimal, new Float64Array(widthOf(column)), 0) === undefined
      );
    });
  }

  /** Returns the names of this many columns, in the orders that a table without names may have. */
  function orders(length: number): string[][] {
    const label = known?.label ?? "the label";
    const { order = [...taken, label], dropped } = table;
    const out = new Set(dropped);
    const isTaken = (column: string) => !out.has(column);
    const all = [taken, [...taken, label], order.filter(isTaken), order];
    const isOther = (column: string) => column !== label;
    return [...all.slice(0, 1), ...all.slice(2), all[1] as string[], order.filter(isOther)].filter(
      (one) => one.length === length,
    );
  }

  /** Finds the columns in the order of the training, with the label or without it. */
  function byPlace(first: readonly string[], isHeader: boolean): Choice {
    const usual = known ? orders(first.length)[0] : undefined;
    const names = isHeader ? [...first] : [...(usual ?? [...taken, known?.label ?? "the label"])];
    const dropped = (options.drop ?? []).map((column) => columnOf("--drop", column, names, name));
    const given = options.label;
    const chosen = given === undefined ? undefined : columnOf("--label", given, names, name);
    const left = names.map((_, i) => i).filter((i) => i < first.length && !dropped.includes(i));
    if (usual && !isHeader && dropped.length === 0) {
      const at = chosen ?? names.indexOf(known?.label ?? "the label");
      table.label = at < 0 ? undefined : names[at];
      const indexes = indexesOf(names);
      const features = taken.map((column) => indexes.get(column) ?? -1);
      return { header: false, columns: names, features, label: at < 0 ? undefined : at };
    }
    const needed = taken.length;
    const label = chosen ?? (left.length === needed + 1 ? left.at(-1) : undefined);
    const features = left.filter((i) => i !== label);
    if (features.length !== needed || first.length > names.length) {
      const expected = `expected ${needed}, or ${needed + 1} with the label as the last`;
      const which =
        features.length < needed
          ? `nothing for ${quoted(taken[features.length] as string)}`
          : `${quoted(first[needed + 1] ?? "")} stands after the last`;
      throw new Fault(`${name}, line 1: ${first.length} columns, ${expected}: ${which}`);
    }
    table.label = label === undefined ? undefined : (names[label] ?? known?.label);
    return { header: isHeader, columns: names.slice(0, first.length), features, label };
  }
}
