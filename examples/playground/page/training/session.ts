// A model in training that can be paused, stepped, and changed while it runs. Used by workers.

import { type Runtime, Sequential, type StepEvent, Trainer, type TrainingData } from "lamella";
import { isSameNetwork, type Settings } from "./settings.ts";

/** More than anybody waits for. */
const EPOCHS = 1_000_000;

export class Session {
  model: Sequential | undefined;
  settings: Settings | undefined;
  /** Since the weights were drawn. */
  steps = 0;
  examples = 0;
  private trainer: Trainer | undefined;
  private loop: Promise<void> | undefined;
  private isStopping = false;
  private restart = true;

  /**
   * @param input one example's shape
   * @param classes how many scores the network must end in
   * @param data what is trained on, asked for with every start
   * @param after is called after each step, and waited for
   * @param failed is called where a step throws
   */
  constructor(
    readonly runtime: Runtime,
    private readonly input: readonly number[],
    public classes: number,
    private readonly data: () => TrainingData,
    private readonly after: (event: StepEvent) => Promise<void> | undefined,
    private readonly failed: (error: Error) => void,
  ) {}

  get isRunning(): boolean {
    return this.loop !== undefined;
  }

  /** Numbers that the model learns. */
  get parameters(): number {
    return this.model?.parameters().reduce((sum, { value }) => sum + value.size, 0) ?? 0;
  }

  /**
   * Takes new settings, also while it trains: another network or seed begins anew, all else goes on from the weights as
   * they are.
   * @throws what Sequential and Trainer throw for settings that cannot be; nothing has changed then
   */
  async configure(settings: Settings): Promise<void> {
    const { input, runtime, model: old } = this;
    const keeps = old && this.settings && isSameNetwork(this.settings, settings);
    const { layers, seed } = settings;
    const model = keeps ? old : this.checked(new Sequential(runtime, { input, layers, seed }));
    let trainer: Trainer;
    try {
      trainer = trainerOf(model, settings);
    } catch (error) {
      if (!keeps) model.dispose();
      throw error;
    }
    await this.use(settings, model, trainer);
  }

  /** Draws the first weights again. */
  async reset(): Promise<void> {
    const { settings } = this;
    if (!settings) return;
    this.settings = undefined;
    await this.configure(settings);
  }

  /** Goes on with a model from elsewhere. */
  async adopt(model: Sequential, settings: Settings): Promise<void> {
    this.checked(model);
    await this.use(settings, model, trainerOf(model, settings));
  }

  /** Trains until pause is called, or for so many steps; resolves at the end of that. */
  run(steps = Infinity): Promise<void> {
    this.loop ??= this.train(steps)
      .catch(this.failed)
      .finally(() => {
        this.loop = undefined;
      });
    return this.loop;
  }

  /** Resolves when the step under way has been taken. */
  async pause(): Promise<void> {
    this.isStopping = true;
    await this.loop;
    this.isStopping = false;
  }

  /** Looks at data anew, which have changed. */
  async refresh(): Promise<void> {
    const { isRunning } = this;
    await this.pause();
    this.restart = true;
    if (isRunning) this.run();
  }

  private async use(settings: Settings, model: Sequential, trainer: Trainer): Promise<void> {
    const { isRunning } = this;
    await this.pause();
    this.trainer?.dispose();
    if (model !== this.model) {
      this.model?.dispose();
      this.steps = 0;
      this.examples = 0;
    }
    Object.assign(this, { settings, model, trainer, restart: true });
    if (isRunning) this.run();
  }

  private async train(limit: number): Promise<void> {
    const { trainer, settings, restart } = this;
    if (!trainer || !settings) return;
    this.restart = false;
    const { batchSize } = settings;
    let left = limit;
    // A fit that is left is continued by the next: that is what pausing is.
    for await (const event of trainer.fit(this.data(), { epochs: EPOCHS, batchSize, restart })) {
      if (event.type !== "step") continue;
      this.steps++;
      this.examples += event.examples;
      await this.after(event);
      if (this.isStopping || --left <= 0) break;
    }
  }

  private checked(model: Sequential): Sequential {
    const { classes, input } = this;
    const [inputs, scores] = [sizeOf(model.input), sizeOf(model.output)];
    const problem =
      inputs !== sizeOf(input)
        ? `The network takes ${inputs} numbers, but an example has ${sizeOf(input)}.`
        : scores !== classes
          ? `The network ends in ${scores} scores, but there are ${classes} classes: let the last affine layer have ${classes} units.`
          : undefined;
    if (problem) {
      model.dispose();
      throw new Error(problem);
    }
    return model;
  }
}

function trainerOf(model: Sequential, { loss, optimizer, l2, seed }: Settings): Trainer {
  return new Trainer(model, { loss, optimizer, l2, seed });
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
