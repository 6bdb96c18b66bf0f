// The public Trainer: it trains by src/nn/training, and is kept in files by src/io/checkpoint.ts.

import { readCheckpoint, writeCheckpoint } from "./io/checkpoint.ts";
import { type AnyModel, type GivenModel, networkOf } from "./nn/network_model.ts";
import { checkSettings } from "./nn/settings.ts";
import { type Batch, type Batches, feedOf, type TrainingData } from "./nn/training/batches.ts";
import type { Evaluation } from "./nn/training/evaluate.ts";
import type { Training } from "./nn/training/events.ts";
import { Fit } from "./nn/training/fit.ts";
import type { FitOptions } from "./nn/training/fit_options.ts";
import { checkTrainerOptions, type TrainerOptions } from "./nn/training/options.ts";
import type { LearningRate } from "./nn/training/schedules.ts";
import { Stepper } from "./nn/training/step.ts";
import { checkRange, fromZero } from "./tensor/numbers.ts";
import { LegacyRandom } from "./tensor/random.ts";
import type { Examples, Inputs } from "./tensor/rows.ts";
import type { Runtime } from "./tensor/runtime.ts";
import { Owner } from "./tensor/scope.ts";

const RATE = "Trainer.learningRate";

/**
 * Trains a model: minibatches, loss, update rule.
 *
 * One step: scores in training mode, the loss and its gradient, l2, clipping, and the update of
 * every parameter by the rate of the steps taken so far. A step allocates nothing once a batch of
 * its size has been through.
 */
export class Trainer extends Owner {
  readonly model: AnyModel;
  private readonly stepper: Stepper;
  private readonly fitting: Fit;

  /**
   * @throws TypeError for a model or optimizer that is none; RangeError for a loss of no known name
   *   and for settings out of range; DisposedError; MemoryError
   */
  constructor(model: GivenModel, options: TrainerOptions) {
    super();
    const operation = "Trainer";
    const network = networkOf(operation, model);
    const settings = checkTrainerOptions(operation, network, options);
    const random = new LegacyRandom(network.runtime, settings.options.seed as number);
    this.model = model;
    this.stepper = new Stepper(network, settings); // last, as it alone leaves something allocated
    this.fitting = new Fit(this.stepper, random);
  }

  /** Steps taken, over all calls of step and fit. */
  get steps(): number {
    return this.stepper.taken;
  }

  /**
   * The learning rate of the next step. It may be assigned where the optimizer has a number and no
   * schedule, between the steps of fit too; a checkpoint keeps it.
   * @throws RangeError for what is no number from 0 up, TypeError where the rate is a schedule,
   *   DisposedError; nothing has changed then
   */
  get learningRate(): number {
    return this.stepper.rate();
  }

  set learningRate(rate: number) {
    this.stepper.check(RATE);
    const optimizer = this.stepper.settings.options.optimizer as { learningRate: LearningRate };
    if (typeof optimizer.learningRate !== "number") {
      throw new TypeError(`${RATE}: the optimizer's schedule sets it`);
    }
    optimizer.learningRate = checkRange(RATE, "the rate", fromZero, rate);
  }

  /**
   * One step of training on one batch.
   *
   * @returns the loss before the update, regularisation included
   * @throws RangeError for a label out of range and an empty batch; ShapeError, DTypeError,
   *   DisposedError, RuntimeMismatchError, MemoryError; nothing has changed then
   */
  step(x: Inputs, y: Examples): { loss: number } {
    const operation = "Trainer.step";
    this.stepper.check(operation);
    const feed = feedOf(operation, this.stepper, { x, y });
    return { loss: this.stepper.take(feed.load(), feed.N) };
  }

  /**
   * The mean loss, weighted by the trainer's class weights and without regularisation, and the
   * share of right answers, in test mode.
   * @throws as step
   */
  evaluate(options: Batch & { batchSize?: number | undefined }): Evaluation {
    const operation = "Trainer.evaluate";
    this.stepper.check(operation);
    checkSettings(operation, "options", options, ["x", "y", "batchSize", "validation"]);
    const { x, y, batchSize } = options;
    const { loss, classWeights } = this.stepper.settings.options;
    return this.model.evaluate({ x, y, batchSize, loss, classWeights });
  }

  /**
   * Trains for so many epochs, and tells of each step and each epoch: iterate over it with `for
   * await`, or await it, which trains to the end and gives the history. Each epoch shows all
   * examples once, in an order of its own. The event loop has a turn every 16 ms, so that a page
   * stays alive.
   *
   * A fit that did not come to its end, because its loop was left, its signal aborted or its
   * trainer resumed from a checkpoint, is continued by the next call with the same data and
   * options, and ends with the same bits; after one that did, the next begins anew, with so many
   * epochs more.
   *
   * @throws RangeError for options out of range, labels out of range, and a loss or parameters that
   *   are NaN or infinite; TypeError, ShapeError, DTypeError, DisposedError, RuntimeMismatchError;
   *   and when it is aborted the signal's reason
   */
  fit(data: TrainingData | Batches, options: FitOptions): Training {
    return this.fitting.start(data, options);
  }

  /**
   * All of the training as the bytes of a safetensors file: the model, the optimizer and its state,
   * the steps taken, the epoch and the place in it, the order of the examples, dropout's stream. A
   * run that goes on from it ends with the same bits as one that never stopped.
   */
  checkpoint(): Uint8Array<ArrayBuffer> {
    this.stepper.check("Trainer.checkpoint");
    return writeCheckpoint(this.stepper, this.fitting);
  }

  /**
   * The trainer whose checkpoint this is, and its model with it (`trainer.model`), in any runtime:
   * the next fit with the same data and options goes on where it stood.
   * @throws FormatError for bytes that are no checkpoint, and for a field that is none, with its
   *   name; ShapeError with a list of all tensors that are missing, extra or of another shape or
   *   dtype; RangeError and TypeError for options that a trainer does not take; MemoryError
   */
  static resume(runtime: Runtime, bytes: Uint8Array | ArrayBuffer): Trainer {
    const { model, options, restore } = readCheckpoint("Trainer.resume", runtime, bytes);
    let trainer: Trainer | undefined;
    try {
      trainer = new Trainer(model, options);
      restore(trainer.stepper, trainer.fitting);
      return trainer;
    } catch (error) {
      trainer?.dispose();
      model.dispose();
      throw error;
    }
  }

  override toString(): string {
    const { taken, disposed, settings } = this.stepper;
    const { loss, optimizer } = settings.options;
    const gone = disposed ? " (disposed)" : "";
    return `Trainer: loss ${loss}, ${optimizer.kind}, ${taken} ${taken === 1 ? "step" : "steps"} taken${gone}; its model:\n${this.model}`;
  }

  /** Gives back the optimizer's memory; the model lives on. A second call does nothing. */
  override dispose(): void {
    this.stepper.dispose();
  }
}
