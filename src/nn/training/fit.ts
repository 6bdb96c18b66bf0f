import { quote } from "../../runtime/errors.ts";
import { checkObject } from "../../tensor/operands.ts";
import type { LegacyRandom } from "../../tensor/random.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import {
  type Batch,
  type Batches,
  type Feed,
  feedOf,
  type LastBatch,
  minibatches,
  pairsOf,
  stepsOf,
  type TrainingData,
} from "./batches.ts";
import { type Evaluation, evaluating } from "./evaluate.ts";
import { awaitable, type EpochEvent, type Training, type TrainingEvent } from "./events.ts";
import { checkFitOptions, type FitOptions } from "./fit_options.ts";
import { countRight } from "./losses.ts";
import type { Stepper } from "./step.ts";
import { now, Turns } from "./turns.ts";

/** A fit that has not finished: what the next one goes on from, and what a checkpoint keeps. */
export interface Run {
  /** Epochs finished. */
  epoch: number;
  /** Steps of the epoch under way, and examples that went into them. */
  step: number;
  examples: number;
  /** Sums over those examples. */
  lossSum: number;
  right: number;
  /** The lowest loss of an epoch so far, and the epochs since. */
  best: number | null;
  stale: number;
  /** All examples; null for an iterable. */
  count: number | null;
  lastBatch: LastBatch;
}

/** The sums of an epoch that begins. */
const fresh = { step: 0, examples: 0, lossSum: 0, right: 0 };

/** Gives the minibatches of one epoch; `idle` is awaited where none is given for a while. */
type Source = (run: Run, idle: () => Promise<void>) => AsyncIterable<Feed> | Iterable<Feed>;

type CheckedOptions = ReturnType<typeof checkFitOptions>;

const OPERATION = "Trainer.fit";
const SLOWER = "a lower learningRate or clipNorm may help";
const GO_ON = "stopOnNaN: false goes on";

/** Trains for epochs, and keeps what a fit that did not come to its end goes on from. */
export class Fit {
  run: Run | null = null;
  /** The values that restoreBest puts back: those of all slots after the best epoch of the run. */
  bestValues: (Float32Array | Float64Array)[] | null = null;
  /** The state of the generator at the beginning of the epoch under way. */
  shuffle: Uint8Array<ArrayBuffer>;
  /** The fit that may go on; a later call takes its place. */
  private turn: object | null = null;

  /** @param random the generator of the examples' order */
  constructor(
    private readonly stepper: Stepper,
    readonly random: LegacyRandom,
  ) {
    this.shuffle = random.state.slice();
  }

  /** Checks everything; the training itself begins when its first event is asked for. */
  start(data: TrainingData | Batches, given: FitOptions): Training {
    const { stepper } = this;
    stepper.check(OPERATION);
    checkObject(OPERATION, "data", data);
    const options = checkFitOptions(OPERATION, given);
    const { batchSize, restart } = options;
    const isIterable =
      !ArrayBuffer.isView(data) && (Symbol.asyncIterator in data || Symbol.iterator in data);
    // A data set may have other keys, names and counts, but none that was meant for this one.
    for (const key in data) {
      if (key === "validation" || !/^va[il]+d/i.test(key)) continue;
      throw new TypeError(`${OPERATION}: the data has no ${quote(key)}; did you mean validation?`);
    }
    const pairs = isIterable ? undefined : pairsOf(OPERATION, stepper, data as Batch);
    const validation = (data as TrainingData).validation ?? options.validation;
    if (validation !== undefined) pairsOf(`${OPERATION}: validation`, stepper, validation);
    const count = pairs?.[0].count ?? null;
    // A run without a step has nothing to go on from.
    if (restart || !(this.run?.epoch || this.run?.step)) this.run = null;
    if (this.run && this.run.count !== count) {
      const such = (n: number | null) => (n === null ? "an iterable" : `${n} examples`);
      throw new RangeError(
        `${OPERATION}: the run that goes on is over ${such(this.run.count)}, got ${such(count)}; restart: true begins anew`,
      );
    }
    const lastBatch = options.lastBatch ?? this.run?.lastBatch ?? "spread";
    const source: Source = (run, idle) => {
      if (!pairs) return this.given(data as Batches, run, idle);
      run.count = count;
      run.lastBatch = lastBatch;
      const order = this.order(pairs[0].count, batchSize);
      return minibatches(stepper, pairs, batchSize, lastBatch, run.examples, order);
    };
    const steps = count === null ? undefined : stepsOf(count, batchSize, lastBatch);
    const history: EpochEvent[] = [];
    return awaitable(this.epochs(source, steps, { ...options, validation }, history), history);
  }

