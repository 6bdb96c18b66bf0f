// What a list of descriptions comes to, without anything that computes: all that a predictor needs.

import { ShapeError, show } from "../../runtime/errors.ts";
import { checkKeys } from "../../tensor/options.ts";
import { type Blueprint, type ServingRecord, settingsOf, type TrainingRecord } from "./record.ts";

/** The description of a layer of any kind. */
type AnySpec = { readonly kind: string; readonly [name: string]: unknown };

/** How a description's keys are checked: checkKeys, or checkSettings with its hints. */
type CheckKeys = typeof checkKeys;

/**
 * The layers that such descriptions make over such an input, checked against each other.
 * @param records the kinds that are known, by their names
 */
export function blueprintsOf<Known extends ServingRecord>(
  operation: string,
  specs: unknown,
  input: readonly number[],
  records: Readonly<Record<string, Known>>,
  check: CheckKeys = checkKeys,
): Blueprint<Known>[] {
  const list: readonly unknown[] = Array.isArray(specs) ? specs : [];
  const { length } = list;
  if (length === 0) {
    throw new TypeError(`${operation}: layers must be a list of one layer or more`);
  }
  const made: Blueprint<Known>[] = [];
  let inShape = input;
  for (let i = 0; i < length; i++) {
    const given = list[i];
    // A copy, since a getter may answer otherwise the second time.
    const isObject = typeof given === "object" && given !== null;
    const spec = (isObject ? { ...given } : given) as AnySpec | null | undefined;
    const kind: unknown = spec?.kind;
    if (!(spec && typeof kind === "string" && Object.hasOwn(records, kind))) {
      throw new TypeError(
        `${operation}: layer ${i} must be one of ${Object.keys(records).sort().join(", ")}, got ${show(kind ?? spec)}${typeof spec === "function" ? ": call it" : ""}`,
      );
    }
    const record = records[kind] as Known;
    const place = `${operation}: layer ${i} (${kind})`;
    const settings = settingsOf(place, record, spec);
    const saved = { kind, ...record.stored, ...settings };
    check(place, "the layer", spec, [
      ...Object.keys(saved),
      ...((record as TrainingRecord).first ?? []),
    ]);
    const refusal = record.refusal?.(inShape, saved);
    if (refusal) throw new ShapeError(`${place}: ${refusal}`);
    const outShape = Object.freeze(record.outShape?.(inShape, saved) ?? inShape);
    const tensors = record.tensors?.(inShape, saved) ?? {};
    made.push({ record, spec, place, inShape, outShape, saved, tensors });
    inShape = outShape;
  }
  return made;
}
