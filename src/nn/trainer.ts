import { modelFrom } from "../io/model.ts";
import { checkOurs, entriesOf, jsonOf, metadataOf } from "../io/model_file.ts";
import {
  fileDTypes,
  readStored,
  type SafetensorsData,
  writeSafetensors,
} from "../io/safetensors.ts";
import type { ClassWeights } from "../losses/weights.ts";
import { DisposedError, FormatError, quote, ShapeError, show } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkCount, checkSeed } from "../tensor/numbers.ts";
import { checkObject } from "../tensor/operands.ts";
import { LegacyRandom } from "../tensor/random.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { Owner } from "../tensor/scope.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { TensorHandle } from "../tensor/tensor.ts";
import { copyRows, type Examples, type Rows, rowsOf } from "./data.ts";
import { AffineLayer } from "./layers/affine.ts";
import type { Layer, Slot } from "./layers/layer.ts";
import { countRight, type LossName, lossOf, type Truth, truthOf } from "./losses.ts";
import type { Network, Plan } from "./network.ts";
import { copyDescription, type Optimizer, ruleOf, type Update } from "./optimizers.ts";
import { rateAt } from "./schedules.ts";
import { type AnyModel, type Evaluation, evaluating, networkOf } from "./sequential.ts";
import { checkSettings } from "./settings.ts";
import { matchState, type StateEntry, type Target } from "./state.ts";
import { now, Turns } from "./turn.ts";

export interface TrainerOptions {
  loss: LossName;
  optimizer: Optimizer;
  /** λ of 0.5 · λ · ΣW² over the weights of affine layers, which the loss gains, and dW λ · W; default 0. */
  l2?: number | undefined;
  /**
   * For "softmax" and "svm", a number from 0 up for each class: how much its examples count in the loss, that of
   * evaluations too. Default 1 each.
   */
  classWeights?: ClassWeights | undefined;
  /** The most that the norm of all gradients together may be; longer ones are scaled down. Default no limit. */
  clipNorm?: number | undefined;
  /** Of the order in which fit shows the examples, a whole number in [0, 2³²); default 0. */
  seed?: number | undefined;
}

/** Examples and what the model should make of them. */
export interface Batch {
  x: Examples;
  /** Labels for "softmax" and "svm"; for "bce" and "mse" targets in the shape of the scores. */
  y: Examples;
}

/** Of which fit makes minibatches itself; x and y are read while it trains, not copied. */
export interface TrainingData extends Batch {
  /** Evaluated after each epoch. */
  validation?: Batch | undefined;
}

/** Minibatches as they come. Asked for anew in every epoch: a generator, which runs once, serves one. */
export type Batches = AsyncIterable<Batch> | Iterable<Batch>;

/** What fit asks of an AbortSignal, whose type a program without the DOM's may not have. */
export interface StopSignal {
  throwIfAborted(): void;
}

/** What becomes of the examples that are left where the batch size does not divide their number. */
export type LastBatch = "keep" | "drop" | "spread";

export interface FitOptions {
  epochs: number;
  /** The most examples of a step. Default 32; of no meaning for an iterable. */
  batchSize?: number | undefined;
  /**
   * What becomes of the examples that are left where batchSize does not divide them. "spread", the default, makes all batches of
   * an epoch as even as can be, none larger than batchSize; "keep" leaves a smaller last one; "drop" leaves them out of the epoch.
   * A batch of one or two examples has no statistics that batch normalisation could learn from. Of no meaning for an iterable.
   */
  lastBatch?: LastBatch | undefined;
  /** Begins anew, where an earlier fit did not come to its end; default false, which continues that one. */
  restart?: boolean | undefined;
  /** For an iterable; else it may as well be in the data. */
  validation?: Batch | undefined;
  /** Ends the run after the step under way: fit throws the signal's reason, and can be called again to go on. */
  signal?: StopSignal | undefined;
  /**
   * Ends the run once so many epochs in a row have not brought the validation loss (without validation the
   * training loss) more than minDelta (default 0) below the lowest so far. With restoreBest the model has the
   * parameters and running values of the best epoch when the run ends, early or not; default false.
   */
  earlyStopping?:
    | { patience: number; minDelta?: number | undefined; restoreBest?: boolean | undefined }
    | undefined;
  /**
   * Ends the run with a RangeError once the loss, or at the end of an epoch a parameter, is NaN or infinite;
   * default true. The error names the step and the epoch.
   */
  stopOnNaN?: boolean | undefined;
}