  private async *epochs(
    source: Source,
    steps: number | undefined,
    options: CheckedOptions,
    history: EpochEvent[],
  ): AsyncGenerator<TrainingEvent, void, void> {
    const { stepper } = this;
    const { network, settings } = stepper;
    const { epochs, signal } = options;
    const mine = {};
    this.turn = mine;
    const proceed = () => {
      signal?.throwIfAborted();
      stepper.check(OPERATION);
      if (this.turn !== mine)
        throw new TypeError(`${OPERATION}: a later call of fit goes on in its place`);
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
      this.bestValues = null;
    }
    const { run } = this;
    while (run.epoch < epochs) {
      const epoch = run.epoch + 1;
      for await (const feed of source(run, idle)) {
        proceed();
        const { N } = feed;
        const learningRate = stepper.rate();
        const plan = feed.load();
        const loss = stepper.take(plan, N, (loss) => {
          if (options.stopOnNaN && !Number.isFinite(loss)) throw this.diverged(feed, loss, run);
        });
        const right = countRight(settings.options.loss, network, plan, N);
        run.step++;
        run.examples += N;
        run.lossSum += N * loss;
        run.right += right;
        seen += N;
        yield {
          type: "step",
          epoch,
          epochs,
          step: run.step,
          steps,
          loss,
          accuracy: right / N,
          examples: N,
          learningRate,
          examplesPerSecond: speed(),
        };
        await idle();
      }
      if (run.step === 0) {
        throw new RangeError(
          `${OPERATION}: no batch in epoch ${epoch}; an iterable must begin anew in every epoch, and a generator runs once`,
        );
      }
      if (options.stopOnNaN) this.checkParameters(run);
      const validation = await this.validate(options, idle);
      const loss = run.lossSum / run.examples;
      const event: EpochEvent = {
        type: "epoch",
        epoch,
        epochs,
        steps: run.step,
        loss,
        accuracy: run.right / run.examples,
        validation,
        stopped: this.isOver(run, validation?.loss ?? loss, options),
        learningRate: stepper.rate(),
        examplesPerSecond: speed(),
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

  /** The order of the examples in the epoch under way. */
  private order(count: number, batchSize: number): Int32Array {
    const { random, stepper } = this;
    const { network } = stepper;
    // The largest plan first, so that memory peaks in the first epoch and not in a later one.
    network.reserve(Math.min(batchSize, count));
    random.restore(OPERATION, this.shuffle);
    return network.runtime.scope(() => random.permutation(count).toTypedArray());
  }

  /** The batches of an iterable that have not been in this epoch. */
  private async *given(
    batches: Batches,
    run: Run,
    idle: () => Promise<void>,
  ): AsyncGenerator<Feed> {
    let past = run.step;
    for await (const batch of batches) {
      if (past-- > 0) await idle();
      else yield feedOf(OPERATION, this.stepper, batch);
    }
  }

  private async validate(
    { validation, batchSize }: CheckedOptions,
    idle: () => Promise<void>,
  ): Promise<Evaluation | undefined> {
    if (!validation) return undefined;
    const { network, settings } = this.stepper;
    const { loss, classWeights } = settings.options;
    const { x, y } = validation;
    const given = { x, y, loss, classWeights, batchSize };
    const evaluation = evaluating(OPERATION, network, given);
    let part = evaluation.next();
    for (; !part.done; part = evaluation.next()) await idle();
    return part.value;
  }

  /** The error of a step whose loss is no finite number. */
  private diverged(feed: Feed, loss: number, run: Run): RangeError {
    const { inputs } = feed.load();
    const areFinite = this.stepper.network.inputs.every(({ shape }, i) =>
      hasFinite(inputs[i] as TensorHandle, feed.N * sizeOf(shape)),
    );
    return new RangeError(
      `${OPERATION}: the loss of step ${run.step + 1} of epoch ${run.epoch + 1} is ${loss}: ${areFinite ? SLOWER : "x holds NaN or infinities"}. The model is as before that step but for running values; ${GO_ON}`,
    );
  }

  /** Refuses to go on with parameters that are not finite. */
  private checkParameters(run: Run): void {
    const { learned } = this.stepper.network;
    const wrong = learned.find(({ value }) => !hasFinite(value, value.size));
    if (!wrong) return;
    throw new RangeError(
      `${OPERATION}: ${wrong.name} holds NaN or infinities after step ${run.step} of epoch ${run.epoch + 1}, and the model has them now: ${SLOWER}; ${GO_ON}`,
    );
  }

  /** Ends the run, and puts back the values of its best epoch where they are wanted. */
  private finish({ earlyStopping }: CheckedOptions): void {
    const { bestValues } = this;
    this.run = null;
    this.bestValues = null;
    if (!bestValues || !earlyStopping?.restoreBest) return;
    for (const [i, { value }] of this.stepper.network.slots.entries()) {
      value.data.set(bestValues[i] as Float32Array);
    }
  }

  /** Notes the loss of an epoch, and tells whether early stopping ends the run with it. */
  private isOver(run: Run, loss: number, { earlyStopping }: CheckedOptions): boolean {
    if (!earlyStopping) return false;
    const { patience, minDelta, restoreBest } = earlyStopping;
    // A first loss that is NaN is worse than any number.
    if (
      run.best === null ||
      loss < run.best - minDelta ||
      (Number.isNaN(run.best) && !Number.isNaN(loss))
    ) {
      run.best = loss;
      run.stale = 0;
      if (restoreBest) {
        const { slots } = this.stepper.network;
        this.bestValues ??= slots.map(({ value }) => value.toTypedArray());
        for (const [i, { value }] of slots.entries()) this.bestValues[i]?.set(value.data);
      }
    } else {
      run.stale++;
    }
    return run.stale >= patience;
  }
}

/** Whether the first numbers of a tensor, this many, are finite. */
const hasFinite = ({ data }: TensorHandle, size: number): boolean =>
  data.subarray(0, size).every(Number.isFinite);
