// What both sides of the race do alike: the same batches, and a clock around each step.

import { fetchDigits } from "../digits/data.ts";
import type { Course, FromRacer, ToRacer, Weights } from "./messages.ts";

/** Digits that the batches go through, again and again. */
const DIGITS = 4096;

export interface Batch {
  /** Pixels from 0 to 1. */
  x: Float32Array;
  y: Int32Array;
  count: number;
}

export interface Racer {
  /** Its weights at the start. */
  weights: Weights;
  version: string;
  /** A train step on one of the batches: its loss. */
  step(batch: number): number;
}

interface WorkerScope {
  postMessage(message: FromRacer): void;
  addEventListener(type: "message", listener: (event: MessageEvent<ToRacer>) => void): void;
}

/** @param prepare makes a racer */
export function startRacer(
  prepare: (course: Course, batches: Batch[], weights?: Weights) => Promise<Racer>,
): void {
  const scope = self as unknown as WorkerScope;
  let racer: Racer;
  let batches: Batch[] = [];
  let taken = 0;
  scope.addEventListener("message", async ({ data }) => {
    try {
      if (data.type === "prepare") {
        batches = await fetchBatches(data.course.batchSize);
        racer = await prepare(data.course, batches, data.weights);
        const { weights, version } = racer;
        scope.postMessage({ type: "ready", weights, version });
        return;
      }
      const times = new Float64Array(data.steps);
      const losses = new Float64Array(data.steps);
      for (let i = 0; i < data.steps; i++) {
        const began = performance.now();
        losses[i] = racer.step(taken++ % batches.length);
        times[i] = performance.now() - began;
      }
      scope.postMessage({ type: "done", times, losses });
    } catch (error) {
      scope.postMessage({ type: "failed", message: (error as Error).message });
    }
  });
}

async function fetchBatches(count: number): Promise<Batch[]> {
  const { images, labels } = await fetchDigits("train");
  return Array.from({ length: Math.floor(DIGITS / count) }, (_, i) => ({
    x: Float32Array.from(images.subarray(i * count * 784, (i + 1) * count * 784), (v) => v / 255),
    y: Int32Array.from(labels.subarray(i * count, (i + 1) * count)),
    count,
  }));
}
