// Train, pause, one step, and from the start again.

import { button, h } from "./dom.ts";

export interface Commands {
  run(): void;
  pause(): void;
  step(): void;
  reset(): void;
}

export class Transport {
  readonly element: HTMLElement;
  private isRunning = false;
  private readonly main: HTMLButtonElement;

  constructor(private readonly commands: Commands) {
    this.main = button("Train", () => this.set(!this.isRunning), { class: "primary" });
    this.element = h(
      "div",
      { class: "transport", role: "group", "aria-label": "Training" },
      this.main,
      button("Step", () => {
        this.set(false);
        commands.step();
      }),
      button("Reset", () => commands.reset()),
    );
  }

  set(isRunning: boolean): void {
    if (isRunning === this.isRunning) return;
    this.isRunning = isRunning;
    this.main.textContent = isRunning ? "Pause" : "Train";
    if (isRunning) this.commands.run();
    else this.commands.pause();
  }
}

/** Figures with their names below. */
export class Figures<Name extends string> {
  readonly element: HTMLElement;
  private readonly outputs = new Map<Name, HTMLElement>();

  constructor(names: Record<Name, string>) {
    const entries = Object.entries(names) as [Name, string][];
    this.element = h(
      "dl",
      { class: "figures" },
      ...entries.map(([name, title]) => {
        const output = h("dd", { "data-figure": name }, "–");
        this.outputs.set(name, output);
        return h("div", {}, h("dt", {}, title), output);
      }),
    );
  }

  set(name: Name, text: string): void {
    this.outputs.get(name)!.textContent = text;
  }
}