export interface StepEvent {
  type: "step";
  /** From 1 up, as all numbers of epochs and steps here. */
  epoch: number;
  epochs: number;
  /** Of this epoch. */
  step: number;
  /** In each epoch; undefined for an iterable. */
  steps: number | undefined;
  /** Of this step's examples before its update, regularisation included. */
  loss: number;
  /** Of this step's examples, before its update; NaN for "mse". */
  accuracy: number;
  /** In this step. */
  examples: number;
  learningRate: number;
  /** Since this call of fit began; 0 where the clock stands still. */
  examplesPerSecond: number;
}

export interface EpochEvent {
  type: "epoch";
  epoch: number;
  epochs: number;
  /** That the epoch had. */
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
  /** That with the lowest validation loss, without validation the lowest training loss; undefined without an epoch. */
  readonly best: EpochEvent | undefined;
}

/** A training under way: iterate over its events, or await it, which trains to the end and gives the history. */
export interface Training extends AsyncGenerator<TrainingEvent, void, void>, PromiseLike<History> {}

/** A fit that has not finished: what the next one goes on from. */
interface Run {
  /** Epochs finished. */
  epoch: number;
  /** Steps of the epoch under way, and examples that went into them. */
  step: number;
  examples: number;
  /** Over those examples. */
  lossSum: number;
  right: number;
  /** The lowest loss of an epoch so far, and the epochs since. */
  best: number | null;
  stale: number;
  /** Examples in all; null for an iterable. */
  count: number | null;
  lastBatch: LastBatch;
}

const KEYS = ["loss", "optimizer", "l2", "clipNorm", "seed", "classWeights"];
const FIT = [
  ...["epochs", "batchSize", "lastBatch", "restart", "validation", "signal"],
  ...["earlyStopping", "stopOnNaN"],
];
const SLOWER = "a lower learningRate or clipNorm may help";
const GO_ON = "stopOnNaN: false goes on";
const STOPPING = ["patience", "minDelta", "restoreBest"];

/** A minibatch that is put into the plan when its step comes. */
interface Feed {
  readonly N: number;
  load(): Plan;
}

/**
 * Trains a model: minibatches, loss, update rule.
 *
 * One step: scores in training mode, the loss and its gradient, l2, clipping, and the update of every parameter by the
 * rate of the steps taken so far. A step allocates nothing once a batch of its size has been through.
 */
export class Trainer extends Owner {
  readonly model: AnyModel;
  private readonly network: Network;
  private readonly options: Readonly<TrainerOptions>;
  private readonly rule: ReturnType<typeof ruleOf>;
  private readonly lossRule: ReturnType<typeof lossOf>;
  /** For each parameter the rule's tensors. */
  private readonly state: TensorHandle<FloatDType>[][];
  /** For each parameter what its update takes; addresses stay. */
  private readonly updates: readonly Update[];
  private readonly regularised: readonly Slot[];
  private readonly random: LegacyRandom;
  /** Of the generator at the beginning of the epoch under way, from which its order is drawn. */
  private shuffle: Uint8Array<ArrayBuffer>;
  private run: Run | null = null;
  /** What restoreBest puts back: the values of all slots after the best epoch of the run. */
  private best: (Float32Array | Float64Array)[] | null = null;
  /** The fit that may go on; another call takes it over. */
  private turn: object | null = null;
  private disposed = false;
  /** Steps taken, and beta1 and beta2 to that power. */
  private taken = 0;
  private power1 = 1;
  private power2 = 1;

