// All kinds of layers: the records for what serves models, and the functions for what trains them.

import { type Kinds, named } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { affine, affineRecord, affineTraining } from "./affine.ts";
import { batchnorm, batchnormRecord, batchnormTraining } from "./batchnorm.ts";
import { dropout, dropoutRecord, dropoutTraining } from "./dropout.ts";
import { flatten, flattenRecord, flattenTraining } from "./flatten.ts";
import { gelu, geluRecord, geluTraining } from "./gelu.ts";
import { leakyRelu, leakyReluRecord, leakyReluTraining } from "./leaky_relu.ts";
import { normalize, normalizeRecord, normalizeTraining } from "./normalize.ts";
import { relu, reluRecord, reluTraining } from "./relu.ts";
import { sigmoid, sigmoidRecord, sigmoidTraining } from "./sigmoid.ts";
import { softmax, softmaxRecord, softmaxTraining } from "./softmax.ts";
import { tanh, tanhRecord, tanhTraining } from "./tanh.ts";

/** A predictor's bundle has these alone. The command line names them in this order. */
export const records: { readonly [Kind in keyof typeof functions]: ServingRecord<Kind> } = {
  affine: affineRecord,
  relu: reluRecord,
  gelu: geluRecord,
  tanh: tanhRecord,
  sigmoid: sigmoidRecord,
  leakyRelu: leakyReluRecord,
  softmax: softmaxRecord,
  batchnorm: batchnormRecord,
  normalize: normalizeRecord,
  dropout: dropoutRecord,
  flatten: flattenRecord,
};

/** What is known of a kind beside its record where it is trained; without an engine. */
export const trainings: { readonly [Kind in keyof typeof functions]: TrainingRecord } = {
  affine: affineTraining,
  batchnorm: batchnormTraining,
  dropout: dropoutTraining,
  flatten: flattenTraining,
  gelu: geluTraining,
  leakyRelu: leakyReluTraining,
  normalize: normalizeTraining,
  relu: reluTraining,
  sigmoid: sigmoidTraining,
  softmax: softmaxTraining,
  tanh: tanhTraining,
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
