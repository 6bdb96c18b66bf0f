// `lamella inspect` tells what is in a safetensors file, whoever wrote it.

import type { SafetensorsEntry, SafetensorsFile } from "lamella";
import { type Description, descriptionOf } from "./description.ts";
import { visible } from "./fault.ts";
import { readModel } from "./files.ts";
import { tell } from "./kinds.ts";
import { refuseToAppend } from "./output.ts";
import { bold, bytes, integer, json, plural, print, short, table } from "./terminal.ts";

/** All but the counts are statistics of the finite numbers, and NaN where there are none. */
interface Statistics {
  min: number;
  max: number;
  mean: number;
  /** The population's deviation, which divides by the count. */
  std: number;
  zeros: number;
  nan: number;
  infinite: number;
}

interface LayerRow {
  layer: string;
  /** The shape of one example's output; null where it cannot be told. */
  output: readonly number[] | null;
  /** The number of learned numbers. */
  parameters: number;
}

interface Architecture {
  input: number[];
  /** The model computes in this dtype, however its tensors are stored. */
  dtype: string;
  layers: LayerRow[];
}

/** Returns the numbers of a tensor, and null for a dtype whose numbers we do not know. */
function numbersOf(entry: SafetensorsEntry): ArrayLike<number> | null {
  const { dtype, data, size } = entry;
  if (/^[IU]64$/.test(dtype)) {
    // Numbers beyond 2^53 are rounded here, which does no harm to statistics; copyTo refuses them.
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const get = dtype === "I64" ? view.getBigInt64 : view.getBigUint64;
    return Float64Array.from({ length: size }, (_, i) => Number(get.call(view, 8 * i, true)));
  }
  if (/^(F8_|F6_|F4$|C64)/.test(dtype)) return null;
  return entry.toTypedArray("float64");
}

function statisticsOf(entry: SafetensorsEntry): Statistics | null {
  const numbers = numbersOf(entry);
  if (!numbers) return null;
  let [min, max, sum, count, zeros, nan] = [Infinity, -Infinity, 0, 0, 0, 0];
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i] as number;
    if (value === 0) zeros++;
    if (Math.abs(value) < Infinity) {
      count++;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    } else if (Number.isNaN(value)) nan++;
  }
  const mean = sum / count;
  let squares = 0;
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i] as number;
    if (Math.abs(value) < Infinity) squares += (value - mean) * (value - mean);
  }
  if (count === 0) min = max = Number.NaN;
  const infinite = numbers.length - count - nan;
  return { min, max, mean, std: Math.sqrt(squares / count), zeros, nan, infinite };
}

/** An example may have this many axes. */
const MOST_AXES = 64;

const isLength = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;

/**
 * Returns the architecture in the metadata, and undefined where they have none, or something else
 * in its place.
 */
function architectureOf({ metadata, tensors }: SafetensorsFile): Architecture | undefined {
  if (metadata.get("format") !== "lamella") return undefined;
  let claimed: { input?: unknown; layers?: unknown; dtype?: unknown } | null;
  try {
    claimed = JSON.parse(metadata.get("architecture") ?? "null");
  } catch {
    return undefined;
  }
  const { input, layers, dtype } = claimed ?? {};
  if (!Array.isArray(input) || !input.every(isLength) || !Array.isArray(layers)) return undefined;
  // Every layer's shape is printed, and no model of ours has more axes than this.
  if (input.length > MOST_AXES) return undefined;
  const prefix = metadata.get("kind") === "checkpoint" ? "model." : "";
  let output: readonly number[] | null = input;
  const rows = layers.map((layer: unknown, i): LayerRow => {
    const { label, output: next, learned } = tell(layer, output);
    output = next;
    const parameters = learned.reduce(
      (sum, name) => sum + (tensors.get(`${prefix}${i}.${name}`)?.size ?? 0),
      0,
    );
    return { layer: label, output, parameters };
  });
  return { input, dtype: typeof dtype === "string" ? dtype : typeof dtype, layers: rows };
}

