// A profile tells what a column of a table holds, after one reading from top to bottom in bounded
// memory; from it follows what the network is given.

import { daysOf, isMissing, type TableColumn } from "../io/table_map.ts";
import { quoted, visible } from "./fault.ts";

/** A cell, and the line in which it stands. */
interface Found {
  cell: string;
  place: string;
}

export type Kind = "number" | "date" | "decimal" | "otherDate" | "notFinite" | "text";

/** Mixed columns with more values than this are numbers with mistakes in them. */
const MOST_MIXED = 20;

/**
 * A mean may be this many deviations from 0 before float32 loses what tells the numbers apart.
 */
const FAR = 1024;

/** Returns a cell as a number, with this character before its fraction. */
export const numberOf = (cell: string, decimal: string | undefined): number =>
  cell === "" ? Number.NaN : Number(decimal ? cell.replace(decimal, ".") : cell);

function kindOf(cell: string, number: number): Kind {
  if (Number.isFinite(number)) return "number";
  if (/^[-+]?(nan|inf|infinity)$/i.test(cell)) return "notFinite";
  if (/^[-+]?[\d.]*\d,[\d,]*\d$/.test(cell) || /^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(cell)) {
    return "decimal";
  }
  if (!Number.isNaN(daysOf(cell))) return "date";
  if (/^(\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d\d)|\d{4}[./]\d{1,2}[./]\d{1,2})([ T].*)?$/.test(cell)) {
    return "otherDate";
  }
  return "text";
}

/** Computes mean and deviation number by number, without a sum that could grow. */
export class Moments {
  count = 0;
  mean = 0;
  private squares = 0;
  least = Infinity;
  most = -Infinity;

  add(value: number): void {
    this.count++;
    const before = value - this.mean;
    this.mean += before / this.count;
    this.squares += before * (value - this.mean);
    if (value < this.least) this.least = value;
    if (value > this.most) this.most = value;
  }

  get std(): number {
    if (this.count === 0 || this.least === this.most) return 0;
    const std = Math.sqrt(this.squares / this.count);
    // The squares of the smallest and the largest numbers leave float64's range.
    return std > 0 && std < Infinity ? std : this.most / 4 - this.least / 4;
  }

  /** The map that brings these numbers into float32's range and near 0; empty if they are there. */
  get line(): { offset?: number; scale?: number } {
    const { mean, std } = this;
    const size = Math.max(Math.abs(this.least), Math.abs(this.most));
    if (this.count === 0 || size === 0) return {};
    // Deviations, or their squares, may leave the range of float32 or of float64.
    const scale = size > 1e15 || (std > 0 && std < 1e-15);
    if (!scale && size <= FAR * (std || size)) return {};
    return { offset: Number.isFinite(mean) ? mean : 0, ...(scale && { scale: std || size }) };
  }
}

export class Profile {
  rows = 0;
  empty: Found | undefined;
  empties = 0;
  readonly numbers = new Moments();
  readonly days = new Moments();
  private readonly counts: Record<Kind, number> = {
    ...{ number: 0, date: 0, decimal: 0, otherDate: 0, notFinite: 0, text: 0 },
  };
  private readonly first: Partial<Record<Kind, Found>> = {};
  /** The count of each text, as long as there are not too many. */
  values: Map<string, number> | undefined = new Map();
  private texts = new Set<string>();
  fraction: string | undefined;
  private isCounting = true;
  private sum = 0;
  private squares = 0;

  constructor(
    readonly name: string,
    readonly hasName: boolean,
    private readonly most: number,
    private readonly decimal: string | undefined,
  ) {}

  add(cell: string, place: string): void {
    const row = this.rows++;
    if (isMissing(cell)) {
      this.empties++;
      this.empty ??= { cell, place };
      return;
    }
    const { values } = this;
    if (values) {
      values.set(cell, (values.get(cell) ?? 0) + 1);
      if (values.size > this.most) this.values = undefined;
    }
    const value = numberOf(cell, this.decimal);
    const kind = kindOf(cell, value);
    this.counts[kind]++;
    this.first[kind] ??= { cell, place };
    if (kind === "date") this.days.add(daysOf(cell));
    if (kind !== "number") {
      if (this.texts.size <= MOST_MIXED) this.texts.add(cell);
      return;
    }
    this.numbers.add(value);
    if (!Number.isInteger(value)) this.fraction ??= cell;
    this.isCounting &&= row === 0 ? value === 0 || value === 1 : value === this.numbers.least + row;
    this.sum += value;
    this.squares += value * value;
  }

  get filled(): number {
    return this.rows - this.empties;
  }

  is(...kinds: Kind[]): boolean {
    return (
      this.filled > 0 && kinds.reduce((sum, kind) => sum + this.counts[kind], 0) === this.filled
    );
  }

  has(kind: Kind): Found | undefined {
    return this.first[kind];
  }

  share(kind: Kind): number {
    return this.counts[kind] / this.filled;
  }

  /** True if the column numbers the rows, in any order, or names each of them. */
  get countsRows(): boolean {
    const { numbers, rows } = this;
    if (this.empties > 0) return false;
    if (!this.hasName && (this.is("number") ? this.isDistinct : this.isNearlyDistinct)) return true;
    if (!this.is("number") || rows < 5) return false;
    if (this.isCounting) return true;
    return rows >= 10 && (numbers.least === 0 || numbers.least === 1) && this.isDistinct;
  }

