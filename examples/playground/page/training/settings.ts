// What a training is made of, as the page's forms hold it and workers get it: plain data.

import {
  adam,
  adamw,
  affine,
  batchnorm,
  dropout,
  gelu,
  type LayerSpec,
  leakyRelu,
  momentum,
  nesterov,
  normalize,
  type Optimizer,
  relu,
  rmsprop,
  sgd,
  sigmoid,
  tanh,
} from "lamella";
import { type Range, whole } from "./range.ts";

export interface Settings {
  layers: LayerSpec[];
  optimizer: Optimizer;
  loss: "softmax" | "svm";
  /** Of the weights' squares, added to the loss. */
  l2: number;
  batchSize: number;
  /** Of the first weights, of dropout, and of the order of the examples. */
  seed: number;
}

/** The layers that the page offers, each as it is when it is added. */
export const freshLayers = {
  affine: () => affine(32),
  batchnorm: () => batchnorm({ eps: 1e-5, momentum: 0.1 }),
  relu: () => relu(),
  leakyRelu: () => leakyRelu(0.01),
  tanh: () => tanh(),
  sigmoid: () => sigmoid(),
  gelu: () => gelu(),
  dropout: () => dropout(0.2),
  normalize: () => normalize({ mean: 0, std: 255 }),
} satisfies Record<string, () => LayerSpec>;

export type LayerKind = keyof typeof freshLayers;

export const optimizers = { sgd, momentum, nesterov, rmsprop, adam, adamw };
export const losses = { softmax: "softmax", svm: "SVM" };

const positive: Range = { min: 0, isAbove: true };
const share: Range = { min: 0, max: 1 };
const lessThanOne: Range = { min: 0, max: 1, isBelow: true };
const any: Range = {};

/** Where each number of the settings must lie, as the library has it or as the page can bear it. */
export const ranges = {
  learningRate: positive,
  momentum: share,
  decayRate: share,
  beta1: lessThanOne,
  beta2: lessThanOne,
  eps: { min: 0 },
  weightDecay: { min: 0 },
  l2: { min: 0 },
  batchSize: whole(1, 4096),
  seed: whole(0, 2 ** 32 - 1),
} satisfies Record<string, Range>;

/** The same for the numbers of layers. */
export const layerRanges: Partial<Record<LayerKind, Record<string, Range>>> = {
  affine: { units: whole(1, 4096) },
  batchnorm: { eps: positive, momentum: share },
  leakyRelu: { negativeSlope: any },
  dropout: { p: any }, // the library says what it may be
  normalize: { mean: any, std: positive },
};

/** Where a probability of dropping must lie. */
export const dropoutRange = lessThanOne;

/** What a network may take at most, so that no tab runs out of memory. */
export const MOST_LAYERS = 24;
const MOST_PARAMETERS = 10_000_000;
/** Numbers between the layers, for all the examples that go through them at once. */
const MOST_VALUES = 50_000_000;

const words = (value: number) => value.toLocaleString("en");

/**
 * Why a network cannot be, before anything is allocated for it; undefined where it can.
 *
 * @param input numbers of one example
 * @param classes scores that it must end in
 * @param atOnce examples that go through it at once, in training or outside of it
 */
export function problemOf(
  layers: readonly LayerSpec[],
  input: number,
  classes: number,
  atOnce: number,
): string | undefined {
  if (layers.length > MOST_LAYERS) {
    return `the network has ${layers.length} layers, and the page takes ${MOST_LAYERS}`;
  }
  let [width, parameters, values] = [input, 0, 0];
  for (const [i, spec] of layers.entries()) {
    if (spec.kind === "affine") {
      const { max = 0 } = layerRanges.affine!.units!;
      if (!(Number.isInteger(spec.units) && spec.units >= 1 && spec.units <= max)) {
        return `layer ${i} (affine): units must be a whole number from 1 to ${words(max)}, got ${words(spec.units)}`;
      }
      parameters += width * spec.units + (spec.useBias === false ? 0 : spec.units);
      width = spec.units;
    }
    if (spec.kind === "batchnorm") parameters += 2 * width;
    values += width * atOnce;
    if (parameters > MOST_PARAMETERS) {
      return `layer ${i} (${spec.kind}): the network has ${words(parameters)} parameters here, and the page takes ${words(MOST_PARAMETERS)}`;
    }
    if (values > MOST_VALUES) {
      return `layer ${i} (${spec.kind}): ${words(atOnce)} examples at once make ${words(values)} numbers here, and the page takes ${words(MOST_VALUES)}`;
    }
  }
  if (width === classes) return undefined;
  const last = layers.findLastIndex(({ kind }) => kind === "affine");
  const where = last < 0 ? "" : `layer ${last} (affine): `;
  return `${where}the network ends in ${width} scores, but there are ${classes} classes: let the last affine layer have ${classes} units`;
}

/** What makes another network necessary; all else is taken over by the one that is there. */
export function isSameNetwork(a: Settings, b: Settings): boolean {
  return a.seed === b.seed && isEqual(a.layers, b.layers);
}

/** Of plain data; the order of keys does not matter. */
export function isEqual(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a, sorted) === JSON.stringify(b, sorted);
}

function sorted(_: string, value: unknown): unknown {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? Object.fromEntries(Object.entries(value).sort(byKey)) : value;
}

export const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;
