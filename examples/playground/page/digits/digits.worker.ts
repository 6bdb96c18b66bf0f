// Trains on the digits, and tells the page about it.

import {
  loadModel,
  type Runtime,
  type Sequential,
  saveModel,
  softmaxForward,
  softmaxLoss,
  svmLoss,
} from "lamella";
import { currentGeneration, isCommand, obey } from "../training/commands.ts";
import { Outbox } from "../training/outbox.ts";
import { probe } from "../training/probe.ts";
import { Recorder } from "../training/recorder.ts";
import { Occasionally, progressOf, Speed } from "../training/reports.ts";
import { runtimeFor } from "../training/runtime.ts";
import { Session } from "../training/session.ts";
import { specsOf } from "../training/specs.ts";
import { type Digits, everyNth, fetchDigits } from "./data.ts";
import {
  type DigitsData,
  digitsTask,
  type FromDigits,
  type Insight,
  type ToDigits,
} from "./messages.ts";

/** Bytes that come in all, for the bar. */
const EXPECTED = 23.6e6;
/** Of the 10,000 test digits, one in five is looked at while training. */
const VALIDATION_SHARE = 5;
/** Digits whose way through the network is shown. */
const PROBED = 100;
/** Units of the first layer that are shown. */
const SHOWN = 64;

/**
 * Examples between two looks at the digits that are not learned from; ten times as often before the
 * first.
 */
const VALIDATED_EVERY = 6400;

let session: Session<DigitsData> | undefined;
let train: Digits;
let test: Digits;
let validation: Digits;
let drawn: Uint8Array | undefined;
const recorder = new Recorder();
const speed = new Speed();
const looks = new Occasionally(250);

const outbox = new Outbox<ToDigits, FromDigits>(handle, failure);

function failure({ message }: Error): FromDigits {
  return { type: "failed", message };
}

async function handle(message: ToDigits): Promise<void> {
  if (message.type === "start") return start(message.threads);
  if (!session) throw new Error("the digits did not load");
  if (isCommand<DigitsData>(message)) {
    await obey(message, session, speed, (answer) => outbox.send(answer));
  } else {
    switch (message.type) {
      case "threads":
        await move(message.threads);
        break;
      case "read":
        drawn = message.pixels;
        break;
      case "sample": {
        const index = message.index % test.count;
        const pixels = test.images.slice(784 * index, 784 * (index + 1));
        outbox.send({ type: "sample", pixels, label: test.labels[index]!, index });
        break;
      }
      case "save": {
        if (!session.model) throw new Error("there is no network to save");
        const bytes = saveModel(session.model);
        outbox.send({ type: "saved", bytes }, [bytes.buffer]);
        break;
      }
      case "load":
        await load(message.bytes, message.name);
        break;
    }
  }
  // What is seen is up to date also where nothing trains.
  if (!session.isRunning && session.model) report(true);
}

async function start(threads: number): Promise<void> {
  let bytes = 0;
  const received = (more: number) => {
    bytes += more;
    if (outbox.isFree) outbox.send({ type: "loading", share: Math.min(1, bytes / EXPECTED) });
  };
  [train, test] = await Promise.all([
    fetchDigits("train", received),
    fetchDigits("test", received),
  ]);
  validation = everyNth(test, VALIDATION_SHARE);
  session = sessionIn(await newRuntime(threads));
  outbox.send({ type: "ready", train: train.count, test: test.count });
}

async function newRuntime(threads: number): Promise<Runtime> {
  const runtime = await runtimeFor(threads);
  outbox.send({ type: "runtime", variant: runtime.variant, threads: runtime.threads });
  return runtime;
}

function sessionIn(runtime: Runtime): Session<DigitsData> {
  return new Session<DigitsData>(
    runtime,
    { ...digitsTask, examples: () => ({ x: train.images, y: train.labels }) },
    {
      begun: () => {
        recorder.clear();
        speed.clear();
      },
      stepped: ({ loss, accuracy, examples }) => {
        recorder.add(loss, accuracy);
        speed.add(examples);
        if (isValidated(session!)) {
          const { loss, accuracy } = validate();
          recorder.addValidation(loss, accuracy);
        }
        report(false);
        return undefined;
      },
      ended: () => {
        outbox.send({ type: "running", isRunning: false });
        report(true);
      },
      failed: (error) => outbox.send(failure(error)),
    },
  );
}

/** By the steps alone, so that a training that is repeated is looked at after the same steps. */
function isValidated({ steps, settings }: Session<DigitsData>): boolean {
  const interval = Math.max(1, Math.floor(VALIDATED_EVERY / settings!.batchSize));
  return steps % (steps < interval ? Math.max(1, Math.floor(interval / 10)) : interval) === 0;
}