  /**
   * @throws TypeError for a model or optimizer that is none; RangeError for a loss of no known name and for settings out
   *   of range; DisposedError; MemoryError
   */
  constructor(model: AnyModel, options: TrainerOptions) {
    super();
    const operation = "Trainer";
    const network = networkOf(operation, model);
    checkSettings(operation, "options", options, KEYS);
    const { loss, optimizer, l2 = 0, clipNorm, seed = 0, classWeights } = options;
    network.check(operation); // to read them may have run code of the caller's
    this.lossRule = lossOf(operation, loss, classWeights, network.outSize);
    ruleOf(operation, optimizer); // which tells that it may be copied
    const own = copyDescription(optimizer); // and to read it again may give something else
    this.rule = ruleOf(operation, own);
    if (!(typeof l2 === "number" && l2 >= 0 && l2 < Infinity)) {
      throw new RangeError(`${operation}: l2 must be a number from 0 up, got ${show(l2)}`);
    }
    if (
      clipNorm !== undefined &&
      !(typeof clipNorm === "number" && clipNorm > 0 && clipNorm < Infinity)
    ) {
      throw new RangeError(
        `${operation}: clipNorm must be a number above 0, got ${show(clipNorm)}`,
      );
    }
    checkSeed(operation, seed);
    if (this.lossRule.takesLabels && network.outShape.length !== 1) {
      throw new ShapeError(
        `${operation}: loss ${show(loss)} takes scores of shape (N, C), and the model's have ${network.outShape.length + 1} axes`,
      );
    }
    const top = network.layers[network.layers.length - 1] as Layer;
    if (loss !== "mse" && /^(softmax|sigmoid)$/.test(top.saved.kind)) {
      globalThis.console?.warn(
        `${operation}: the loss "${loss}" takes scores, and the model ends in ${top.saved.kind}(): leave that layer out, and model.probabilities(x) gives what it gave`,
      );
    }
    const { runtime, dtype } = network;
    this.model = model;
    this.network = network;
    this.options = Object.freeze({
      ...{ loss, l2, clipNorm, seed },
      classWeights: this.lossRule.classWeights && [...this.lossRule.classWeights],
      optimizer: own,
    });
    this.regularised = network.layers.flatMap((layer) =>
      layer instanceof AffineLayer ? [layer.weight] : [],
    );
    this.random = new LegacyRandom(runtime, seed);
    this.shuffle = this.random.state.slice();
    this.state = network.learned.map(() => []);
    try {
      network.learned.forEach(({ shape }, i) => {
        for (const _ of this.rule.state) {
          const tensor = runtime.lasting(dtype, shape);
          tensor.data.fill(0);
          (this.state[i] as TensorHandle[]).push(tensor);
        }
      });
      network.makeGradients(); // now rather than in the first step
    } catch (error) {
      this.dispose();
      throw error;
    }
    network.loss = this.lossRule.name; // now that nothing is refused any more
    this.updates = network.learned.map(({ value, gradient }, i) => ({
      kernels: network.kernels,
      ...{ w: value.address, dw: gradient.address, n: value.size },
      state: (this.state[i] as TensorHandle[]).map(({ address }) => address),
      ...{ rate: 0, correction1: 1, correction2: 1 },
    }));
  }

  /** Steps taken, over all calls of step and fit. */
  get steps(): number {
    return this.taken;
  }

  /**
   * One step of training on one batch.
   *
   * @returns the loss before the update, regularisation included
   * @throws RangeError for a label out of range and an empty batch; ShapeError, DTypeError, DisposedError,
   *   RuntimeMismatchError, MemoryError; nothing has changed then
   */
  step(x: Examples, y: Examples): { loss: number } {
    const operation = "Trainer.step";
    this.check(operation);
    const feed = this.feedOf(operation, { x, y });
    return { loss: this.train(feed.load(), feed.N) };
  }

  /**
   * The mean loss, weighted by the trainer's class weights and without regularisation, and the share of right answers,
   * in test mode.
   * @throws as step
   */
  evaluate(options: Batch & { batchSize?: number | undefined }): Evaluation {
    this.check("Trainer.evaluate");
    checkSettings("Trainer.evaluate", "options", options, ["x", "y", "batchSize", "validation"]);
    const { x, y, batchSize } = options;
    const { loss, classWeights } = this.options;
    return this.model.evaluate({ x, y, batchSize, loss, classWeights });
  }

