// The command knows the kinds of layers by their records; the engines are in the library alone.

import { type LayerRecord, labelOf, type Settings, settingsOf } from "../nn/graph/record.ts";
import { records, trainings } from "../nn/layers/all.ts";

export type KnownRecord = LayerRecord & { readonly kind: keyof typeof records };

/** The records by the names that files have, in the order of the list of all. */
export const kinds: ReadonlyMap<string, KnownRecord> = new Map(
  Object.values(records).map((record) => [record.kind, { ...record, ...trainings[record.kind] }]),
);

/** A file tells this of a layer, whatever the layer claims to be. */
export interface Told {
  readonly label: string;
  /** The shape of one example's output; null where it cannot be told. */
  readonly output: readonly number[] | null;
  /** The names of the tensors that the layer learns. */
  readonly learned: readonly string[];
}

const isLength = (value: number) => Number.isSafeInteger(value) && value > 0;

/** Reads the description of a layer in a file, of which nothing has been checked. */
export function tell(description: unknown, input: readonly number[] | null): Told {
  const given = Object(description) as Record<string, unknown>;
  // A layer of a kind that we do not know is shown as it is, and nothing of it is called.
  const kind = typeof given.kind === "string" ? given.kind : typeof given.kind;
  const record = kinds.get(kind);
  if (!record) return { label: kind, output: input, learned: ["weight", "bias"] };
  let settings: Settings;
  try {
    settings = settingsOf(kind, record, given);
  } catch {
    // Where a setting is out of its range, nothing that depends on it is shown.
  }
  const areRight = settings !== undefined;
  // Where a length is not known, those that depend on it are not known either.
  const inShape = input ?? [Number.NaN];
  const takesIt = areRight && !record.inputs && !record.refusal?.(inShape, settings);
  const outShape = takesIt ? (record.outShape?.(inShape, settings) ?? inShape) : [];
  return {
    label: areRight ? labelOf(record, settings) : kind,
    output: takesIt && outShape.every(isLength) ? outShape : null,
    learned: record.learned ?? [],
  };
}
