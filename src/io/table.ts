// How a row of a table becomes the numbers that a network takes, and its answers the label's own numbers. The map stands
// in the metadata of a model's file as "data": docs/files.md tells its fields.

import { checkInput } from "../nn/architecture.ts";
import { FormatError, quote, ShapeError, show } from "../runtime/errors.ts";
import { sizeOf } from "../tensor/shape.ts";
import { jsonOf } from "./model_file.ts";

/** A cell of a row; null, undefined and "" are empty. */
export type TableCell = string | number | boolean | null | undefined;

/** What becomes of a column: one number for each of its inputs. */
export interface TableColumn {
  name: string;
  /** Default "number"; "date" is counted in days since 1970-01-01, "category" has one input for each of its values. */
  kind?: "number" | "date" | "category" | undefined;
  /** (value − offset) / scale is computed in float64, and rounded to float32 then; default 0 and 1. */
  offset?: number | undefined;
  scale?: number | undefined;
  values?: readonly string[] | undefined;
  /** What an empty cell stands for. */
  missing?: number | string | undefined;
  /** Is there an input more, which is 1 where the cell is empty and else 0? */
  indicator?: boolean | undefined;
}

/** What is done to a value, before or after a network. */
interface Line {
  offset?: number | undefined;
  scale?: number | undefined;
}

export interface TableMap {
  columns: readonly TableColumn[];
  /** What stands before the fraction, where that is no point. */
  decimal?: string | undefined;
  /** The label's value is score · scale + offset. */
  target?: Line | undefined;
}

const isNumberOr = (value: unknown): boolean =>
  value === undefined || (typeof value === "number" && Number.isFinite(value));
const isLine = (value: Line): boolean =>
  value !== null &&
  typeof value === "object" &&
  isNumberOr(value.offset) &&
  isNumberOr(value.scale) &&
  value.scale !== 0;

/** Is this a map, whoever wrote it? */
export function isTableMap({ columns, decimal, target }: Partial<TableMap>): boolean {
  return (
    Array.isArray(columns) &&
    columns.every((column: TableColumn) => {
      if (!isLine(column) || typeof column.name !== "string") return false;
      const { kind = "number", values, missing, indicator = false } = column;
      const isCategory = kind === "category";
      return (
        (isCategory || kind === "number" || kind === "date") &&
        typeof indicator === "boolean" &&
        (isCategory
          ? Array.isArray(values) &&
            values.every((value) => typeof value === "string") &&
            (missing === undefined || typeof missing === "string")
          : values === undefined && isNumberOr(missing) && !(indicator && missing === undefined))
      );
    }) &&
    (decimal === undefined || typeof decimal === "string") &&
    (target === undefined || isLine(target))
  );
}

/** How many inputs of a network a column has. */
export const widthOf = ({ values, indicator }: TableColumn): number =>
  (values?.length ?? 1) + (indicator ? 1 : 0);

/** Does a cell stand for nothing, as R, SQL and the UCI's tables write it? */
export const isMissing = (cell: TableCell): boolean =>
  cell === null ||
  cell === undefined ||
  (typeof cell === "string" && /^(|NA|N\/A|n\/a|<NA>|null|NULL|\?)$/.test(cell));

/** Days since 1970-01-01 in UTC of a date as ISO 8601 has it; NaN where it is none. */
export function daysOf(text: string): number {
  const found =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?(?:Z|([+-]\d\d):?(\d\d))?)?$/.exec(
      text,
    );
  if (!found) return Number.NaN;
  const [, day = "", hours = 0, minutes = 0, seconds = 0, zoneHours = 0, zoneMinutes = 0] = found;
  const start = Date.parse(day);
  // The 30th of February would be in March.
  if (Number.isNaN(start) || new Date(start).toISOString().slice(0, 10) !== day) return Number.NaN;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) >= 60) return Number.NaN;
  const zone = Number(zoneHours) * 60 + Number(zoneMinutes) * (`${zoneHours}`[0] === "-" ? -1 : 1);
  return (
    start / 864e5 + (Number(hours) * 60 + Number(minutes) - zone) / 1440 + Number(seconds) / 86_400
  );
}

/**
 * Writes the inputs of one cell at out[at], out[at + 1], …
 *
 * @returns what was expected of a cell that is nothing of the kind
 */
export function encodeCell(
  column: TableColumn,
  given: TableCell,
  decimal: string | undefined,
  out: Float32Array | Float64Array,
  at: number,
): string | undefined {
  const { kind, values, offset = 0, scale = 1, missing, indicator } = column;
  const expected = values ? "a text" : kind === "date" ? "a date such as 2024-01-31" : "a number";
  let cell = typeof given === "string" ? given.trim() : given;
  const isEmpty = isMissing(cell);
  if (isEmpty) {
    if (missing === undefined && !indicator) return expected;
    cell = missing;
  }
  if (indicator) out[at + widthOf(column) - 1] = isEmpty ? 1 : 0;
  if (values) {
    if (typeof cell === "object") return expected;
    const text = String(cell);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as string;
      // A number or a boolean of JSON may be written otherwise in the table.
      const isSame =
        value === text ||
        (typeof cell === "number" && Number(value) === cell) ||
        (typeof cell === "boolean" && value.toLowerCase() === text);
      out[at + i] = isSame ? 1 : 0;
    }
    return undefined;
  }
  let value = Number.NaN;
  if (typeof cell !== "string") value = typeof cell === "object" ? value : Number(cell);
  else if (kind === "date") value = daysOf(cell);
  else value = Number(decimal ? cell.replace(decimal, ".") : cell);
  const input = (value - offset) / scale;
  if (!Number.isFinite(Math.fround(input))) return expected;
  out[at] = input;
  return undefined;
}

