// A model in training that can be paused, stepped, and changed while it runs, and that follows
// recipes. Used by workers.

import { type Runtime, Sequential, type StepEvent, Trainer, type TrainingData } from "lamella";
import type { Recipe, Stage } from "./recipe.ts";
import { isEqual, isSameNetwork, problemOf, type Settings } from "./settings.ts";

/** More than anybody waits for. */
const EPOCHS = 1_000_000;

export interface Task<Data> {
  /** Numbers of one example. */
  input: number;
  /** How many scores the network must end in. */
  classes: (data: Data) => number;
  /** What is trained on. */
  examples: (data: Data) => TrainingData;
  /** How many examples go through the network at once outside of training. */
  atOnce: number;
}

/** What is told of a session. */
export interface Listener {
  /** Weights were drawn, or came from a file. */
  begun: () => void;
  /** After each step; waited for. */
  stepped: (event: StepEvent) => Promise<void> | undefined;
  /** Training came to its end by itself: a recipe was followed, or a step threw. */
  ended: () => void;
  /** A step threw. */
  failed: (error: Error) => void;
}

export class Session<Data> {
  model: Sequential | undefined;
  settings: Settings | undefined;
  data: Data | undefined;
  /** Since the weights were drawn. */
  steps = 0;
  examples = 0;
  /** Where the weights came from, if not from the seed. */
  file: string | undefined;
  /** Stages before the one under way. */
  private past: Stage<Data>[] = [];
  /** The stage in which steps were taken last: the trainer is that of its settings. */
  private trained: Stage<Data> | undefined;
  private trainer: Trainer | undefined;
  /** For settings that are other than those of `trained`; it takes over with the next step. */
  private next: Trainer | undefined;
  private loop: Promise<void> | undefined;
  private isStopping = false;
  private isFollowing = false;

  constructor(
    readonly runtime: Runtime,
    private readonly task: Task<Data>,
    private readonly listener: Listener,
  ) {}

  get isRunning(): boolean {
    return this.loop !== undefined;
  }

  /** Does it take the steps of a recipe again, as fast as it can? */
  get isFollowingRecipe(): boolean {
    return this.isFollowing;
  }

  /** Numbers that the model learns. */
  get parameters(): number {
    return this.model?.parameters().reduce((sum, { value }) => sum + value.size, 0) ?? 0;
  }

  /** How the weights came to be, with what is set for the next step as the last stage. */
  get recipe(): Recipe<Data> {
    const { past, trained, settings, data } = this;
    if (!settings) return [];
    const stages = trained ? [...past, { ...trained }] : [];
    const isGoingOn = trained && isEqual(trained.settings, settings) && isEqual(trained.data, data);
    return isGoingOn ? stages : [...stages, { settings, data: data as Data, steps: 0 }];
  }

  /**
   * Takes new settings and data, also while it trains: another network or seed begins anew, all
   * else goes on from the weights as they are.
   * @param paused is called once no step is under way, before anything changes
   * @throws what Sequential and Trainer throw for settings that cannot be; nothing has changed
   *   then, and what ran runs on
   */
  async apply(settings: Settings, data: Data, paused: () => void = () => {}): Promise<void> {
    const goesOn = this.isRunning && !this.isFollowing;
    await this.pause();
    try {
      paused();
      this.change(settings, data);
    } finally {
      if (goesOn) this.run();
    }
  }

  /** Draws the first weights again. */
  async reset(paused: () => void): Promise<void> {
    const { settings, data } = this;
    if (!settings) return;
    const goesOn = this.isRunning && !this.isFollowing;
    await this.pause();
    paused();
    this.begin(settings, data as Data);
    if (goesOn) this.run();
  }

  /** Goes on with a model from a file, whose layers the settings have. */
  async adopt(model: Sequential, settings: Settings, file: string): Promise<void> {
    const goesOn = this.isRunning && !this.isFollowing;
    await this.pause();
    const takes = [sizeOf(model.input), sizeOf(model.output)];
    const expected = [this.task.input, this.task.classes(this.data as Data)];
    let trainer: Trainer;
    try {
      if (!isEqual(takes, expected)) {
        throw new Error(
          `The file's network takes ${takes[0]} numbers and gives ${takes[1]} scores; expected ${expected[0]} and ${expected[1]}.`,
        );
      }
      trainer = trainerOf(model, settings);
    } catch (error) {
      model.dispose();
      throw error;
    }
    this.take(model, trainer, settings, this.data as Data);
    this.file = file;
    this.listener.begun();
    if (goesOn) this.run();
  }

  /** Trains until pause is called, or for so many steps; resolves at the end of that. */
  run(steps = Infinity): Promise<void> {
    return this.start(() => this.train(steps));
  }

