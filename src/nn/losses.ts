// What a model can be trained for: what the loss takes beside the scores, its kernel, and what counts as right.

import { type ClassWeights, checkClassWeights, fillRowWeights } from "../losses/weights.ts";
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

/** A loss as a caller set it. */
export interface LossRule extends Loss {
  readonly classWeights: Float64Array | undefined;
}

const losses: Record<LossName, Loss> = {
  softmax: {
    takesLabels: true,
    // Its workspace is for a loss without dx.
    run: ({ kernels, outSize }, { dscores, scores, labels, weights, W }, N) =>
      kernels.softmax_loss(
        dscores.address,
        scores.address,
        labels.address,
        weights,
        0,
        N,
        outSize,
        W,
      ),
  },
  svm: {
    takesLabels: true,
    run: ({ kernels, outSize }, { dscores, scores, labels, weights, W }, N) =>
      kernels.svm_loss(dscores.address, scores.address, labels.address, weights, N, outSize, W),
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

/** The loss of this name for a model of so many scores, or RangeError. */
export function lossOf(
  operation: string,
  name: unknown,
  classWeights: ClassWeights | undefined,
  outSize: number,
): LossRule {
  if (!(typeof name === "string" && Object.hasOwn(losses, name))) {
    throw new RangeError(
      `${operation}: loss must be one of ${Object.keys(losses).join(", ")}, got ${show(name)}`,
    );
  }
  const loss = losses[name as LossName];
  if (classWeights !== undefined && !loss.takesLabels) {
    throw new RangeError(
      `${operation}: classWeights belong to the losses of labels, "softmax" and "svm", got loss "${name}"`,
    );
  }
  return { ...loss, classWeights: checkClassWeights(operation, classWeights, outSize) };
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
  { takesLabels, classWeights }: LossRule,
  { outSize }: Network,
  plan: Plan,
  y: Rows,
  start: number,
  end: number,
  order?: Int32Array,
): void {
  const { labels, rowWeights } = plan;
  plan.weights = 0;
  plan.W = end - start;
  if (!takesLabels) {
    copyRows(plan.targets, y, start, end, order);
    return;
  }
  // Labels are looked at again: their owner has had turns since they were checked.
  copyLabels(operation, labels.data, y.values(), outSize, start, end, order);
  if (classWeights) {
    plan.weights = rowWeights.address;
    plan.W = fillRowWeights(rowWeights.data.subarray(0, plan.W), labels.data, classWeights);
  }
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
