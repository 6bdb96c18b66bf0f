// What a worker tells while it trains: as much as the page can draw, and no more.

import type { Recipe } from "./recipe.ts";
import type { CurveData, Recorder } from "./recorder.ts";
import type { Session } from "./session.ts";

/** Where a training stands. */
export interface Progress<Data> {
  type: "progress";
  /** Of the `open` that it goes back to. */
  generation: number;
  steps: number;
  /** Passes over the examples. */
  epochs: number;
  /** Means over the last steps; undefined before the first. */
  recent: { loss: number; accuracy: number } | undefined;
  examplesPerSecond: number;
  curve: CurveData;
  recipe: Recipe<Data>;
  /** The file that the weights are from, which no recipe gives again. */
  file: string | undefined;
}

/** Examples a second. */
export class Speed {
  private speed = 0;
  private began = performance.now();
  private examples = 0;

  add(examples: number): void {
    this.examples += examples;
  }

  /** Begins to measure, as after a pause. */
  restart(): void {
    this.began = performance.now();
    this.examples = 0;
  }

  clear(): void {
    this.speed = 0;
    this.restart();
  }

  get value(): number {
    const passed = performance.now() - this.began;
    if (passed > 500 || (this.speed === 0 && passed > 50)) {
      this.speed = (1000 * this.examples) / passed;
      this.restart();
    }
    return this.speed;
  }
}

/** @param count examples of an epoch */
export function progressOf<Data>(
  session: Session<Data>,
  recorder: Recorder,
  speed: Speed,
  count: number,
  generation: number,
): Progress<Data> {
  const { steps, recipe, file } = session;
  return {
    type: "progress",
    ...{ generation, steps, recipe, file },
    epochs: session.examples / count,
    recent: recorder.figures,
    examplesPerSecond: speed.value,
    curve: recorder.curve,
  };
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
