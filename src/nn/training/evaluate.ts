// How well a network does on examples, batch by batch in test mode.

import type { ClassWeights } from "../../losses/weights.ts";
import { checkCount } from "../../tensor/numbers.ts";
import type { Examples, Inputs } from "../../tensor/rows.ts";
import { type InputRows, inputRowsOf } from "../input_rows.ts";
import type { LossName } from "../names.ts";
import type { Network, Plan } from "../network.ts";
import { countRight, lossOf, truthOf } from "./losses.ts";

/** How well a model does on examples. */
export interface Evaluation {
  /** The mean loss, weighted where there are class weights; without regularisation. */
  loss: number;
  /** The share of right answers, from 0 to 1; NaN for "mse". */
  accuracy: number;
}

/** The arguments of evaluate. */
export interface EvaluateOptions {
  /** Of several inputs an object of examples by their names. */
  x: Inputs;
  /** Labels, or for "bce" and "mse" targets in the shape of the scores. */
  y: Examples;
  /** Default "softmax". */
  loss?: LossName | undefined;
  /**
   * For "softmax" and "svm", a number from 0 up for each class: the loss is the weighted mean.
   * Default 1 each.
   */
  classWeights?: ClassWeights | undefined;
  /** Examples that go through at once; default 256. */
  batchSize?: number | undefined;
}

/**
 * Puts all rows through the network in test mode; the plan has the scores of one batch at a time.
 */
export function* passes(
  network: Network,
  rows: InputRows,
  batchSize: number,
): Generator<{ plan: Plan; start: number; N: number }> {
  for (let start = 0; start < rows.count; start += batchSize) {
    const N = Math.min(batchSize, rows.count - start);
    const plan = network.reserve(N);
    rows.copyTo(plan, start, start + N);
    network.forward(N, false);
    network.passed = null; // a backward pass goes through forward's batch, and not through these
    yield { plan, start, N };
  }
}

/** Evaluates, and yields after each batch. */
export function* evaluating(
  operation: string,
  network: Network,
  given: EvaluateOptions & { loss: LossName; batchSize: number },
): Generator<void, Evaluation> {
  network.check(operation);
  const { x, y, loss, batchSize, classWeights } = given;
  checkCount(operation, "batchSize", batchSize);
  const rule = lossOf(operation, loss, classWeights, network.outSize);
  const rows = inputRowsOf(operation, x, network);
  const truth = truthOf(operation, rule, y, network, rows.count);
  if (rows.count === 0) {
    throw new RangeError(`${operation}: x has no examples, and the loss is a mean over them`);
  }
  let sum = 0;
  let weight = 0;
  let right = 0;
  for (const { plan, start, N } of passes(network, rows, batchSize)) {
    truth.copyTo(plan, start, start + N);
    sum += plan.W * rule.run(network, plan, N);
    weight += plan.W;
    right += countRight(loss, network, plan, N);
    yield;
  }
  return { loss: weight === 0 ? 0 : sum / weight, accuracy: right / rows.count };
}