  /**
   * Trains for so many epochs, and tells of each step and each epoch: iterate over it with `for await`, or await it, which
   * trains to the end and gives the history. Each epoch shows
   * all examples once, in an order of its own. The event loop has a turn every 16 ms, so that a page stays alive.
   *
   * A fit that did not come to its end, because its loop was left, its signal aborted or its trainer resumed from a
   * checkpoint, is continued by the next call with the same data and options, and ends with the same bits; after one that
   * did, the next begins anew, with so many epochs more.
   *
   * @throws RangeError for options out of range, labels out of range, and a loss or parameters that are NaN or infinite;
   *   TypeError, ShapeError, DTypeError, DisposedError, RuntimeMismatchError; and when it is aborted the signal's reason
   */
  fit(data: TrainingData | Batches, options: FitOptions): Training {
    const operation = "Trainer.fit";
    this.check(operation);
    checkObject(operation, "data", data);
    if (
      options !== null &&
      typeof options === "object" &&
      ("length" in options || "shape" in options)
    ) {
      throw new TypeError(`${operation}: x and y are one argument: fit({ x, y }, { epochs })`);
    }
    checkSettings(operation, "options", options, FIT);
    // Each once, wherever it stands: a getter may answer otherwise, and a spread leaves out what is inherited.
    const { epochs, batchSize = 32, lastBatch: wanted, restart, signal, stopOnNaN } = options;
    let { earlyStopping } = options;
    checkCount(operation, "epochs", epochs);
    checkCount(operation, "batchSize", batchSize);
    checkFlags(operation, { restart, stopOnNaN }, ["restart", "stopOnNaN"]);
    if (wanted !== undefined) checkLastBatch(operation, wanted);
    if (earlyStopping !== undefined) {
      checkSettings(operation, "earlyStopping", earlyStopping, STOPPING);
      const { patience, minDelta = 0, restoreBest } = earlyStopping;
      checkFlags(operation, { restoreBest }, ["restoreBest"]);
      checkCount(operation, "earlyStopping.patience", patience);
      if (!(typeof minDelta === "number" && minDelta >= 0)) {
        throw new RangeError(
          `${operation}: earlyStopping.minDelta must be a number from 0 up, got ${show(minDelta)}`,
        );
      }
      earlyStopping = { patience, minDelta, restoreBest };
    }
    if (signal !== undefined && typeof signal?.throwIfAborted !== "function") {
      throw new TypeError(`${operation}: signal must be an AbortSignal, got ${show(signal)}`);
    }
    const isIterable =
      !ArrayBuffer.isView(data) && (Symbol.asyncIterator in data || Symbol.iterator in data);
    // A data set may have other keys, names and counts, but none that was meant for this one.
    for (const key in data) {
      if (key === "validation" || !/^va[il]+d/i.test(key)) continue;
      throw new TypeError(`${operation}: the data has no ${quote(key)}; did you mean validation?`);
    }
    const pairs = isIterable ? undefined : this.pairsOf(operation, data as TrainingData, true);
    const validation = (data as TrainingData).validation ?? options.validation;
    if (validation !== undefined) this.pairsOf(`${operation}: validation`, validation);
    const count = pairs?.[0].count ?? null;
    // A run without a step has nothing to go on from.
    if (restart || !(this.run?.epoch || this.run?.step)) this.run = null;
    if (this.run && this.run.count !== count) {
      const such = (n: number | null) => (n === null ? "an iterable" : `${n} examples`);
      throw new RangeError(
        `${operation}: the run that goes on is over ${such(this.run.count)}, got ${such(count)}; restart: true begins anew`,
      );
    }
    const lastBatch = wanted ?? this.run?.lastBatch ?? "spread";
    const batches = (run: Run, idle: () => Promise<void>) =>
      pairs
        ? this.minibatches(...pairs, batchSize, lastBatch, run)
        : this.given(operation, data as Batches, run, idle);
    const steps = count === null ? undefined : stepsOf(count, batchSize, lastBatch);
    const history: EpochEvent[] = [];
    const given = { epochs, signal, earlyStopping, batchSize, validation, stopOnNaN };
    return awaitable(this.epochsOf(batches, steps, given, history), history);
  }

  /**
   * All of the training as the bytes of a safetensors file: the model, the optimizer and its state, the steps taken, the
   * epoch and the place in it, the order of the examples, dropout's stream. A run that goes on from it ends with the
   * same bits as one that never stopped.
   */
  checkpoint(): Uint8Array<ArrayBuffer> {
    this.check("Trainer.checkpoint");
    const { network, options, run, taken, power1, power2 } = this;
    const { architecture, classes } = network;
    const tensors = new Map<string, SafetensorsData>();
    for (const { name, value } of network.slots) tensors.set(MODEL + name, value);
    for (const [name, tensor] of this.stateByName()) tensors.set(name, tensor);
    const { best } = this;
    if (best) {
      for (const [i, { name, shape }] of network.slots.entries()) {
        tensors.set(BEST + name, { dtype: network.dtype, shape, data: best[i] as Float32Array });
      }
    }
    tensors.set(GENERATOR, { dtype: "U8", shape: [this.shuffle.length], data: this.shuffle });
    const { key, counter } = network.stream;
    const training = { ...options, taken, power1, power2, dropout: { key, counter }, run };
    // JSON has no NaN and no infinities, which a loss may be.
    const written = (key: string, value: unknown) => {
      // As earlier versions wrote it, which knew nothing else.
      if (key === "lastBatch" && value === "keep") return undefined;
      return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
    };
    return writeSafetensors(tensors, {
      // The loss is among the options, and so not beside them as in a model's file.
      ...metadataOf("checkpoint", { architecture, classes, loss: undefined }),
      training: JSON.stringify(training, written),
    });
  }

