import type { FromRacer, ToRacer, Weights } from "./messages.ts";

/** One side of the race, as the page sees it: ask, and wait for the answer. */
export class Lane {
  private readonly worker: Worker;
  readonly times: number[] = [];
  readonly losses: number[] = [];

  constructor(script: string) {
    this.worker = new Worker(script, { type: "module" });
  }

  async prepare(
    message: Extract<ToRacer, { type: "prepare" }>,
  ): Promise<{ weights: Weights; version: string }> {
    return this.ask(message, "ready");
  }

  /** So many steps. */
  async go(steps: number): Promise<void> {
    const { times, losses } = await this.ask({ type: "go", steps }, "done");
    this.times.push(...times);
    this.losses.push(...losses);
  }

  end(): void {
    this.worker.terminate();
  }

  private ask<Type extends FromRacer["type"]>(
    message: ToRacer,
    type: Type,
  ): Promise<Extract<FromRacer, { type: Type }>> {
    return new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }: MessageEvent<FromRacer>) => {
        if (data.type === "failed") reject(new Error(data.message));
        else if (data.type === type) resolve(data as Extract<FromRacer, { type: Type }>);
      };
      this.worker.onerror = ({ message }) => reject(new Error(message || "the worker failed"));
      this.worker.postMessage(message);
    });
  }
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