function validate(): { loss: number; accuracy: number } {
  const { model, settings } = session!;
  const { images: x, labels: y } = validation;
  return model!.evaluate({ x, y, loss: settings!.loss });
}

/** The same training in another runtime; where threads cannot be had, it stays where it is. */
async function move(threads: number): Promise<void> {
  const old = session!;
  const runtime = await newRuntime(threads);
  const goesOn = old.isRunning && !old.isFollowingRecipe;
  await old.pause();
  session = old.moveTo(runtime);
  old.runtime.dispose();
  if (goesOn) session.run();
  outbox.send({ type: "running", isRunning: session.isRunning });
}

async function load(bytes: ArrayBuffer, name: string): Promise<void> {
  const { settings, runtime } = session!;
  try {
    if (!settings) throw new Error("there are no settings yet");
    const model = loadModel(runtime, bytes) as unknown as Sequential;
    const layers = specsOf(model);
    await session!.adopt(model, { ...settings, layers }, name);
    outbox.send({ type: "loaded", layers, name });
    outbox.send({ type: "built", parameters: session!.parameters });
    outbox.send({ type: "running", isRunning: session!.isRunning });
  } catch (error) {
    outbox.send({ type: "unreadable", message: (error as Error).message });
  }
}

/**
 * Tells the page how things stand.
 * @param isAsked says whether the page waits for it; else it is left out where the page has not drawn the last
 */
function report(isAsked: boolean): void {
  if (!(isAsked || outbox.isFree)) return;
  outbox.send(progressOf(session!, recorder, speed, train.count, currentGeneration()));
  if (drawn) outbox.send(scoresOf(drawn));
  if (isAsked) looks.reset();
  looks.run(() => {
    const insight = look();
    outbox.send(insight, [insight.weights.buffer]);
  });
}

function scoresOf(pixels: Uint8Array): FromDigits {
  const model = session!.model!;
  return model.runtime.scope(() => {
    const scores = model.predict(pixels);
    const probabilities = softmaxForward(scores).out;
    return {
      type: "scores",
      scores: scores.toTypedArray(),
      probabilities: probabilities.toTypedArray(),
    };
  });
}

function look(): Insight & { weights: Int8Array<ArrayBuffer> } {
  const { model, settings } = session!;
  const { loss } = settings!;
  const { images: x, labels: y, count } = validation;
  return model!.runtime.scope(() => {
    const scores = model!.predict(x);
    const labels = Int32Array.from(y);
    const lossOf = loss === "svm" ? svmLoss : softmaxLoss;
    const confusion = confusionOf(scores.data, labels);
    const right = confusion.reduce((sum, n, cell) => sum + (cell % 11 === 0 ? n : 0), 0);
    const validation = {
      loss: lossOf(scores, labels, { dx: false }).loss,
      accuracy: right / count,
      count,
    };
    const pixels = Float32Array.from(x.subarray(0, 784 * PROBED));
    const some = model!.runtime.tensor(pixels, [PROBED, ...model!.input]);
    const layers = probe(model!, some, labels.subarray(0, PROBED), loss);
    const weights = firstWeights(model!);
    return { type: "insight", validation, confusion, layers, weights };
  });
}

/** The digit is the row, the best of its scores the column. */
function confusionOf(scores: Float32Array, labels: Int32Array): Uint32Array {
  const counts = new Uint32Array(100);
  for (const [i, label] of labels.entries()) {
    const own = scores.subarray(10 * i, 10 * (i + 1));
    counts[10 * label + own.indexOf(Math.max(...own))]!++;
  }
  return counts;
}

/** The weights of the first units as pictures, each as bright as its own largest. */
function firstWeights(model: Sequential): Int8Array<ArrayBuffer> {
  const first = model.layers.findIndex(({ kind }) => kind === "affine");
  const weight = model.stateDict()[`${first}.weight`]; // (784, units)
  if (weight?.shape[0] !== 784) return new Int8Array(0);
  const units = weight.shape[1]!;
  const { data } = weight;
  const shown = Math.min(units, SHOWN);
  const pictures = new Int8Array(shown * 784);
  for (let unit = 0; unit < shown; unit++) {
    let most = 1e-9;
    for (let i = 0; i < 784; i++) most = Math.max(most, Math.abs(data[i * units + unit]!));
    for (let i = 0; i < 784; i++) pictures[784 * unit + i] = (127 * data[i * units + unit]!) / most;
  }
  return pictures;
}
