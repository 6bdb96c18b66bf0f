// All kinds of layers: the records for what serves models, and the functions for what trains them.

import { type Kinds, named } from "../engine/kinds.ts";
import type { ServingRecord } from "../graph/record.ts";
import { affine, affineRecord } from "./affine.ts";
import { batchnorm, batchnormRecord } from "./batchnorm.ts";
import { dropout, dropoutRecord } from "./dropout.ts";
import { flatten, flattenRecord } from "./flatten.ts";
import { gelu, geluRecord } from "./gelu.ts";
import { leakyRelu, leakyReluRecord } from "./leaky_relu.ts";
import { normalize, normalizeRecord } from "./normalize.ts";
import { relu, reluRecord } from "./relu.ts";
import { sigmoid, sigmoidRecord } from "./sigmoid.ts";
import { softmax, softmaxRecord } from "./softmax.ts";
import { tanh, tanhRecord } from "./tanh.ts";

/** A predictor's bundle has these alone. */
export const records: { readonly [Kind in keyof typeof functions]: ServingRecord<Kind> } = {
  affine: affineRecord,
  batchnorm: batchnormRecord,
  dropout: dropoutRecord,
  flatten: flattenRecord,
  gelu: geluRecord,
  leakyRelu: leakyReluRecord,
  normalize: normalizeRecord,
  relu: reluRecord,
  sigmoid: sigmoidRecord,
  softmax: softmaxRecord,
  tanh: tanhRecord,
};

const functions = {
  affine,
  batchnorm,
  dropout,
  flatten,
  gelu,
  leakyRelu,
  normalize,
  relu,
  sigmoid,
  softmax,
  tanh,
};

/** The description of one layer, as affine(256), relu() and the others make it. */
export type LayerSpec = ReturnType<(typeof functions)[keyof typeof functions]>;

/** The description of sigmoid(), tanh(), gelu() or softmax(). */
export type ActivationSpec = ReturnType<
  typeof gelu | typeof sigmoid | typeof softmax | typeof tanh
>;

/** The kinds that a file may name. That this names the functions brings all kinds into the program. */
export const everyKind = (): Kinds => functions && named;