  /**
   * The trainer whose checkpoint this is, and its model with it (`trainer.model`), in any runtime: the next fit with the
   * same data and options goes on where it stood.
   * @throws FormatError for bytes that are no checkpoint, and for a field that is none, with its name; ShapeError with a list
   *   of all tensors that are missing, extra or of another shape or dtype; RangeError and TypeError for options that a trainer
   *   does not take; MemoryError
   */
  static resume(runtime: Runtime, bytes: Uint8Array | ArrayBuffer): Trainer {
    const operation = "Trainer.resume";
    const file = readStored(bytes);
    checkOurs(operation, file, "checkpoint");
    const training = jsonOf(operation, file, "training") as unknown as Saved;
    const entries = entriesOf(file);
    const isModel = ({ name }: StateEntry) => name.startsWith(MODEL);
    const ofModel = entries
      .filter(isModel)
      .map((entry) => ({ ...entry, name: entry.name.slice(MODEL.length) }));
    const model = modelFrom(operation, runtime, file, ofModel, (dtype) => [fileDTypes[dtype]]);
    let trainer: Trainer | undefined;
    try {
      const { loss, optimizer, l2, clipNorm, seed, classWeights } = training;
      trainer = new Trainer(model, { loss, optimizer, l2, clipNorm, seed, classWeights });
      trainer.restore(
        operation,
        training,
        entries.filter((entry) => !isModel(entry)),
      );
      return trainer;
    } catch (error) {
      trainer?.dispose();
      model.dispose();
      throw error;
    }
  }

  override toString(): string {
    const { loss, optimizer } = this.options;
    const gone = this.disposed ? " (disposed)" : "";
    return `Trainer: loss ${loss}, ${optimizer.kind}, ${this.taken} ${this.taken === 1 ? "step" : "steps"} taken${gone}; its model:\n${this.model}`;
  }

  /** Gives back the optimizer's memory; the model lives on. A second call does nothing. */
  override dispose(): void {
    this.disposed = true;
    for (const tensor of this.state.flat()) tensor.dispose();
  }