  /** True for whole numbers without a gap: sums and squares are those of least, least + 1, … */
  private get isDistinct(): boolean {
    const { rows: n, fraction } = this;
    const { least, most } = this.numbers;
    if (fraction !== undefined || most - least !== n - 1 || n > 200_000) return this.isCounting;
    const sum = (n * (least + most)) / 2;
    const squares = n * least * least + least * n * (n - 1) + ((n - 1) * n * (2 * n - 1)) / 6;
    return this.sum === sum && this.squares === squares;
  }

  get isNearlyDistinct(): boolean {
    return this.values === undefined || this.values.size > 0.8 * this.filled;
  }

  /** True if the column has some texts, each of them often, so that they could be classes. */
  get looksLikeClasses(): boolean {
    return (
      this.values !== undefined &&
      this.values.size >= 2 &&
      this.values.size <= 50 &&
      !this.isNearlyDistinct &&
      !this.is("number") &&
      !this.has("date")
    );
  }

  /** True if texts and numbers are mixed as in 2, 3, 4, 5more, and not by mistake. */
  get isMixed(): boolean {
    const { values, counts } = this;
    if (counts.number === 0) return true;
    const isUsual = counts.text >= 0.1 * this.filled;
    return isUsual && values !== undefined && values.size <= MOST_MIXED && !this.has("notFinite");
  }

  /** Some of the column's texts, for a message. */
  get examples(): string {
    return [...this.texts].slice(0, 3).map(quoted).join(", ");
  }
}

export type Missing = "auto" | "mean" | "drop" | "error";

export interface ColumnOptions {
  missing: Missing;
  /** The most values of a column of texts. */
  most: number;
  isCategory: boolean;
}

/** The reason why a column cannot be learned as it stands. */
export interface Refusal {
  /** The place of the cell that is to blame, if it is one. */
  place?: string;
  message: string;
  hint?: string;
  /** Further advice, which comes last. */
  more?: string;
  /** True if there are too many texts; all such columns are named in one message. */
  isTooMany?: boolean;
}

/** For a cell that is no number where almost all others are. */
const MARK =
  "; if it marks a value that is missing, write NA there: --missing mean fills it in, and --missing drop leaves its row out";

/** Decides what the network is given of a column. */
export function columnFor(
  profile: Profile,
  { missing, most, isCategory }: ColumnOptions,
): TableColumn | Refusal {
  const { name, numbers, days, values, filled } = profile;
  const title = `column ${quoted(name)}`;
  const bad = (found: Found | undefined, expected: string, hint?: string): Refusal => ({
    place: found?.place ?? "",
    message: `${title} has ${quoted(found?.cell ?? "")}, expected ${expected}`,
    ...(hint && { hint }),
  });
  const isNumber = !isCategory && profile.is("number");
  const isDate = !isCategory && profile.is("date");
  const { empty } = profile;
  if (empty && missing === "error") {
    return {
      place: empty.place,
      message: `${title} has nothing`,
      hint: "--missing mean, --missing drop or the default take empty cells",
    };
  }
  if (isNumber || isDate) {
    const { mean } = isDate ? days : numbers;
    const fills = missing === "mean" || (missing === "auto" && empty);
    return {
      name,
      ...(isDate && { kind: "date" as const }),
      ...(isDate ? days : numbers).line,
      ...(fills && { missing: mean }),
      ...(fills && missing === "auto" && { indicator: true }),
    };
  }
  if (!isCategory) {
    if (profile.is("number", "notFinite")) {
      return { ...bad(profile.has("notFinite"), "a number"), more: MARK };
    }
    if (profile.has("decimal") && profile.is("number", "decimal", "notFinite")) {
      const found = profile.has("decimal");
      const isOfThousands = /^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(found?.cell ?? "");
      const thousands = isOfThousands ? "; commas between thousands have to be taken out" : "";
      return bad(found, "a number", `--decimal , reads decimal commas${thousands}`);
    }
    const other = profile.has("otherDate");
    if (other && profile.share("otherDate") + profile.share("date") >= 0.9) {
      return bad(
        other,
        "a date as ISO 8601 has it, 2024-01-31",
        `write dates so, or --drop ${quoted(name)} leaves the column out`,
      );
    }
    const text = profile.has("text") ?? other ?? profile.has("date") ?? profile.has("decimal");
    if (!profile.isMixed) {
      return { ...bad(text ?? profile.has("notFinite"), "a number"), more: MARK };
    }
    if (values && values.size <= most && profile.isNearlyDistinct) return bad(text, "a number");
  }
  if (!values || values.size > most) {
    return {
      isTooMany: true,
      message: `${title} has ${values ? `${values.size}` : `more than ${most}`} different texts in ${filled} rows, such as ${profile.examples || quoted([...(values ?? new Map()).keys()][0] ?? "")}; up to ${most} are taken for categories (--max-categories)`,
    };
  }
  // The order does not depend on that of the rows.
  const sorted = [...values.keys()].sort();
  const usual = sorted.reduce((a, b) => ((values.get(b) ?? 0) > (values.get(a) ?? 0) ? b : a));
  return {
    ...{ name, kind: "category", values: sorted },
    ...(missing === "mean" && { missing: usual }),
    ...(missing === "auto" && empty && { indicator: true }),
  };
}

/** Lists names of columns for a note, but not too many. */
export const listOf = (names: readonly string[]) =>
  names.slice(0, 8).map(quoted).join(", ") +
  (names.length > 8 ? `, and ${names.length - 8} more` : "");

export const isRefusal = (column: TableColumn | Refusal): column is Refusal => "message" in column;
export const shownValues = (values: readonly string[]) =>
  visible(values.slice(0, 6).join(", ")) + (values.length > 6 ? ", …" : "");
