// The losses that a model can be trained with: their kernels, the labels or targets that they take,
// and what counts as a right answer.

import { type ClassWeights, checkClassWeights, fillRowWeights } from "../../losses/weights.ts";
import { ShapeError, show } from "../../runtime/errors.ts";
import { labelsOf } from "../../tensor/labels.ts";
import { rowsOf } from "../../tensor/rows.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { LossName } from "../names.ts";
import type { Network, Plan } from "../network.ts";

type Kernel = (network: Network, plan: Plan, N: number) => number;

interface Loss {
  readonly takesLabels: boolean;
  /** The mean over the first N examples in the plan; writes the scores' gradient into it. */
  readonly run: Kernel;
}

/** A loss with the class weights that the caller gave. */
export interface LossRule extends Loss {
  readonly name: LossName;
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

export const isLoss = (name: unknown): name is LossName =>
  typeof name === "string" && Object.hasOwn(losses, name);

/** The loss of this name for a model of so many scores, or RangeError. */
export function lossOf(
  operation: string,
  name: unknown,
  classWeights: ClassWeights | undefined,
  outSize: number,
): LossRule {
  if (!isLoss(name)) {
    throw new RangeError(
      `${operation}: loss must be one of ${Object.keys(losses).join(", ")}, got ${show(name)}`,
    );
  }
  const loss = losses[name];
  if (classWeights !== undefined && !loss.takesLabels) {
    throw new RangeError(
      `${operation}: classWeights belong to the losses of labels, "softmax" and "svm", got loss "${name}"`,
    );
  }
  return {
    ...loss,
    name,
    classWeights: checkClassWeights(operation, classWeights, outSize),
  };
}

/** Labels or targets of examples: what the loss takes beside the scores. */
export interface Truth {
  /**
   * Copies the rows from start to end, or those that an order has there, into a plan, and checks
   * them there.
   */
  copyTo(plan: Plan, start: number, end: number, order?: Int32Array): void;
}

/** The labels or targets of this many examples, checked for this loss. */
export function truthOf(
  operation: string,
  { name, takesLabels, classWeights }: LossRule,
  y: unknown,
  network: Network,
  count: number,
): Truth {
  const { runtime, outShape, outSize } = network;
  if (takesLabels) {
    const labels = labelsOf(operation, y, outSize, count, runtime, "the model");
    network.check(operation);
    return {
      copyTo(plan, start, end, order) {
        const N = end - start;
        const { data } = plan.labels;
        labels.copyTo(data, start, end, order);
        plan.weights = classWeights ? plan.rowWeights.address : 0;
        plan.W = classWeights
          ? fillRowWeights(plan.rowWeights.data.subarray(0, N), data, classWeights)
          : N;
      },
    };
  }
  const rows = rowsOf(operation, "y", y, outShape, network);
  if (rows.count !== count) {
    // Numbers in a row were counted by the scores' shape, which a caller who gave one number for
    // each example does not see.
    const due = `${formatShape([count, ...outShape])}, or ${count * outSize} numbers in a row`;
    throw new ShapeError(
      `${operation}: x has ${count} examples but y has ${rows.count}: y must have shape ${due}, got ${rows.numbers.size} numbers`,
    );
  }
  const check = (values: ArrayLike<number>, n: number, placeOf: (i: number) => number) => {
    if (name !== "bce") return;
    for (let i = 0; i < n; i++) {
      const value = values[i] as number;
      if (value < 0 || value > 1) {
        throw new RangeError(
          `${operation}: y[${placeOf(i)}] is ${value}, expected a number from 0 to 1`,
        );
      }
    }
  };
  const { numbers } = rows;
  check(numbers.part(0, numbers.size), numbers.size, (i) => i);
  return {
    copyTo(plan, start, end, order) {
      rows.copyTo(plan.targets.data, start, end, order);
      plan.weights = 0;
      plan.W = end - start;
      check(plan.targets.data, (end - start) * outSize, (i) => {
        const n = start + Math.floor(i / outSize);
        return (order ? (order[n] as number) : n) * outSize + (i % outSize);
      });
    },
  };
}

/**
 * The class of each of the first N examples in the plan: the one with the highest score. A model of
 * one score that is trained with "bce", or has the names of two classes, answers 1 where the
 * probability is above ½. The result is a view of the plan.
 */
export function classesOf(network: Network, plan: Plan, N: number): Int32Array {
  const { kernels, top, loss, classes, outSize } = network;
  const answers = plan.answers.data.subarray(0, N);
  if (outSize === 1 && (loss === "bce" || classes?.length === 2)) {
    const scores = plan.scores.data;
    const half = top.record.givesProbabilities ? 0.5 : 0;
    for (let n = 0; n < N; n++) answers[n] = (scores[n] as number) > half ? 1 : 0;
  } else {
    kernels.argmax(plan.answers.address, plan.scores.address, N, outSize);
  }
  return answers;
}

/** Makes probabilities of n scores of a model that was trained with this loss, in their place. */
export function toProbabilities(
  { kernels }: Network,
  loss: LossName,
  at: number,
  n: number,
  C: number,
) {
  if (loss === "softmax") kernels.softmax_forward(at, at, n / C, C, 1);
  else kernels.sigmoid_forward(at, at, n);
}

/**
 * How many of the first N answers in the plan are right; NaN for a loss that has no right and
 * wrong.
 */
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
