// Train, pause, one step, and from the start again.

import { button, h } from "./dom.ts";

type Button = "run" | "pause" | "step" | "reset";

export class Transport {
  readonly element: HTMLElement;
  private isRunning = false;
  private readonly main: HTMLButtonElement;

  constructor(send: (command: Button) => void) {
    this.main = button(
      "Train",
      () => {
        const command = this.isRunning ? "pause" : "run";
        this.show(!this.isRunning);
        send(command);
      },
      { class: "primary" },
    );
    this.element = h(
      "div",
      { class: "transport", role: "group", "aria-label": "Training" },
      this.main,
      button("Step", () => send("step")),
      button("Reset", () => send("reset")),
    );
  }

  /** Shows whether it trains; nobody is told. */
  show(isRunning: boolean): void {
    this.isRunning = isRunning;
    this.main.textContent = isRunning ? "Pause" : "Train";
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
