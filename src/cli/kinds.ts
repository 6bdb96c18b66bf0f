// What the command knows of the kinds of layers: their records, without the engines, which are the
// library's alone.

import { type LayerRecord, labelOf, type Settings, settingsOf } from "../nn/graph/record.ts";
import { records, trainings } from "../nn/layers/all.ts";

export type KnownRecord = LayerRecord & { readonly kind: keyof typeof records };

/** By the names that files have, in the order of the list of all. */
export const kinds: ReadonlyMap<string, KnownRecord> = new Map(
  Object.values(records).map((record) => [record.kind, { ...record, ...trainings[record.kind] }]),
);

/** What a file tells of a layer, whatever it claims to be. */
export interface Told {
  readonly label: string;
  /** The shape of one example's output; null where it cannot be told. */
  readonly output: readonly number[] | null;
  /** The names of the tensors that the layer learns. */
  readonly learned: readonly string[];
}

const isLength = (value: number) => Number.isSafeInteger(value) && value > 0;

/** What is told by the description of a layer in a file, of which nothing has been checked. */
export function tell(description: unknown, input: readonly number[] | null): Told {
  const given = Object(description) as Record<string, unknown>;
  // What is no layer of ours is shown by what it is, and not run as a method of it.
  const kind = typeof given.kind === "string" ? given.kind : typeof given.kind;
  const record = kinds.get(kind);
  if (!record) return { label: kind, output: input, learned: ["weight", "bias"] };
  let settings: Settings;
  try {
    settings = settingsOf(kind, record, given);
  } catch {
    // A setting that is out of its range is shown by nothing that hangs on it.
  }
  const areRight = settings !== undefined;
  // A length that is not known makes those that hang on it no lengths.
  const inShape = input ?? [Number.NaN];
  const takesIt = areRight && !record.refusal?.(inShape, settings);
  const outShape = takesIt ? (record.outShape?.(inShape, settings) ?? inShape) : [];
  return {
    label: areRight ? labelOf(record, settings) : kind,
    output: takesIt && outShape.every(isLength) ? outShape : null,
    learned: record.learned ?? [],
  };
}