/** Returns a sentence on what the file is, and one on what the model was trained for. */
function introduce(file: SafetensorsFile, description: Description | undefined): string[] {
  const { metadata } = file;
  const isOurs = metadata.get("format") === "lamella";
  const kind = isOurs ? `a ${visible(metadata.get("kind") ?? "file")} of Lamella's` : undefined;
  const format = metadata.get("format");
  const lines = [
    kind ?? `safetensors${format === undefined ? "" : `, format "${visible(format)}"`}`,
  ];
  if (description) {
    const { features, columns, format, label, classes, loss } = description;
    const count = (columns ?? features)?.length;
    const table = count === undefined ? "a table" : `${plural(count, "feature")} of a table`;
    const from = format === "csv" ? table : "images";
    const to =
      classes === undefined
        ? `the value of ${visible(label ?? "a label")}`
        : `${visible(label ?? "one")} of ${classes.length} classes (${visible(classes.join(", "))})`;
    lines.push(`trained by \`lamella train\`: ${from} → ${to}, loss ${loss}`);
  }
  return lines;
}

/** Nobody reads a table of a hundred thousand lines; --json has all of them. */
const MOST_LINES = 1000;
const cut = <T>(rows: readonly T[]) => rows.slice(0, MOST_LINES);
const more = (count: number, what: string) =>
  count > MOST_LINES ? `\n… and ${plural(count - MOST_LINES, what)} more, which --json tells` : "";

export function inspect(path: string, options: { json?: boolean }): void {
  refuseToAppend(path);
  const { bytes: contents, file } = readModel(path);
  const description = descriptionOf(path, file);
  const architecture = architectureOf(file);
  const tensors = [...file.tensors].map(([name, entry]) => ({
    name,
    dtype: entry.dtype,
    shape: entry.shape,
    bytes: entry.data.length,
    statistics: statisticsOf(entry),
  }));
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const totals = {
    tensors: tensors.length,
    elements: sum([...file.tensors.values()].map(({ size }) => size)),
    bytes: sum(tensors.map(({ bytes }) => bytes)),
    ...(architecture && {
      parameters: sum(architecture.layers.map(({ parameters }) => parameters)),
    }),
  };
  if (options.json) {
    const metadata = Object.fromEntries(file.metadata);
    const result = {
      file: path,
      fileBytes: contents.length,
      metadata,
      architecture,
      tensors,
      totals,
    };
    print(json(result, 2));
    return;
  }

  const [first, ...others] = introduce(file, description);
  print(`${bold(visible(path))}: ${bytes(contents.length)}, ${first}`);
  for (const line of others) print(line);
  if (architecture) {
    const shape = (output: readonly number[] | null) =>
      output ? visible(`(N, ${output.slice(0, 100).join(", ")})`) : "?";
    const rows = cut(architecture.layers).map(({ layer, output, parameters }, i) => [
      `${i}`,
      visible(layer),
      shape(output),
      parameters > 0 ? integer(parameters) : "",
    ]);
    const head = ["", "layer", "output", "parameters"];
    print(
      `\n${table([head, ["", "input", shape(architecture.input), ""], ...rows], "rllr")}${more(architecture.layers.length, "layer")}`,
    );
  }
  if (tensors.length > 0) {
    const rows = cut(tensors).map(({ name, dtype, shape, bytes, statistics }) => {
      const figures = statistics
        ? [statistics.min, statistics.max, statistics.mean, statistics.std].map((value) =>
            Number.isNaN(value) ? "–" : short(value),
          )
        : ["–", "–", "–", "–"];
      const counts = statistics
        ? [statistics.zeros, statistics.nan, statistics.infinite].map((count) => integer(count))
        : ["–", "–", "–"];
      const shown = `(${shape.slice(0, 100).join(", ")}${shape.length === 1 ? "," : ""})`;
      return [visible(name), dtype, visible(shown), integer(bytes), ...figures, ...counts];
    });
    const head = ["tensor", "dtype", "shape", "bytes", "min", "max", "mean", "std"];
    print(
      `\n${table([[...head, "zeros", "NaN", "inf"], ...rows], "lllrrrrrrrr")}${more(tensors.length, "tensor")}`,
    );
  }
  const { parameters, elements } = totals;
  const learned = parameters === undefined ? "" : `${plural(parameters, "parameter")}, `;
  print(
    `\n${learned}${plural(tensors.length, "tensor")}, ${plural(elements, "number")}, ${plural(totals.bytes, "byte")}`,
  );
}