  /**
   * Begins anew and takes all steps of a recipe, unless it is paused meanwhile.
   * @throws as apply, for the first stage; a later one ends it there, and `failed` is told
   */
  async follow(recipe: Recipe<Data>): Promise<void> {
    await this.pause();
    const [first, ...others] = recipe as [Stage<Data>, ...Stage<Data>[]];
    this.begin(first.settings, first.data);
    if (first.steps === 0) return;
    this.isFollowing = true;
    this.start(async () => {
      await this.train(first.steps);
      for (const { settings, data, steps } of others) {
        if (this.isStopping) return;
        this.change(settings, data);
        if (steps > 0) await this.train(steps);
      }
    });
  }

  /** Resolves when the step under way has been taken. */
  async pause(): Promise<void> {
    this.isStopping = true;
    await this.loop;
    this.isStopping = false;
  }

  /** The same training in another runtime, to the bit. It must not run. */
  moveTo(runtime: Runtime): Session<Data> {
    const moved = new Session(runtime, this.task, this.listener);
    const { settings, data, steps, examples, file, past, trained } = this;
    Object.assign(moved, { settings, data, steps, examples, file, past, trained });
    if (!this.trainer) return moved;
    moved.trainer = Trainer.resume(runtime, this.trainer.checkpoint());
    moved.model = moved.trainer.model as Sequential;
    if (this.next && settings) moved.next = trainerOf(moved.model, settings);
    return moved;
  }

  private start(action: () => Promise<void>): Promise<void> {
    this.loop ??= action()
      .catch(this.listener.failed)
      .finally(() => {
        this.loop = undefined;
        this.isFollowing = false;
        if (!this.isStopping) this.listener.ended();
      });
    return this.loop;
  }

  private change(settings: Settings, data: Data): void {
    const { model, settings: old } = this;
    if (!(model && old && isSameNetwork(old, settings))) {
      this.begin(settings, data);
      return;
    }
    this.check(settings, data);
    const { trained } = this;
    // Whoever changes a setting and changes it back has changed nothing.
    const isBack = trained && isEqual(trained.settings, settings);
    const next = isBack ? undefined : trainerOf(model, settings);
    this.next?.dispose();
    Object.assign(this, { next, settings, data });
  }

  /** From the seed. */
  private begin(settings: Settings, data: Data): void {
    this.check(settings, data);
    const { layers, seed } = settings;
    const model = new Sequential(this.runtime, { input: [this.task.input], layers, seed });
    let trainer: Trainer;
    try {
      trainer = trainerOf(model, settings);
    } catch (error) {
      model.dispose();
      throw error;
    }
    this.take(model, trainer, settings, data);
    this.file = undefined;
    this.listener.begun();
  }

  private take(model: Sequential, trainer: Trainer, settings: Settings, data: Data): void {
    this.next?.dispose();
    this.trainer?.dispose();
    this.model?.dispose();
    Object.assign(this, { model, trainer, settings, data, next: undefined });
    Object.assign(this, { steps: 0, examples: 0, past: [], trained: undefined });
  }

  private async train(limit: number): Promise<void> {
    const { settings, data } = this;
    if (!this.trainer || !settings) return;
    if (this.next) {
      this.trainer.dispose();
      this.trainer = this.next;
      this.next = undefined;
    }
    const { trained } = this;
    const isSame = trained && isEqual(trained.settings, settings) && isEqual(trained.data, data);
    const restart = !(trained && isEqual(trained.data, data));
    const stage = isSame ? trained : { settings, data: data as Data, steps: 0 };
    const { batchSize } = settings;
    let left = limit;
    // A fit that is left is continued by the next: that is what pausing is.
    const examples = this.task.examples(stage.data);
    for await (const event of this.trainer.fit(examples, { epochs: EPOCHS, batchSize, restart })) {
      if (event.type !== "step") continue;
      if (stage.steps === 0) {
        if (trained) this.past.push(trained);
        this.trained = stage;
      }
      stage.steps++;
      this.steps++;
      this.examples += event.examples;
      await this.listener.stepped(event);
      if (this.isStopping || --left <= 0) break;
    }
  }

  /** Before anything is allocated. */
  private check({ layers, batchSize }: Settings, data: Data): void {
    const { input, classes, atOnce } = this.task;
    const problem = problemOf(layers, input, classes(data), Math.max(batchSize, atOnce));
    if (problem) throw new Error(problem);
  }
}

function trainerOf(model: Sequential, { loss, optimizer, l2, seed }: Settings): Trainer {
  return new Trainer(model, { loss, optimizer, l2, seed });
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
