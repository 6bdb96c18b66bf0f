// What a list of descriptions comes to, without anything that computes: all that a predictor needs.

import { show } from "../../runtime/errors.ts";
import { checkKeys } from "../../tensor/options.ts";
import { draftActivation, draftLeakyRelu } from "./activation.ts";
import { draftAffine } from "./affine.ts";
import { draftBatchnorm } from "./batchnorm.ts";
import type { Blueprint, Draft } from "./blueprint.ts";
import { draftDropout } from "./dropout.ts";
import { draftFlatten } from "./flatten.ts";
import type { LayerSpec } from "./layers.ts";
import { draftNormalize } from "./normalize.ts";
import { draftRelu } from "./relu.ts";

const drafts: Record<LayerSpec["kind"], Draft<never, object & { kind: string }>> = {
  affine: draftAffine,
  batchnorm: draftBatchnorm,
  dropout: draftDropout,
  flatten: draftFlatten,
  gelu: draftActivation,
  leakyRelu: draftLeakyRelu,
  normalize: draftNormalize,
  relu: draftRelu,
  sigmoid: draftActivation,
  softmax: draftActivation,
  tanh: draftActivation,
};

/** Copies of a list of one description or more, each of a known kind; their settings are not looked at. */
export function checkSpecs(operation: string, specs: unknown): readonly LayerSpec[] {
  if (!Array.isArray(specs) || specs.length === 0) {
    throw new TypeError(`${operation}: layers must be a list of one layer or more`);
  }
  const own: LayerSpec[] = [];
  const { length } = specs;
  for (let i = 0; i < length; i++) {
    const given: unknown = specs[i];
    // A copy: what a getter gives is asked for once.
    const isObject = typeof given === "object" && given !== null;
    const spec = (isObject ? { ...given } : given) as { kind?: unknown } | null | undefined;
    const kind = spec?.kind;
    if (!(typeof kind === "string" && Object.hasOwn(drafts, kind))) {
      throw new TypeError(
        `${operation}: layer ${i} must be one of ${Object.keys(drafts).join(", ")}, got ${show(kind ?? given)}${typeof given === "function" ? ": call it" : ""}`,
      );
    }
    own.push(spec as LayerSpec);
  }
  return own;
}

/** A layer's place in messages. */
export function placeOf(operation: string, { kind }: LayerSpec, i: number): string {
  return `${operation}: layer ${i} (${kind})`;
}

/** The layers over such an input, checked against each other. */
export function blueprintsOf(
  operation: string,
  specs: unknown,
  input: readonly number[],
): Blueprint[] {
  let shape = input;
  return checkSpecs(operation, specs).map((spec, i) => {
    const draft = drafts[spec.kind];
    const blueprint = draft(spec as never, placeOf(operation, spec, i), shape);
    checkKeys(blueprint.place, "the layer", spec, Object.keys(blueprint.saved));
    shape = Object.freeze(blueprint.outShape);
    return blueprint;
  });
}