  private async *epochsOf(
    batches: (run: Run, idle: () => Promise<void>) => AsyncIterable<Feed> | Iterable<Feed>,
    steps: number | undefined,
    options: FitOptions & { batchSize: number },
    history: EpochEvent[],
  ): AsyncGenerator<TrainingEvent, void, void> {
    const operation = "Trainer.fit";
    const { epochs, signal, validation, batchSize, stopOnNaN = true } = options;
    const mine = {};
    this.turn = mine;
    const proceed = () => {
      signal?.throwIfAborted();
      this.check(operation);
      if (this.turn !== mine)
        throw new TypeError(`${operation}: a later call of fit goes on in its place`);
    };
    const turns = new Turns();
    const idle = async () => {
      await turns.due();
      proceed();
    };
    const began = now();
    let seen = 0;
    const speed = () => {
      const seconds = (now() - began) / 1000;
      return seconds > 0 ? seen / seconds : 0;
    };
    proceed();
    if (!this.run) {
      this.run = { epoch: 0, ...fresh, best: null, stale: 0, count: null, lastBatch: "spread" };
      this.best = null;
    }
    const { run } = this;
    while (run.epoch < epochs) {
      const epoch = run.epoch + 1;
      for await (const feed of batches(run, idle)) {
        proceed();
        const { N } = feed;
        const learningRate = this.rate();
        const plan = feed.load();
        const loss = this.train(plan, N, (loss) => {
          if (!stopOnNaN || Number.isFinite(loss)) return;
          const input = feed.load().input.data.subarray(0, N * sizeOf(this.network.inShape));
          throw new RangeError(
            `${operation}: the loss of step ${run.step + 1} of epoch ${epoch} is ${loss}: ${input.every(Number.isFinite) ? SLOWER : "x holds NaN or infinities"}. The model is as before that step but for running values; ${GO_ON}`,
          );
        });
        const right = countRight(this.options.loss, this.network, plan, N);
        run.step++;
        run.examples += N;
        run.lossSum += N * loss;
        run.right += right;
        seen += N;
        yield {
          type: "step",
          ...{ epoch, epochs, step: run.step, steps, loss },
          ...{ accuracy: right / N, examples: N, learningRate, examplesPerSecond: speed() },
        };
        await idle();
      }
      if (run.step === 0) {
        throw new RangeError(
          `${operation}: no batch in epoch ${epoch}; an iterable must begin anew in every epoch, and a generator runs once`,
        );
      }
      const wrong = stopOnNaN && this.network.learned.find(({ value }) => !this.isFinite(value));
      if (wrong) {
        throw new RangeError(
          `${operation}: ${wrong.name} holds NaN or infinities after step ${run.step} of epoch ${epoch}, and the model has them now: ${SLOWER}; ${GO_ON}`,
        );
      }
      let scores: Evaluation | undefined;
      if (validation) {
        const { loss, classWeights } = this.options;
        const given = { ...{ x: validation.x, y: validation.y }, loss, classWeights, batchSize };
        const evaluation = evaluating(operation, this.model, given);
        let part = evaluation.next();
        for (; !part.done; part = evaluation.next()) await idle();
        scores = part.value;
      }
      const event: EpochEvent = {
        type: "epoch",
        ...{ epoch, epochs, steps: run.step, loss: run.lossSum / run.examples },
        ...{ accuracy: run.right / run.examples, validation: scores },
        stopped: this.isOver(run, scores?.loss ?? run.lossSum / run.examples, options),
        ...{ learningRate: this.rate(), examplesPerSecond: speed() },
      };
      Object.assign(run, fresh, { epoch });
      this.shuffle = this.random.state.slice();
      if (event.stopped || epoch >= epochs) this.finish(options);
      history.push(event);
      yield event;
      if (event.stopped) return;
      proceed();
    }
    this.finish(options);
  }

  private isFinite({ address, size, data }: TensorHandle<FloatDType>): boolean {
    // The sum of squares of finite numbers may overflow, so only a finite one is an answer.
    const squares = this.network.kernels.dot(size, address, address);
    return Number.isFinite(squares) || (data as Float32Array).every(Number.isFinite);
  }

  /** Ends the run, with the values of its best epoch where they are wanted. */
  private finish({ earlyStopping }: FitOptions): void {
    const { best } = this;
    this.run = null;
    this.best = null;
    if (!best || !earlyStopping?.restoreBest) return;
    for (const [i, { value }] of this.network.slots.entries()) {
      value.data.set(best[i] as Float32Array);
    }
  }

  /** Notes the loss of an epoch, and tells whether early stopping ends the run with it. */
  private isOver(run: Run, loss: number, { earlyStopping }: FitOptions): boolean {
    if (!earlyStopping) return false;
    const { patience, minDelta = 0, restoreBest } = earlyStopping;
    // A first loss that is NaN is worse than any number.
    if (
      run.best === null ||
      loss < run.best - minDelta ||
      (Number.isNaN(run.best) && !Number.isNaN(loss))
    ) {
      run.best = loss;
      run.stale = 0;
      if (restoreBest) {
        const { slots } = this.network;
        this.best ??= slots.map(({ value }) => value.toTypedArray());
        for (const [i, { value }] of slots.entries()) this.best[i]?.set(value.data);
      }
    } else {
      run.stale++;
    }
    return run.stale >= patience;
  }

  /** The minibatches of an epoch that are still to come. */
  private *minibatches(
    x: Rows,
    y: Truth,
    batchSize: number,
    lastBatch: LastBatch,
    run: Run,
  ): Generator<Feed> {
    const { network, random } = this;
    run.count = x.count;
    run.lastBatch = lastBatch;
    // The largest plan first, so that memory peaks in the first epoch and not in a later one.
    network.reserve(Math.min(batchSize, x.count));
    random.restore("Trainer.fit", this.shuffle);
    const order = network.runtime.scope(() => random.permutation(x.count).toTypedArray());
    for (let start = run.examples; start < x.count; ) {
      const left = x.count - start;
      if (lastBatch === "drop" && left < batchSize && start > 0) return;
      const even = Math.ceil(left / Math.ceil(left / batchSize));
      const N = lastBatch === "spread" ? even : Math.min(batchSize, left);
      const end = start + N;
      yield { N, load: () => this.load("Trainer.fit", x, y, end - N, end, order) };
      start = end;
    }
  }

