// The events of a training while it runs, and its history once it has ended.

import type { Evaluation } from "./evaluate.ts";

export interface StepEvent {
  type: "step";
  /** The number of the epoch; all numbers of epochs and steps here begin at 1. */
  epoch: number;
  epochs: number;
  /** The number of the step in its epoch. */
  step: number;
  /** The steps of each epoch; undefined for an iterable. */
  steps: number | undefined;
  /** The loss of this step's examples before its update, regularisation included. */
  loss: number;
  /** The accuracy of this step's examples before its update; NaN for "mse". */
  accuracy: number;
  /** The examples of this step. */
  examples: number;
  learningRate: number;
  /** The speed since this call of fit began; 0 where the clock stands still. */
  examplesPerSecond: number;
}

export interface EpochEvent {
  type: "epoch";
  epoch: number;
  epochs: number;
  /** The steps that the epoch had. */
  steps: number;
  /** The means of its steps. */
  loss: number;
  accuracy: number;
  validation: Evaluation | undefined;
  /** Early stopping ended the run with this epoch. */
  stopped: boolean;
  learningRate: number;
  examplesPerSecond: number;
}

export type TrainingEvent = StepEvent | EpochEvent;

/** The events of the epochs that one call of fit finished, in their order. */
export interface History extends ReadonlyArray<EpochEvent> {
  /**
   * The epoch with the lowest validation loss, without validation the lowest training loss;
   * undefined without an epoch.
   */
  readonly best: EpochEvent | undefined;
}

/**
 * A training under way: iterate over its events, or await it, which trains to the end and gives
 * the history.
 */
export interface Training extends AsyncGenerator<TrainingEvent, void, void>, PromiseLike<History> {}

/** Adds what `await` asks for: whoever awaits the generator runs it to its end. */
export function awaitable(
  events: AsyncGenerator<TrainingEvent, void, void>,
  history: EpochEvent[],
): Training {
  let whole: Promise<History> | undefined;
  const train = async () => {
    for await (const _ of events);
    const lossOf = ({ validation, loss }: EpochEvent) => validation?.loss ?? loss;
    let best = history[0];
    for (const event of history) if (lossOf(event) < lossOf(best as EpochEvent)) best = event;
    return Object.assign(history, { best });
  };
  const then: Training["then"] = (...handlers) => {
    whole ??= train();
    return whole.then(...handlers);
  };
  return Object.assign(events, { then });
}
