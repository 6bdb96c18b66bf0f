// What a model can be trained for: what the loss takes beside the scores, its kernel, and what counts as right.

import { show } from "../runtime/errors.ts";
import { copyLabels } from "../tensor/operands.ts";
import { copyRows, labelsOf, type Rows, rowsOf } from "./data.ts";
import type { Network, Plan } from "./network.ts";

/**
 * "softmax" and "svm" take labels in [0, C); "bce" (binary cross-entropy from scores, before any sigmoid) takes targets from
 * 0 to 1 and "mse" (mean squared error) any numbers, both in the shape of the scores.
 */
export type LossName = "softmax" | "svm" | "bce" | "mse";

type Kernel = (network: Network, plan: Plan, N: number) => number;

interface Loss {
  readonly takesLabels: boolean;
  /** The mean over the first N examples in the plan; writes the scores' gradient into it. */
  readonly run: Kernel;
}

const losses: Record<LossName, Loss> = {
  softmax: {
    takesLabels: true,
    // Its workspace is for a loss without dx.
    run: ({ kernels, outSize }, { dscores, scores, labels }, N) =>
      kernels.softmax_loss(dscores.address, scores.address, labels.address, 0, N, outSize),
  },
  svm: {
    takesLabels: true,
    run: ({ kernels, outSize }, { dscores, scores, labels }, N) =>
      kernels.svm_loss(dscores.address, scores.address, labels.address, N, outSize),
  },
  bce: {
    takesLabels: false,
    run: ({ kernels, outSize }, { dscores, scores, targets }, N) =>
      kernels.bce_with_logits_loss(dscores.address, scores.address, targets.address, N * outSize),
  },
  mse: {
    takesLabels: false,
    run: ({ kernels, outSize }, { dscores, scores, targets }, N) =>
      kernels.mse_loss(dscores.address, scores.address, targets.address, N * outSize),
  },
};

/** The loss of this name, or RangeError. */
export function lossOf(operation: string, name: unknown): Loss {
  if (!(typeof name === "string" && Object.hasOwn(losses, name))) {
    throw new RangeError(
      `${operation}: loss must be one of ${Object.keys(losses).join(", ")}, got ${show(name)}`,
    );
  }
  return losses[name as LossName];
}

/** What the loss takes beside the scores, checked. */
export function truthOf(operation: string, name: LossName, y: unknown, network: Network): Rows {
  const { runtime, dtype, outShape, outSize } = network;
  if (losses[name].takesLabels) return labelsOf(operation, y, outSize, runtime);
  const rows = rowsOf(operation, "y", y, outShape, runtime, dtype);
  if (name === "bce") {
    const values = rows.values();
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value < 0 || value > 1) {
        throw new RangeError(`${operation}: y[${i}] is ${value}, expected a number from 0 to 1`);
      }
    }
  }
  return rows;
}

/** Copies the rows of y from start to end, or those that an order has there, into the plan. */
export function copyTruth(
  operation: string,
  { takesLabels }: Loss,
  { outSize }: Network,
  { labels, targets }: Plan,
  y: Rows,
  start: number,
  end: number,
  order?: Int32Array,
): void {
  // Labels are looked at again: their owner has had turns since they were checked.
  if (takesLabels) copyLabels(operation, labels.data, y.values(), outSize, start, end, order);
  else copyRows(targets, y, start, end, order);
}

/** The class with the highest score of each of the first N examples in the plan: a view. */
export function classesOf({ kernels, outSize }: Network, plan: Plan, N: number): Int32Array {
  kernels.argmax(plan.answers.address, plan.scores.address, N, outSize);
  return plan.answers.data.subarray(0, N);
}

/** How many of the first N answers in the plan are right; NaN for a loss that has no right and wrong. */
export function countRight(name: LossName, network: Network, plan: Plan, N: number): number {
  const C = network.outSize;
  if (name === "mse") return Number.NaN;
  let right = 0;
  if (name === "bce") {
    const scores = plan.scores.data;
    const targets = plan.targets.data;
    for (let i = 0; i < N * C; i++) {
      if ((scores[i] as number) > 0 === (targets[i] as number) > 0.5) right++;
    }
    return right / C;
  }
  const labels = plan.labels.data;
  const answers = classesOf(network, plan, N);
  for (let n = 0; n < N; n++) if (answers[n] === labels[n]) right++;
  return right;
}
