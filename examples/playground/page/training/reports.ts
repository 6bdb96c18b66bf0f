// What a worker tells while it trains: as much as the page can draw, and no more.

import type { StepEvent } from "lamella";
import type { Session } from "./session.ts";

/** The steps since the last report. */
export interface Progress {
  type: "progress";
  steps: number;
  /** Passes over the examples. */
  epochs: number;
  /** Means over those steps. */
  loss: number;
  accuracy: number;
  examplesPerSecond: number;
}

/** Sums steps up until somebody wants to know. */
export class Meter {
  private loss = 0;
  private right = 0;
  private examples = 0;
  private speed = 0;
  private windowStart = performance.now();
  private windowExamples = 0;

  add({ loss, accuracy, examples }: StepEvent): void {
    this.loss += loss * examples;
    this.right += accuracy * examples;
    this.examples += examples;
    this.windowExamples += examples;
  }

  /** Begins to measure the speed, as after a pause. */
  restart(): void {
    this.windowStart = performance.now();
    this.windowExamples = 0;
  }

  /** @param count examples of an epoch */
  take(session: Session, count: number): Progress | undefined {
    const { loss, right, examples } = this;
    if (examples === 0) return undefined;
    const now = performance.now();
    const passed = now - this.windowStart;
    if (passed > 500 || (this.speed === 0 && passed > 50)) {
      this.speed = (1000 * this.windowExamples) / passed;
      this.restart();
    }
    this.loss = this.right = this.examples = 0;
    return {
      type: "progress",
      steps: session.steps,
      epochs: session.examples / count,
      loss: loss / examples,
      accuracy: right / examples,
      examplesPerSecond: this.speed,
    };
  }
}

/** Does something now and then, so that it takes a sixth of the time at most. */
export class Occasionally {
  private due = 0;

  constructor(private readonly interval: number) {}

  run(action: () => void): void {
    const began = performance.now();
    if (began < this.due) return;
    action();
    const ended = performance.now();
    this.due = ended + Math.max(this.interval, 5 * (ended - began));
  }

  /** The next time is now. */
  reset(): void {
    this.due = 0;
  }
}
