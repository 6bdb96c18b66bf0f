// The kinds of layers, by name.

import { checkSettings } from "../settings.ts";
import {
  type ActivationSpec,
  GeluLayer,
  LeakyReluLayer,
  type LeakyReluSpec,
  SigmoidLayer,
  SoftmaxLayer,
  TanhLayer,
} from "./activation.ts";
import { AffineLayer, type AffineSpec } from "./affine.ts";
import { BatchnormLayer, type BatchnormSpec } from "./batchnorm.ts";
import { checkSpecs, placeOf } from "./blueprints.ts";
import { DropoutLayer, type DropoutSpec } from "./dropout.ts";
import { FlattenLayer, type FlattenSpec } from "./flatten.ts";
import type { Layer, Setting } from "./layer.ts";
import { NormalizeLayer, type NormalizeSpec } from "./normalize.ts";
import { ReluLayer, type ReluSpec } from "./relu.ts";

/** The description of one layer, as affine(256), relu() and the others make it. */
export type LayerSpec =
  | ActivationSpec
  | AffineSpec
  | BatchnormSpec
  | DropoutSpec
  | FlattenSpec
  | LeakyReluSpec
  | NormalizeSpec
  | ReluSpec;

type LayerClass = new (
  spec: never,
  place: string,
  inShape: readonly number[],
  setting: Setting,
) => Layer;

const kinds: Record<LayerSpec["kind"], LayerClass> = {
  affine: AffineLayer,
  batchnorm: BatchnormLayer,
  dropout: DropoutLayer,
  flatten: FlattenLayer,
  gelu: GeluLayer,
  leakyRelu: LeakyReluLayer,
  normalize: NormalizeLayer,
  relu: ReluLayer,
  sigmoid: SigmoidLayer,
  softmax: SoftmaxLayer,
  tanh: TanhLayer,
};

/** The layers over such an input, checked against each other; nothing is allocated. */
export function buildLayers(
  operation: string,
  specs: unknown,
  input: readonly number[],
  setting: Setting,
): Layer[] {
  const layers: Layer[] = [];
  let shape = input;
  for (const [i, spec] of checkSpecs(operation, specs).entries()) {
    const place = placeOf(operation, spec, i);
    const layer = new kinds[spec.kind](spec as never, place, shape, setting);
    // What a file keeps of a layer are its settings; initializers come beside them.
    const settings = Object.keys(layer.saved);
    if (layer instanceof AffineLayer) settings.push("weight", "bias");
    checkSettings(place, "the layer", spec, settings);
    for (const slot of layer.slots) slot.name = `${i}.${slot.key}`;
    const below = layers[i - 1];
    if (layer instanceof ReluLayer && below instanceof AffineLayer) {
      below.relu = true;
      layer.fused = true;
    }
    layers.push(layer);
    shape = layer.outShape;
  }
  return layers;
}
