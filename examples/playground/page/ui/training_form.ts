// Optimizer, loss, batch size, seed.

import { adam, adamw, momentum, nesterov, type Optimizer, rmsprop, sgd } from "lamella";
import type { Settings } from "../training/settings.ts";
import { field, h, numberInput, select } from "./dom.ts";

const optimizers = { sgd, momentum, nesterov, rmsprop, adam, adamw };
const names: Record<keyof typeof optimizers, string> = {
  sgd: "SGD",
  momentum: "SGD, momentum",
  nesterov: "SGD, Nesterov",
  rmsprop: "RMSprop",
  adam: "Adam",
  adamw: "AdamW",
};
const settingNames: Record<string, string> = {
  learningRate: "Learning rate",
  momentum: "Momentum",
  decayRate: "Decay rate",
  beta1: "β₁",
  beta2: "β₂",
  eps: "ε",
  weightDecay: "Weight decay",
};
const losses = { softmax: "softmax", svm: "SVM" };

/** All settings but the network. */
export type Training = Omit<Settings, "layers">;

export class TrainingForm {
  readonly element = h("div", { class: "fields" });
  /** Of the optimizer that is chosen. */
  private readonly own = h("div", { class: "fields own" });

  constructor(
    public training: Training,
    private readonly changed: (training: Training) => void,
  ) {
    const { loss, batchSize, seed, l2, optimizer } = training;
    const positive = { min: 1, max: 4096, step: 1 };
    this.element.append(
      field(
        "Optimizer",
        select(names, optimizer.kind, (kind) => {
          this.set({ optimizer: optimizers[kind]() });
          this.drawOwn();
        }),
      ),
      this.own,
      field(
        "Loss",
        select(losses, loss, (loss) => this.set({ loss })),
      ),
      field(
        "Batch size",
        numberInput(batchSize, positive, (batchSize) => this.set({ batchSize })),
        "Examples of one step",
      ),
      field(
        "L2",
        numberInput(l2, { min: 0 }, (l2) => this.set({ l2 })),
        "Adds 0.5 · L2 · ΣW² to the loss",
      ),
      field(
        "Seed",
        numberInput(seed, { min: 0, max: 2 ** 32 - 1, step: 1 }, (seed) => this.set({ seed })),
        "The same seed gives the same network, to the last bit",
      ),
    );
    this.drawOwn();
  }

  private drawOwn(): void {
    const { kind, ...settings } = this.training.optimizer;
    const inputs = Object.entries(settings).map(([name, value]) =>
      field(
        settingNames[name] ?? name,
        numberInput(value as number, { min: 0 }, (value) =>
          this.set({ optimizer: { ...this.training.optimizer, [name]: value } as Optimizer }),
        ),
      ),
    );
    this.own.replaceChildren(...inputs);
  }

  private set(part: Partial<Training>): void {
    this.training = { ...this.training, ...part };
    this.changed(this.training);
  }
}