/** The label's values, by the target of a map. */
export const decodeBy = ({ offset = 0, scale = 1 }: Line = {}, scores: ArrayLike<number>) =>
  Float64Array.from(scores, (score) => score * scale + offset);

const maps = new WeakMap<object, TableMap & { others: readonly string[] }>();

/** The map in a file's metadata. It is read once. */
function mapOf(operation: string, metadata: ReadonlyMap<string, string>) {
  if (typeof metadata?.get !== "function") {
    throw new TypeError(
      `${operation}: metadata must be those of a predictor, predictor.metadata, got ${show(metadata)}`,
    );
  }
  const known = maps.get(metadata);
  if (known) return known;
  const file = { metadata } as Parameters<typeof jsonOf>[1];
  if (!metadata.has("data")) {
    throw new FormatError(
      `${operation}: the metadata have no data, the map from a table that \`lamella train\` writes`,
    );
  }
  const data = jsonOf(operation, file, "data") as Partial<TableMap> & {
    features?: string[];
    label?: string;
    dropped?: string[];
  };
  const { decimal, target, label, dropped = [] } = data;
  let { columns, features: names } = data;
  if (!columns) {
    // Before there were maps, and where each column is a number as it stands.
    if (!names) {
      const { input } = jsonOf(operation, file, "architecture");
      names = Array.from({ length: sizeOf(checkInput(operation, input)) }, (_, i) => `${i + 1}`);
    }
    columns = names.map((name) => ({ name }));
  }
  const map = {
    columns,
    decimal,
    target,
    others: [...dropped, ...(label === undefined ? [] : [label])],
  };
  if (!isTableMap(map)) {
    throw new FormatError(
      `${operation}: the metadata's data are not what \`lamella train\` writes`,
    );
  }
  maps.set(metadata, map);
  return map;
}

/**
 * A row of a table as the numbers that a model takes, by the map that `lamella train` has put into its file: texts become
 * one-hot, empty cells what the map says, and values far from 0 are brought to it in float64, before they are rounded.
 * A text that the training has not seen is 0 in every input of its column.
 *
 * @param metadata of the predictor: `predictor.metadata`
 * @param row cells by the names of the columns, where the label's and those that the training left out may stand too; or
 *   the cells alone, in the order of the training and without those. A cell is a text as in the table, or a number;
 *   null, undefined and "" are empty
 * @throws TypeError for a column that is missing or unknown, and for a cell that is none of its kind; ShapeError for
 *   another number of cells; FormatError where the metadata have no map
 */
export function encodeRow(
  metadata: ReadonlyMap<string, string>,
  row: Readonly<Record<string, TableCell>> | readonly TableCell[],
): Float32Array<ArrayBuffer> {
  const operation = "encodeRow";
  const { columns, decimal, others } = mapOf(operation, metadata);
  const isList = Array.isArray(row);
  if (row === null || typeof row !== "object") {
    throw new TypeError(
      `${operation}: row must be an object or an array of cells, got ${show(row)}`,
    );
  }
  if (isList && row.length !== columns.length) {
    throw new ShapeError(
      `${operation}: row must have ${columns.length} cells, one for each column (${columns
        .slice(0, 20)
        .map(({ name }) => quote(name))
        .join(", ")}), got ${row.length}`,
    );
  }
  const unknown = isList
    ? undefined
    : Object.keys(row).find(
        (key) => !others.includes(key) && !columns.some(({ name }) => name === key),
      );
  if (unknown !== undefined) {
    throw new TypeError(
      `${operation}: row has a column ${quote(unknown)}, which the model does not take`,
    );
  }
  const out = new Float32Array(columns.reduce((sum, column) => sum + widthOf(column), 0));
  let at = 0;
  for (const [i, column] of columns.entries()) {
    const { name } = column;
    if (!isList && !Object.hasOwn(row, name)) {
      throw new TypeError(`${operation}: row has no column ${quote(name)}, which the model takes`);
    }
    const cell = isList ? row[i] : (row as Record<string, TableCell>)[name];
    const expected = encodeCell(column, cell, decimal, out, at);
    if (expected) {
      throw new TypeError(
        `${operation}: column ${quote(name)} has ${isMissing(cell) ? "nothing" : show(cell)}, expected ${expected}`,
      );
    }
    at += widthOf(column);
  }
  return out;
}

/**
 * What the scores of a model say in the label's own unit, in float64: values far from 0, such as times, keep the digits that
 * float32 does not have. Scores of classes, and of values near 0, are as they were.
 *
 * @param metadata of the predictor: `predictor.metadata`
 * @throws FormatError where the metadata have no map
 */
export function decodeScores(
  metadata: ReadonlyMap<string, string>,
  scores: ArrayLike<number>,
): Float64Array<ArrayBuffer> {
  return decodeBy(mapOf("decodeScores", metadata).target, scores);
}
