import { show } from "../../runtime/errors.ts";
import { checkCount, checkRange, fromZero } from "../../tensor/numbers.ts";
import { checkSettings } from "../settings.ts";
import { type Batch, checkLastBatch, type LastBatch } from "./batches.ts";

/**
 * The part of an AbortSignal that fit calls. A program without the DOM's types may not have the
 * whole type.
 */
export interface StopSignal {
  throwIfAborted(): void;
}

export interface FitOptions {
  epochs: number;
  /** The most examples of a step. Default 32; for an iterable it has no meaning. */
  batchSize?: number | undefined;
  /**
   * This says what becomes of the examples that are left where batchSize does not divide them.
   * "spread", the default, makes all batches of an epoch as even as can be, none larger than
   * batchSize; "keep" leaves a smaller last one; "drop" leaves them out of the epoch. A batch of
   * one or two examples has no statistics that batch normalisation could learn from. For an
   * iterable it has no meaning.
   */
  lastBatch?: LastBatch | undefined;
  /**
   * Begins anew, where an earlier fit did not come to its end; default false, which continues that
   * one.
   */
  restart?: boolean | undefined;
  /** The validation data of an iterable; else it may as well be in the data. */
  validation?: Batch | undefined;
  /**
   * Ends the run after the step under way: fit throws the signal's reason, and can be called again
   * to go on.
   */
  signal?: StopSignal | undefined;
  /**
   * Ends the run once so many epochs in a row have not brought the validation loss (without
   * validation the training loss) more than minDelta (default 0) below the lowest so far. With
   * restoreBest the model has the parameters and running values of the best epoch when the run
   * ends, early or not; default false.
   */
  earlyStopping?:
    | { patience: number; minDelta?: number | undefined; restoreBest?: boolean | undefined }
    | undefined;
  /**
   * Ends the run with a RangeError once the loss, or at the end of an epoch a parameter, is NaN or
   * infinite; default true. The error names the step and the epoch.
   */
  stopOnNaN?: boolean | undefined;
}

const KEYS = [
  "epochs",
  "batchSize",
  "lastBatch",
  "restart",
  "validation",
  "signal",
  "earlyStopping",
  "stopOnNaN",
];
const STOPPING = ["patience", "minDelta", "restoreBest"];

/**
 * The options of a fit, checked. Each is read once, wherever it stands: a getter may answer
 * otherwise the second time, and a spread leaves out what is inherited.
 */
export function checkFitOptions(operation: string, options: FitOptions) {
  if (
    options !== null &&
    typeof options === "object" &&
    ("length" in options || "shape" in options)
  ) {
    throw new TypeError(`${operation}: x and y are one argument: fit({ x, y }, { epochs })`);
  }
  checkSettings(operation, "options", options, KEYS);
  const { epochs, batchSize = 32, lastBatch, restart, validation, signal, stopOnNaN } = options;
  const { earlyStopping } = options;
  checkCount(operation, "epochs", epochs);
  checkCount(operation, "batchSize", batchSize);
  checkFlag(operation, "restart", restart);
  checkFlag(operation, "stopOnNaN", stopOnNaN);
  if (lastBatch !== undefined) checkLastBatch(operation, lastBatch);
  const stopping =
    earlyStopping === undefined ? undefined : checkEarlyStopping(operation, earlyStopping);
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function") {
    throw new TypeError(`${operation}: signal must be an AbortSignal, got ${show(signal)}`);
  }
  return {
    epochs,
    batchSize,
    lastBatch,
    restart,
    validation,
    signal,
    stopOnNaN: stopOnNaN ?? true,
    earlyStopping: stopping,
  };
}

function checkEarlyStopping(operation: string, given: FitOptions["earlyStopping"]) {
  checkSettings(operation, "earlyStopping", given, STOPPING);
  const { patience, minDelta = 0, restoreBest } = given as NonNullable<typeof given>;
  checkFlag(operation, "restoreBest", restoreBest);
  checkCount(operation, "earlyStopping.patience", patience);
  const name = "earlyStopping.minDelta";
  checkRange(operation, name, fromZero, minDelta);
  return { patience, minDelta, restoreBest };
}

function checkFlag(operation: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "boolean") return;
  throw new TypeError(`${operation}: ${name} must be true or false, got ${show(value)}`);
}