  /** The batches of an iterable that have not been in this epoch. */
  private async *given(
    operation: string,
    batches: Batches,
    run: Run,
    idle: () => Promise<void>,
  ): AsyncGenerator<Feed> {
    let past = run.step;
    for await (const batch of batches) {
      if (past-- > 0) await idle();
      else yield this.feedOf(operation, batch);
    }
  }

  private feedOf(operation: string, batch: Batch): Feed {
    const [x, y] = this.pairsOf(operation, batch);
    return { N: x.count, load: () => this.load(operation, x, y, 0, x.count) };
  }

  /** A batch that fits the model and the loss. */
  private pairsOf(operation: string, batch: Batch, live = false): [Rows, Truth] {
    checkObject(operation, "batch", batch);
    const { network } = this;
    const x = rowsOf(operation, "x", batch.x, network.inShape, network);
    const y = truthOf(operation, this.lossRule, batch.y, network, x.count, live);
    this.check(operation);
    if (x.count === 0) {
      throw new RangeError(`${operation}: x has no examples, and the loss is a mean over them`);
    }
    return [x, y];
  }

  private load(
    operation: string,
    x: Rows,
    y: Truth,
    start: number,
    end: number,
    order?: Int32Array,
  ): Plan {
    const { network } = this;
    const copyTruth = y.read(start, end, order);
    this.check(operation);
    const plan = network.reserve(end - start);
    copyRows(plan.input, x, start, end, order);
    copyTruth(plan);
    return plan;
  }

  /** The rate of the next step. */
  private rate(): number {
    const { cos } = this.network.runtime.core.exports;
    return rateAt(this.options.optimizer.learningRate, this.taken, cos);
  }

  /**
   * A step on the first N examples in the plan: the loss before it.
   * @param check sees the loss before anything is learned, and may throw
   */
  private train(plan: Plan, N: number, check?: (loss: number) => void): number {
    const { network, options } = this;
    const { kernels, learned } = network;
    const { l2 = 0, clipNorm, optimizer } = options;
    const rate = this.rate();
    network.forward(N, true);
    let loss = this.lossRule.run(network, plan, N);
    network.backward();
    network.passed = null;

    if (l2 > 0) {
      let squares = 0;
      for (const { value, gradient } of this.regularised) {
        squares += kernels.dot(value.size, value.address, value.address);
        kernels.axpy(value.size, l2, value.address, gradient.address);
      }
      loss += 0.5 * l2 * squares;
    }
    check?.(loss);
    if (clipNorm !== undefined) {
      let squares = 0;
      for (const { gradient } of learned) {
        squares += kernels.dot(gradient.size, gradient.address, gradient.address);
      }
      const scale = clipNorm / (Math.sqrt(squares) + 1e-6);
      if (scale < 1) {
        for (const { gradient } of learned) kernels.scal(gradient.size, scale, gradient.address);
      }
    }

    this.taken++;
    if ("beta1" in optimizer) {
      this.power1 *= optimizer.beta1;
      this.power2 *= optimizer.beta2;
    }
    for (const update of this.updates) {
      update.rate = rate;
      update.correction1 = 1 - this.power1;
      update.correction2 = 1 - this.power2;
      this.rule.update(optimizer as never, update);
      // What decays step by step stays at the smallest numbers, with which processors are a hundred times slower. Made
      // smaller by ε and larger again they are 0, and all that is above 1e-30 (float64: 1e-291) keeps its bits.
      if (this.taken % 64 === 0) {
        const factor = network.dtype === "float32" ? 1 / 8388608 : Number.EPSILON;
        for (const address of update.state) {
          kernels.scal(update.n, factor, address);
          kernels.scal(update.n, 1 / factor, address);
        }
      }
    }
    return loss;
  }

