// A row of a table becomes the numbers that a network takes here, and the network's answers become
// numbers of the label. The map for that stands in the metadata of a model's file as "data";
// docs/files.md tells its fields.

import { checkInput } from "../nn/architecture.ts";
import { cut, FormatError, quote, ShapeError, show } from "../runtime/errors.ts";
import { numbersOf } from "../tensor/convert.ts";
import { formatShape, sizeOf } from "../tensor/shape.ts";
import { jsonOf } from "./model_file.ts";
import {
  decodeBy,
  encodeCell,
  isMissing,
  isTableMap,
  type TableCell,
  type TableMap,
  widthOf,
} from "./table_map.ts";

/**
 * At most this many inputs are named by their numbers, as a file may claim any number of them in a
 * few bytes.
 */
const MOST_NUMBERED = 1e6;

const maps = new WeakMap<object, TableMap & { known: ReadonlySet<unknown> }>();

/** Returns the map in a file's metadata, which it reads once. */
function mapOf(operation: string, metadata: ReadonlyMap<string, string>) {
  if (typeof metadata?.get !== "function") {
    throw new TypeError(
      `${operation}: metadata must be those of a predictor, predictor.metadata, got ${show(metadata)}`,
    );
  }
  const known = maps.get(metadata);
  if (known) return known;
  const file = { metadata } as Parameters<typeof jsonOf>[1];
  if (typeof metadata.get("data") !== "string") {
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
    // There is no map where each column is a number as it stands, and in files older than maps.
    if (!names) {
      const { input } = jsonOf(operation, file, "architecture");
      const length = sizeOf(checkInput(operation, input));
      names = length > MOST_NUMBERED ? [] : Array.from({ length }, (_, i) => `${i + 1}`);
    }
    if (Array.isArray(names) && names.length > 0) columns = names.map((name) => ({ name }));
  }
  if (!isTableMap({ columns, decimal, target } as TableMap) || !Array.isArray(dropped)) {
    throw new FormatError(
      `${operation}: the metadata's data are not what \`lamella train\` writes`,
    );
  }
  const map = {
    ...{ columns: columns as TableMap["columns"], decimal, target },
    known: new Set<unknown>([...dropped, label, ...(columns ?? []).map(({ name }) => name)]),
  };
  maps.set(metadata, map);
  return map;
}

/**
 * Makes a row of a table into the numbers that a model takes, by the map that `lamella train` has
 * put into its file: texts become one-hot, empty cells become what the map says, and values far
 * from 0 are brought near it in float64, before they are rounded. A text that the training has not
 * seen is 0 in every input of its column.
 *
 * @param metadata of the predictor: `predictor.metadata`
 * @param row cells by the names of the columns, where the label's and those that the training left
 *   out may stand too; or the cells alone, in the order of the training and without those. A cell
 *   is a text as in the table, or a number; null, undefined and "" are empty
 * @throws TypeError for a column that is missing or unknown, and for a cell that is none of its
 *   kind; ShapeError for another number of cells; FormatError where the metadata have no map
 */
export function encodeRow(
  metadata: ReadonlyMap<string, string>,
  row: Readonly<Record<string, TableCell>> | readonly TableCell[],
): Float32Array<ArrayBuffer> {
  const operation = "encodeRow";
  const { columns, decimal, known } = mapOf(operation, metadata);
  const isList = Array.isArray(row);
  if (row === null || typeof row !== "object") {
    throw new TypeError(
      `${operation}: row must be an object or an array of cells, got ${show(row)}`,
    );
  }
  if (isList && row.length !== columns.length) {
    const names = columns.slice(0, 20).map(({ name }) => quote(name));
    throw new ShapeError(
      `${operation}: row must have ${columns.length} cells, one for each column (${cut(names.join(", "), 999)}), got ${row.length}`,
    );
  }
  const unknown = isList ? undefined : Object.keys(row).find((key) => !known.has(key));
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
 * Returns the scores of a model in the label's own unit, in float64: values far from 0, such as
 * times, keep the digits that float32 does not have. Scores of classes, and of values near 0, stay
 * as they are.
 *
 * @param metadata of the predictor: `predictor.metadata`
 * @param scores as `predict` gives them: a typed array of numbers, or an array
 * @throws FormatError where the metadata have no map; TypeError where scores are not numbers in a
 *   row
 */
export function decodeScores(
  metadata: ReadonlyMap<string, string>,
  scores: ArrayLike<number>,
): Float64Array<ArrayBuffer> {
  const operation = "decodeScores";
  const { target } = mapOf(operation, metadata);
  const numbers = numbersOf(operation, "scores", scores, "float64");
  if (numbers.shape.length !== 1) {
    throw new TypeError(
      `${operation}: scores must be numbers in a row, got an array of shape ${formatShape(numbers.shape)}`,
    );
  }
  // The copy is of the language's own kind, whatever a class of the caller's does.
  const own = new Float64Array(numbers.size);
  own.set(numbers.part(0, numbers.size));
  return decodeBy(target, own);
}
