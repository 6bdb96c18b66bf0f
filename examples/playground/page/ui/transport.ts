// Train, pause, one step, and from the start again.

import type { Command } from "../training/commands.ts";
import { button, h } from "./dom.ts";

export class Transport {
  readonly element: HTMLElement;
  private isRunning = false;
  private readonly main: HTMLButtonElement;

  constructor(private readonly send: (command: Command["type"]) => void) {
    this.main = button("Train", () => this.set(!this.isRunning), { class: "primary" });
    this.element = h(
      "div",
      { class: "transport", role: "group", "aria-label": "Training" },
      this.main,
      button("Step", () => {
        this.set(false);
        send("step");
      }),
      button("Reset", () => send("reset")),
    );
  }

  set(isRunning: boolean): void {
    if (isRunning === this.isRunning) return;
    this.isRunning = isRunning;
    this.main.textContent = isRunning ? "Pause" : "Train";
    this.send(isRunning ? "run" : "pause");
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
