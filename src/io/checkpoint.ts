// A checkpoint keeps a training in a safetensors file. The model is in it as in a file of its own
// (model_file.ts), but that its tensors' names begin with "model.". Beside it the file has these:
//
//   optimizer.velocity.0.weight   the tensors of the update rule
//   best.0.weight                 the values of the best epoch, where restoreBest needs them
//   generator                     the state from which the epoch's order is drawn, as bytes
//   training                      in the metadata, JSON: the options, the steps taken, dropout's
//                                 stream, and the run of fit that has not finished

import type { AnyModel } from "../nn/network_model.ts";
import { matchState, type StateEntry, type Target } from "../nn/state.ts";
import { checkLastBatch } from "../nn/training/batches.ts";
import type { Fit, Run } from "../nn/training/fit.ts";
import type { TrainerOptions } from "../nn/training/options.ts";
import type { Stepper } from "../nn/training/step.ts";
import { FormatError, show } from "../runtime/errors.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { modelFrom } from "./model.ts";
import { checkOurs, entriesOf, jsonOf, metadataOf } from "./model_file.ts";
import { fileDTypes, readStored, type SafetensorsData, writeSafetensors } from "./safetensors.ts";

/** The names of tensors in a checkpoint begin with these. */
const MODEL = "model.";
const BEST = "best.";
const GENERATOR = "generator";

/** This is the metadata's training, as a file claims it to be. */
interface SavedTraining extends TrainerOptions {
  taken: unknown;
  power1: unknown;
  power2: unknown;
  dropout?: { key: unknown; counter: unknown };
  run: Record<keyof Run, unknown> | null;
}

export function writeCheckpoint(stepper: Stepper, fit: Fit): Uint8Array<ArrayBuffer> {
  const { network, settings, taken, power1, power2 } = stepper;
  const { architecture, classes, dtype, isChain } = network;
  const { run, bestValues, shuffle } = fit;
  const tensors = new Map<string, SafetensorsData>();
  for (const { name, value } of network.slots) tensors.set(MODEL + name, value);
  for (const [name, tensor] of stepper.stateByName()) tensors.set(name, tensor);
  if (bestValues) {
    for (const [i, { name, shape }] of network.slots.entries()) {
      tensors.set(BEST + name, { dtype, shape, data: bestValues[i] as Float32Array });
    }
  }
  tensors.set(GENERATOR, { dtype: "U8", shape: [shuffle.length], data: shuffle });
  const { key, counter } = network.stream;
  const dropout = { key, counter };
  const training = { ...settings.options, taken, power1, power2, dropout, run };
  // JSON has no NaN and no infinities, which a loss may be.
  const written = (key: string, value: unknown) => {
    // Earlier versions, which knew nothing else, did not write this key.
    if (key === "lastBatch" && value === "keep") return undefined;
    return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  };
  return writeSafetensors(tensors, {
    // The loss is one of the options, so that it does not stand beside them as in a model's file.
    ...metadataOf("checkpoint", { architecture, classes, loss: undefined }, isChain ? "1" : "2"),
    training: JSON.stringify(training, written),
  });
}

/**
 * Returns a checkpoint's model, its trainer's options, and a function that gives a trainer the
 * rest.
 */
export function readCheckpoint(
  operation: string,
  runtime: Runtime,
  bytes: Uint8Array | ArrayBuffer,
): { model: AnyModel; options: TrainerOptions; restore(stepper: Stepper, fit: Fit): void } {
  const file = readStored(operation, bytes);
  checkOurs(operation, file, "checkpoint");
  const training = jsonOf(operation, file, "training") as unknown as SavedTraining;
  const entries = entriesOf(file);
  const isModel = ({ name }: StateEntry) => name.startsWith(MODEL);
  const ofModel = entries
    .filter(isModel)
    .map((entry) => ({ ...entry, name: entry.name.slice(MODEL.length) }));
  const model = modelFrom(operation, runtime, file, ofModel, (dtype) => [fileDTypes[dtype]]);
  const { loss, optimizer, l2, clipNorm, seed, classWeights } = training;
  const others = entries.filter((entry) => !isModel(entry));
  return {
    model,
    options: { loss, optimizer, l2, clipNorm, seed, classWeights },
    restore: (stepper, fit) => restore(operation, stepper, fit, training, others),
  };
}

function restore(
  operation: string,
  stepper: Stepper,
  fit: Fit,
  saved: SavedTraining,
  entries: readonly StateEntry[],
): void {
  /** Returns some fields of an object, each of which has been checked. */
  const read = (from: unknown, path: string, keys: string, isRight: (value: unknown) => boolean) =>
    Object.fromEntries(
      keys.split(" ").map((key) => {
        const value = Object(from)[key];
        if (isRight(value)) return [key, typeof value === "string" ? Number(value) : value];
        throw new FormatError(
          `${operation}: ${path}${key} is ${show(value)} in the metadata's training`,
        );
      }),
    );
  const isWhole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const isPower = (value: unknown) => typeof value === "number" && value >= 0 && value <= 1;
  // A loss that is no finite number is a text, as JSON has no number for it.
  const isLoss = (value: unknown) =>
    typeof value === "number" || ["NaN", "Infinity", "-Infinity"].includes(value as string);
  const { run, dropout } = saved;
  const { stream, slots, dtype } = stepper.network;
  Object.assign(
    stepper,
    read(saved, "", "taken", isWhole),
    read(saved, "", "power1 power2", isPower),
  );
  Object.assign(
    stream,
    read(dropout, "dropout.", "key", (key) => isWhole(key) && (key as number) < 2 ** 32),
    read(dropout, "dropout.", "counter", isWhole),
  );
  if (run !== null) {
    // The fields stand in the order in which they are written again.
    fit.run = {
      ...read(run, "run.", "epoch step examples", isWhole),
      ...read(run, "run.", "lossSum right", isLoss),
      ...read(run, "run.", "best", (best) => best === null || isLoss(best)),
      ...read(run, "run.", "stale", isWhole),
      ...read(run, "run.", "count", (count) => count === null || isWhole(count)),
      // Checkpoints from before there was a choice go on as they began.
      lastBatch: checkLastBatch(`${operation}: run`, Object(run).lastBatch ?? "keep"),
    } as Run;
  }
  const targets: Target[] = stepper.stateByName().map(([name, tensor]) => ({
    name,
    shape: tensor.shape,
    dtype: fileDTypes[tensor.dtype],
    data: () => tensor.data,
  }));
  const { shuffle } = fit;
  targets.push({ name: GENERATOR, shape: [shuffle.length], dtype: "U8", data: () => shuffle });
  if (entries.some(({ name }) => name.startsWith(BEST))) {
    fit.bestValues = slots.map(({ value, name, shape }) => {
      const copy = value.toTypedArray();
      targets.push({ name: BEST + name, shape, dtype: fileDTypes[dtype], data: () => copy });
      return copy;
    });
  }
  matchState(operation, targets, entries)();
  fit.random.restore(operation, shuffle);
}
