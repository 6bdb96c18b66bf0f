// `lamella train` writes a description of the data into a model's file, and `lamella predict` reads
// it: it is JSON as described here, in the metadata's "data". To all other programs the file is a
// model's file like any other.

import { readSafetensors, type SafetensorsFile, writeSafetensors } from "lamella";
import { isTableMap, type TableColumn, type TableMap } from "../io/table_map.ts";
import type { Table } from "./data.ts";
import { Fault, visible } from "./fault.ts";

export interface Description {
  format: "csv" | "idx";
  loss: "softmax" | "svm" | "mse";
  /** The names of the classes; undefined for values. */
  classes?: string[] | undefined;
  /** The names of a table's columns that the model takes. */
  features?: string[] | undefined;
  label?: string | undefined;
  header?: boolean | undefined;
  dropped?: string[] | undefined;
  /**
   * This says what becomes of each feature, where one is more than a number as it stands; encodeRow
   * reads it too.
   */
  columns?: readonly TableColumn[] | undefined;
  decimal?: string | undefined;
  target?: TableMap["target"];
  order?: string[] | undefined;
}

const KEY = "data";

/**
 * Describes a table. Columns of numbers as they stand need no more than their names, which is all
 * that files had before there were maps.
 */
export function describe(table: Table): Partial<Description> {
  const { columns, label, header, dropped, decimal, target, order } = table;
  const isPlain = columns.every((column) => Object.keys(column).length === 1);
  return {
    ...(header && { features: columns.map(({ name }) => name) }),
    ...{ label, header },
    ...(dropped.length > 0 && { dropped }),
    // Without a header the columns are named 1, 2, … only where no other column stands before or
    // among them.
    ...((!isPlain || (!header && (order || dropped.length > 0))) && { columns }),
    ...{ decimal, target, order },
  };
}

/**
 * Returns the table that a file was trained on, as its description tells; undefined where it was
 * trained on none.
 *
 * @param most the greatest number of inputs that are named by their numbers, as a file may claim
 *   any number of them
 */
export function tableIn(
  description: Description | undefined,
  inputs: number,
  most: number,
): Table | undefined {
  if (description?.format !== "csv") return undefined;
  const { features, label, header = true, dropped = [], decimal, target, order } = description;
  const length = inputs > most ? 0 : inputs;
  const names = features ?? Array.from({ length }, (_, i) => `${i + 1}`);
  const { columns = names.map((name) => ({ name })) } = description;
  return { columns, label, header, dropped, decimal, target, order };
}

/** Returns the same file with a description. */
export function withDescription(model: Uint8Array, description: Description): Uint8Array {
  const { tensors, metadata } = readSafetensors(model);
  return writeSafetensors(tensors, [...metadata, [KEY, JSON.stringify(description)]]);
}

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

/**
 * Returns the description in a file, and undefined where it has none; refuses one that is nothing
 * of the kind by a Fault.
 */
export function descriptionOf(
  path: string,
  { metadata }: SafetensorsFile,
): Description | undefined {
  const text = metadata.get(KEY);
  if (text === undefined || metadata.get("format") !== "lamella") return undefined;
  let value: Partial<Record<keyof Description, unknown>> | null = null;
  try {
    value = JSON.parse(text);
  } catch {
    // The Fault below says so.
  }
  const isOptional = (given: unknown, is: (value: unknown) => boolean) =>
    given === undefined || is(given);
  if (
    typeof value !== "object" ||
    value === null ||
    !["csv", "idx"].includes(value.format as string) ||
    !["softmax", "svm", "mse"].includes(value.loss as string) ||
    !isOptional(value.classes, isStrings) ||
    !isOptional(value.features, isStrings) ||
    !isOptional(value.dropped, isStrings) ||
    !isOptional(value.label, (label) => typeof label === "string") ||
    !isOptional(value.header, (header) => typeof header === "boolean") ||
    !isOptional(value.order, isStrings) ||
    !isTableMap({ columns: [], ...(value as Partial<TableMap>) }) ||
    (value.classes === undefined) !== (value.loss === "mse")
  ) {
    throw new Fault(
      `${visible(path)}: the metadata's ${KEY} are not what \`lamella train\` writes`,
    );
  }
  return value as Description;
}
