import type { ClassWeights } from "../../losses/weights.ts";
import { ShapeError, show } from "../../runtime/errors.ts";
import { aboveZero, checkRange, checkSeed, fromZero } from "../../tensor/numbers.ts";
import type { LossName } from "../names.ts";
import type { Network } from "../network.ts";
import { checkSettings } from "../settings.ts";
import { type LossRule, lossOf } from "./losses.ts";
import { copyDescription, type Optimizer, type Rule, ruleOf } from "./optimizers.ts";

export interface TrainerOptions {
  loss: LossName;
  optimizer: Optimizer;
  /**
   * λ of 0.5 · λ · ΣW² over the weights of affine layers, which is added to the loss, and of λ · W,
   * which is added to their gradients; default 0.
   */
  l2?: number | undefined;
  /**
   * For "softmax" and "svm", a number from 0 up for each class: how much its examples count in the
   * loss, that of evaluations too. Default 1 each.
   */
  classWeights?: ClassWeights | undefined;
  /**
   * The most that the norm of all gradients together may be; longer ones are scaled down. By
   * default there is no limit.
   */
  clipNorm?: number | undefined;
  /**
   * The seed of the order in which fit shows the examples, a whole number in [0, 2³²); default 0.
   */
  seed?: number | undefined;
}

/**
 * The options of a trainer as they were checked, with the loss and the update rule that they name.
 */
export interface Settings {
  readonly options: Readonly<TrainerOptions>;
  readonly lossRule: LossRule;
  readonly rule: Rule;
}

const KEYS = ["loss", "optimizer", "l2", "clipNorm", "seed", "classWeights"];

/** Checks the options for this network, and copies them; each is read once. */
export function checkTrainerOptions(
  operation: string,
  network: Network,
  given: TrainerOptions,
): Settings {
  checkSettings(operation, "options", given, KEYS);
  const { loss, optimizer: description, l2 = 0, clipNorm, seed = 0, classWeights } = given;
  network.check(operation); // to read them may have run code of the caller's
  if (network.outputs.length > 1) {
    const names = network.outputs.map(({ name }) => name).join(", ");
    throw new TypeError(
      `${operation}: model has the outputs ${names}, and a loss is of one: train it by forward and backward`,
    );
  }
  const lossRule = lossOf(operation, loss, classWeights, network.outSize);
  ruleOf(operation, description); // before it is copied: it may be nested without end
  const optimizer = copyDescription(description);
  const rule = ruleOf(operation, optimizer); // as the second reading may have given something else
  checkRange(operation, "l2", fromZero, l2);
  if (clipNorm !== undefined) {
    checkRange(operation, "clipNorm", aboveZero, clipNorm);
  }
  checkSeed(operation, seed);
  if (lossRule.takesLabels && network.outShape.length !== 1) {
    throw new ShapeError(
      `${operation}: loss ${show(loss)} takes scores of shape (N, C), and the model's have ${network.outShape.length + 1} axes`,
    );
  }
  const { kind, givesProbabilities } = network.top.record;
  if (loss !== "mse" && givesProbabilities) {
    globalThis.console?.warn(
      `${operation}: the loss "${loss}" takes scores, and the model ends in ${kind}(): leave that layer out, and model.probabilities(x) gives what it gave`,
    );
  }
  const weights = lossRule.classWeights && [...lossRule.classWeights];
  // A checkpoint has them in this order.
  const options = { loss, l2, clipNorm, seed, classWeights: weights, optimizer };
  return { options: Object.freeze(options), lossRule, rule };
}
