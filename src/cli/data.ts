// What networks are trained on and asked about: tables and images, by what the file is and not by what it is called.

import { existsSync } from "node:fs";
import { allNumbers, checkHeader, columnOf, readTable } from "./csv.ts";
import { Fault, quoted, USAGE, visible } from "./fault.ts";
import { type Limits, nameOf, readInput } from "./files.ts";
import { type Idx, isIdx, parseIdx } from "./idx.ts";

/** Options of every command that reads data. */
export interface DataOptions extends Partial<Limits> {
  label?: string;
  labels?: string;
  drop?: string[];
  header?: boolean;
  delimiter?: string;
}

export interface Data {
  /** How messages call it. */
  name: string;
  format: "csv" | "idx";
  count: number;
  /** Of one example. */
  shape: number[];
  /** Example by example. */
  x: Idx["data"] | Float64Array;
  /** What is known of each, as text; undefined where nothing is. */
  labels: string[] | undefined;
  /** Of a table: the names of the features and of the label, and whether they come from a header. */
  table?: { features: string[]; label: string | undefined; header: boolean };
}

/** Of a table that a network was trained on. */
export interface KnownTable {
  features: readonly string[];
  label: string | undefined;
  header: boolean;
  dropped: readonly string[];
}

const unnamed = (count: number) => Array.from({ length: count }, (_, i) => `${i + 1}`);

/** train-images-idx3-ubyte.gz → train-labels-idx1-ubyte.gz, where that is there. */
function siblingOf(path: string): string | undefined {
  const sibling = path.replace(/images([-.])idx\d+/, "labels$1idx1");
  const plain = sibling.replace(/\.gz$/, "");
  return [sibling, plain, `${plain}.gz`].find((file) => file !== path && existsSync(file));
}

/** Every file that is read for this one, and it. */
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

/** The data of a file to train on: in a table the label is the last column, unless an option names it. */
export async function readTraining(path: string, options: DataOptions): Promise<Data> {
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
  let columns: string[] = [];
  let label = 0;
  let features: number[] = [];
  let { header } = options;
  const { count, x, labels } = readTable(bytes, name, options, (first) => {
    if (header === undefined && allNumbers(first)) {
      throw new Fault(
        `${name}: the first line holds numbers alone: --no-header if it is data, --header if these are names`,
        USAGE,
      );
    }
    header ??= true;
    columns = header ? [...first] : unnamed(first.length);
    checkHeader(columns, name);
    const dropped = (options.drop ?? []).map((column) => columnOf("--drop", column, columns, name));
    const left = columns.map((_, i) => i).filter((i) => !dropped.includes(i));
    label =
      options.label === undefined
        ? (left.at(-1) ?? 0)
        : columnOf("--label", options.label, columns, name);
    features = left.filter((i) => i !== label);
    if (features.length === 0) {
      throw new Fault(
        `${name}: nothing to learn from: the ${columns.length === 1 ? "only column is" : "columns left are"} the label ${quoted(columns[label] as string)} (are columns separated by something else? --delimiter)`,
      );
    }
    return { header, columns, features, label, canDrop: true };
  });
  return {
    ...{ name, format: "csv", count, shape: [features.length], x, labels },
    table: {
      features: features.map((i) => columns[i] as string),
      label: columns[label] as string,
      header: header as boolean,
    },
  };
}

/**
 * The data of a file to ask a network about.
 *
 * @param input the shape of an example
 * @param known of the table that it was trained on, if it was one and the file tells
 */
export async function readQuestions(
  path: string,
  options: DataOptions,
  input: readonly number[],
  known: KnownTable | undefined,
): Promise<Data> {
  const bytes = await readInput(path, options);
  const name = nameOf(path);
  const size = input.reduce((product, length) => product * length, 1);
  if (isIdx(bytes)) {
    const data = await imagesOf(path, bytes, options);
    if (data.shape.reduce((product, length) => product * length, 1) === size) return data;
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
  const taken = known?.features ?? unnamed(size);
  if (taken.length !== size) {
    throw new Fault(`the model takes ${size} numbers, and its file names ${taken.length} features`);
  }
  let labelName: string | undefined;
  let { header = known?.header === false ? false : undefined } = options;
  const { count, x, labels } = readTable(bytes, name, options, (first) => {
    const isNames = known?.features.every((column) => first.includes(column));
    // Without the label, or with it, a line of a table without a header is numbers, or numbers and a class.
    header ??= isNames || !allNumbers(first.slice(0, size));
    if (!header || !known) return byPlace(first, header);
    const columns = [...first];
    checkHeader(columns, name);
    const features = taken.map((column) => {
      const index = columns.indexOf(column);
      if (index >= 0) return index;
      throw new Fault(
        `${name}: has no column ${quoted(column)}, which the model takes; it has ${columns.slice(0, 20).map(quoted).join(", ")}`,
      );
    });
    labelName = options.label ?? known.label;
    const label =
      options.label === undefined
        ? columns.indexOf(known.label ?? "")
        : columnOf("--label", options.label, columns, name);
    const more = options.drop ?? [];
    for (const column of more) columnOf("--drop", column, columns, name);
    const dropped = [...known.dropped, ...more];
    const extra = columns.find(
      (column, i) => i !== label && !features.includes(i) && !dropped.includes(column),
    );
    if (extra !== undefined) {
      throw new Fault(
        `${name}: column ${quoted(extra)} is none that the model takes: --drop ${quoted(extra)} leaves it out`,
      );
    }
    return { header, columns, features, label: label < 0 ? undefined : label, canDrop: false };
  });
  return {
    ...{ name, format: "csv", count, shape: [...input], x, labels },
    table: { features: [...taken], label: labelName, header: header as boolean },
  };

  /** Columns in the order of the training, and perhaps the label as the last. */
  function byPlace(first: readonly string[], isHeader: boolean) {
    const names = isHeader ? [...first] : [...taken, known?.label ?? "the label"];
    const dropped = (options.drop ?? []).map((column) => columnOf("--drop", column, names, name));
    const left = names
      .slice(0, first.length)
      .map((_, i) => i)
      .filter((i) => !dropped.includes(i));
    const named =
      options.label === undefined ? undefined : columnOf("--label", options.label, names, name);
    const label = named ?? (left.length === size + 1 ? left.at(-1) : undefined);
    const features = left.filter((i) => i !== label);
    if (features.length !== size || first.length > names.length) {
      const expected = `expected ${size}, or ${size + 1} with the label as the last`;
      const which =
        features.length < size
          ? `nothing for ${quoted(taken[features.length] as string)}`
          : `${quoted(first[size + 1] ?? "")} stands after the last`;
      throw new Fault(`${name}, line 1: ${first.length} columns, ${expected}: ${which}`);
    }
    labelName = label === undefined ? undefined : (names[label] ?? known?.label);
    return {
      header: isHeader,
      columns: names.slice(0, first.length),
      features,
      label,
      canDrop: false,
    };
  }
}
