// The kinds of layers that this program has. A layer's function brings its record and its engine
// into the program, so that a bundle carries those of the layers that it names; descriptions are
// plain objects, which may as well come from JSON.

import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { checkNone, checkSettings } from "../settings.ts";
import type { EngineClass } from "./engine.ts";

export interface Kind extends ServingRecord, TrainingRecord {
  readonly Engine: EngineClass;
}
export type Kinds = Readonly<Record<string, Kind>>;

/** The kinds that the program names. */
export const named: Record<string, Kind> = {};

/** Makes a kind known, and gives the function that describes a layer of it. */
export function layer<F>(
  serving: ServingRecord,
  training: TrainingRecord,
  Engine: EngineClass,
  describe: F,
): F {
  named[serving.kind] = { ...serving, ...training, Engine };
  return describe;
}

/** As `layer`, for a kind whose settings all have defaults and are given as one object. */
export function optionLayer<Spec extends { readonly kind: string }>(
  serving: ServingRecord<Spec["kind"]>,
  training: TrainingRecord,
  Engine: EngineClass,
): (options?: Omit<Spec, "kind">) => Spec {
  const { kind, settings = {} } = serving;
  return layer(serving, training, Engine, (options: Omit<Spec, "kind"> | undefined) => {
    checkSettings(
      kind,
      "options",
      options === undefined ? {} : options,
      [...Object.keys(settings), ...(training.first ?? [])],
      true,
    );
    return { ...options, kind } as unknown as Spec;
  });
}

/** The description of a layer that has no settings. */
export interface PlainSpec<Name extends string> {
  readonly kind: Name;
}

/** As `layer`, for a kind without settings. */
export function plainLayer<Name extends string>(
  serving: ServingRecord<Name>,
  training: TrainingRecord,
  Engine: EngineClass,
): (...none: []) => PlainSpec<Name> {
  const { kind } = serving;
  return layer(serving, training, Engine, (...none: []) => {
    checkNone(kind, none);
    return { kind };
  });
}
