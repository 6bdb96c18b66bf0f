// Optimizer, loss, batch size, seed.

import type { Optimizer } from "lamella";
import { losses, optimizers, ranges, type Settings } from "../training/settings.ts";
import { field, h, NumberInput, select } from "./dom.ts";

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

/** All settings but the network. */
type Training = Omit<Settings, "layers">;

/** A number under its name, with words on what is wrong with it. */
export function numberField(name: string, input: NumberInput, hint = ""): HTMLElement {
  return field(name, input.element, { hint, problem: input.problem });
}

export class TrainingForm {
  readonly element = h("div", { class: "fields" });
  /** Of the optimizer that is chosen. */
  private readonly own = h("div", { class: "fields own" });
  private readonly kind;
  private readonly loss;
  private readonly batchSize;
  private readonly l2;
  private readonly seed;
  private optimizer: Optimizer;

  constructor(
    training: Training,
    private readonly changed: (part: Partial<Training>) => void,
  ) {
    this.optimizer = training.optimizer;
    this.kind = select(names, training.optimizer.kind, (kind) => {
      this.setOptimizer(optimizers[kind]());
      this.drawOwn();
    });
    this.loss = select(losses, training.loss, (loss) => changed({ loss }));
    this.batchSize = new NumberInput(training.batchSize, ranges.batchSize, (batchSize) =>
      changed({ batchSize }),
    );
    this.l2 = new NumberInput(training.l2, ranges.l2, (l2) => changed({ l2 }));
    this.seed = new NumberInput(training.seed, ranges.seed, (seed) => changed({ seed }));
    this.element.append(
      field("Optimizer", this.kind),
      this.own,
      field("Loss", this.loss),
      numberField("Batch size", this.batchSize, "Examples of one step"),
      numberField("L2", this.l2, "Adds 0.5 · L2 · ΣW² to the loss"),
      numberField("Seed", this.seed, "The same seed gives the same network, to the last bit"),
    );
    this.drawOwn();
  }

  /** Shows other settings; nobody is told. */
  show({ optimizer, loss, batchSize, l2, seed }: Training): void {
    this.optimizer = optimizer;
    this.kind.value = optimizer.kind;
    this.loss.value = loss;
    this.batchSize.show(batchSize);
    this.l2.show(l2);
    this.seed.show(seed);
    this.drawOwn();
  }

  private drawOwn(): void {
    const { kind, ...settings } = this.optimizer;
    const inputs = Object.entries(settings).map(([name, value]) => {
      const change = (value: number) =>
        this.setOptimizer({ ...this.optimizer, [name]: value } as Optimizer);
      const range = ranges[name as keyof typeof ranges];
      return numberField(
        settingNames[name] ?? name,
        new NumberInput(value as number, range, change),
      );
    });
    this.own.replaceChildren(...inputs);
  }

  private setOptimizer(optimizer: Optimizer): void {
    this.optimizer = optimizer;
    this.changed({ optimizer });
  }
}