  /** The rule's tensors as "optimizer.velocity.0.weight". */
  private stateByName(): [string, TensorHandle<FloatDType>][] {
    return this.network.learned.flatMap(({ name }, i) =>
      this.rule.state.map((part, k): [string, TensorHandle<FloatDType>] => [
        `optimizer.${part}.${name}`,
        (this.state[i] as TensorHandle<FloatDType>[])[k] as TensorHandle<FloatDType>,
      ]),
    );
  }

  /** What a checkpoint holds beside the model and the options. */
  private restore(operation: string, saved: Saved, entries: readonly StateEntry[]): void {
    // Some fields of an object, each checked.
    const read = (
      from: unknown,
      path: string,
      keys: string,
      isRight: (value: unknown) => boolean,
    ) =>
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
    // A loss that JSON has no number for is a text.
    const isLoss = (value: unknown) =>
      typeof value === "number" || ["NaN", "Infinity", "-Infinity"].includes(value as string);
    const { run, dropout } = saved;
    Object.assign(
      this,
      read(saved, "", "taken", isWhole),
      read(saved, "", "power1 power2", isPower),
    );
    const { stream } = this.network;
    Object.assign(
      stream,
      read(dropout, "dropout.", "key", (key) => isWhole(key) && (key as number) < 2 ** 32),
      read(dropout, "dropout.", "counter", isWhole),
    );
    if (run !== null) {
      // In the order in which they are written again.
      this.run = {
        ...read(run, "run.", "epoch step examples", isWhole),
        ...read(run, "run.", "lossSum right", isLoss),
        ...read(run, "run.", "best", (best) => best === null || isLoss(best)),
        ...read(run, "run.", "stale", isWhole),
        ...read(run, "run.", "count", (count) => count === null || isWhole(count)),
        // Checkpoints from before there was a choice go on as they began.
        lastBatch: checkLastBatch(`${operation}: run`, Object(run).lastBatch ?? "keep"),
      } as Run;
    }
    const targets: Target[] = this.stateByName().map(([name, tensor]) => ({
      ...{ name, shape: tensor.shape, dtype: fileDTypes[tensor.dtype] },
      data: () => tensor.data,
    }));
    const { shuffle } = this;
    const last = { name: GENERATOR, shape: [shuffle.length], dtype: "U8", data: () => shuffle };
    targets.push(last);
    if (entries.some(({ name }) => name.startsWith(BEST))) {
      const { slots, dtype } = this.network;
      this.best = slots.map(({ value, name, shape }) => {
        const copy = value.toTypedArray();
        targets.push({ name: BEST + name, shape, dtype: fileDTypes[dtype], data: () => copy });
        return copy;
      });
    }
    matchState(operation, targets, entries)();
    this.random.restore(operation, this.shuffle);
  }

  private check(operation: string): void {
    networkOf(operation, this.model);
    if (this.disposed) throw new DisposedError(`${operation}: the trainer has been disposed`);
  }
}

/** What a tensor's name in a checkpoint begins with. */
const MODEL = "model.";
const BEST = "best.";
const GENERATOR = "generator";

/** The metadata's training, as a file claims it to be. */
interface Saved extends TrainerOptions {
  taken: unknown;
  power1: unknown;
  power2: unknown;
  dropout?: { key: unknown; counter: unknown };
  run: Record<keyof Run, unknown> | null;
}

/** Steps of an epoch of so many examples. */
function stepsOf(count: number, batchSize: number, lastBatch: LastBatch): number {
  const steps = count / batchSize;
  return lastBatch === "drop" ? Math.max(1, Math.floor(steps)) : Math.ceil(steps);
}

function checkLastBatch(operation: string, value: unknown): LastBatch {
  if (value === "keep" || value === "drop" || value === "spread") return value;
  throw new RangeError(
    `${operation}: lastBatch must be "keep", "drop" or "spread", got ${show(value)}`,
  );
}

function checkFlags<Name extends string>(
  operation: string,
  options: { [name in Name]?: unknown },
  names: readonly Name[],
): void {
  for (const name of names) {
    const value = options[name];
    if (value === undefined || typeof value === "boolean") continue;
    throw new TypeError(`${operation}: ${name} must be true or false, got ${show(value)}`);
  }
}

/** Adds what `await` asks for: whoever awaits the generator drives it to its end. */
function awaitable(
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

/** Of an epoch that begins. */
const fresh = { step: 0, examples: 0, lossSum: 0, right: 0 };
