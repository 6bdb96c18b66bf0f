// This file tells what a table's map is made of, and what it does to one cell. `encodeRow` applies
// maps, and the command makes them. The file imports nothing, so that the bundles of both can have
// it.

/** A cell of a row; null, undefined and "" are empty. */
export type TableCell = string | number | boolean | null | undefined;

/** This says what becomes of a column: one number for each of its inputs. */
export interface TableColumn {
  name: string;
  /**
   * The default is "number"; a "date" is counted in days since 1970-01-01, and a "category" has one
   * input for each of its values.
   */
  kind?: "number" | "date" | "category" | undefined;
  /**
   * (value − offset) / scale is computed in float64, and rounded to float32 then; default 0 and 1.
   */
  offset?: number | undefined;
  scale?: number | undefined;
  values?: readonly string[] | undefined;
  /** An empty cell stands for this value. */
  missing?: number | string | undefined;
  /** True if there is one more input, which is 1 where the cell is empty and 0 elsewhere. */
  indicator?: boolean | undefined;
}

/** A linear map of a value, before or after a network. */
interface Line {
  offset?: number | undefined;
  scale?: number | undefined;
}

export interface TableMap {
  columns: readonly TableColumn[];
  /** The character before the fraction, where that is no point. */
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

/** True if the value is a map; anybody may have written it. */
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

/** Returns the number of a network's inputs that a column takes. */
export const widthOf = ({ values, indicator }: TableColumn): number =>
  (values?.length ?? 1) + (indicator ? 1 : 0);

/** True if a cell stands for nothing, as R, SQL and the UCI's tables write it. */
export const isMissing = (cell: TableCell): boolean =>
  cell === null ||
  cell === undefined ||
  (typeof cell === "string" && /^(|NA|N\/A|n\/a|<NA>|null|NULL|\?)$/.test(cell));

/** Returns the days from 1970-01-01 to a date of ISO 8601, in UTC; NaN for any other text. */
export function daysOf(text: string): number {
  const found =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?(?:Z|([+-]\d\d):?(\d\d))?)?$/.exec(
      text,
    );
  if (!found) return Number.NaN;
  const [, day = "", hours = 0, minutes = 0, seconds = 0, zoneHours = 0, zoneMinutes = 0] = found;
  const start = Date.parse(day);
  // Date takes the 30th of February for a day in March.
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
  } else if (!/^(string|number|boolean|bigint)$/.test(typeof cell)) return expected;
  if (indicator) out[at + widthOf(column) - 1] = isEmpty ? 1 : 0;
  if (values) {
    // An empty cell has no value where the map has none for it.
    const text = cell === undefined ? undefined : String(cell);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as string;
      // A number or a boolean of JSON may be written in another way in the table.
      const isSame =
        value === text ||
        (typeof cell === "number" && Number(value) === cell) ||
        (typeof cell === "boolean" && value.toLowerCase() === text);
      out[at + i] = isSame ? 1 : 0;
    }
    return undefined;
  }
  let value = Number.NaN;
  if (typeof cell !== "string") value = Number(cell);
  else if (kind === "date") value = daysOf(cell);
  else value = Number(decimal ? cell.replace(decimal, ".") : cell);
  const input = (value - offset) / scale;
  if (!Number.isFinite(Math.fround(input))) return expected;
  out[at] = input;
  return undefined;
}

/** Returns the label's values, by the target of a map. */
export const decodeBy = ({ offset = 0, scale = 1 }: Line = {}, scores: ArrayLike<number>) =>
  Float64Array.from(scores, (score) => score * scale + offset);
