// The data of a training: examples that fit makes minibatches of, or minibatches as they come.

import { show } from "../../runtime/errors.ts";
import { checkObject } from "../../tensor/operands.ts";
import type { Examples, Inputs } from "../../tensor/rows.ts";
import { type InputRows, inputRowsOf } from "../input_rows.ts";
import type { Plan } from "../network.ts";
import { type Truth, truthOf } from "./losses.ts";
import type { Stepper } from "./step.ts";

/** Examples and what the model should make of them. */
export interface Batch {
  /** Of a model of several inputs an object of examples by their names. */
  x: Inputs;
  /** Labels for "softmax" and "svm"; for "bce" and "mse" targets in the shape of the scores. */
  y: Examples;
}

/**
 * Examples of which fit makes minibatches itself. Tensors and typed arrays are read while it
 * trains, not copied.
 */
export interface TrainingData extends Batch {
  /** Examples that are evaluated after each epoch. */
  validation?: Batch | undefined;
}

/**
 * Minibatches as they come. Each epoch asks the iterable for a new iterator: a generator, which
 * runs once, serves one epoch.
 */
export type Batches = AsyncIterable<Batch> | Iterable<Batch>;

/**
 * This says what becomes of the examples that are left where the batch size does not divide their
 * number.
 */
export type LastBatch = "keep" | "drop" | "spread";

/** A minibatch that is put into the plan when its step comes. */
export interface Feed {
  readonly N: number;
  load(): Plan;
}

/** Examples that fit the model, and labels or targets that fit the loss. */
export type Pairs = readonly [x: InputRows, y: Truth];

/** The pairs of a batch, checked; arrays are read here, once. */
export function pairsOf(operation: string, stepper: Stepper, batch: Batch): Pairs {
  checkObject(operation, "batch", batch);
  const { network, settings } = stepper;
  const x = inputRowsOf(operation, batch.x, network);
  const y = truthOf(operation, settings.lossRule, batch.y, network, x.count);
  stepper.check(operation);
  if (x.count === 0) {
    throw new RangeError(`${operation}: x has no examples, and the loss is a mean over them`);
  }
  return [x, y];
}

/** A batch of the caller's as one minibatch. */
export function feedOf(operation: string, stepper: Stepper, batch: Batch): Feed {
  const pairs = pairsOf(operation, stepper, batch);
  const N = pairs[0].count;
  return { N, load: () => load(stepper, pairs, 0, N) };
}

/** The minibatches of an epoch that are still to come after its first examples, in this order. */
export function* minibatches(
  stepper: Stepper,
  pairs: Pairs,
  batchSize: number,
  lastBatch: LastBatch,
  first: number,
  order: Int32Array,
): Generator<Feed> {
  const { count } = pairs[0];
  for (let start = first; start < count; ) {
    const left = count - start;
    if (lastBatch === "drop" && left < batchSize && start > 0) return;
    const even = Math.ceil(left / Math.ceil(left / batchSize));
    const N = lastBatch === "spread" ? even : Math.min(batchSize, left);
    const end = start + N;
    yield { N, load: () => load(stepper, pairs, end - N, end, order) };
    start = end;
  }
}

export function checkLastBatch(operation: string, value: unknown): LastBatch {
  if (value === "keep" || value === "drop" || value === "spread") return value;
  throw new RangeError(
    `${operation}: lastBatch must be "keep", "drop" or "spread", got ${show(value)}`,
  );
}

/** The steps of an epoch over this many examples. */
export function stepsOf(count: number, batchSize: number, lastBatch: LastBatch): number {
  const steps = count / batchSize;
  return lastBatch === "drop" ? Math.max(1, Math.floor(steps)) : Math.ceil(steps);
}

/** Copies the rows from start to end, or those that an order has there, into the plan. */
function load(
  { network }: Stepper,
  [x, y]: Pairs,
  start: number,
  end: number,
  order?: Int32Array,
): Plan {
  const plan = network.reserve(end - start);
  x.copyTo(plan, start, end, order);
  y.copyTo(plan, start, end, order);
  return plan;
}
