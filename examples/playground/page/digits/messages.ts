import type { LayerSpec } from "lamella";
import type { Answer, Command } from "../training/commands.ts";
import type { LayerProbe } from "../training/probe.ts";
import type { Progress } from "../training/reports.ts";

/** The digits are the same for every network. */
export type DigitsData = null;

/**
 * The inputs and classes of a network for digits, and how many digits go through it at once
 * outside of training.
 */
export const digitsTask = { input: 784, classes: () => 10, atOnce: 2000 };

export type ToDigits =
  | { type: "start"; threads: number }
  /** Goes on with as many threads. */
  | { type: "threads"; threads: number }
  | Command<DigitsData>
  /** A digit to be read, again and again while the network learns: 784 pixels from 0 to 255. */
  | { type: "read"; pixels: Uint8Array }
  /** Asks for a digit of the test set. */
  | { type: "sample"; index: number }
  | { type: "save" }
  | { type: "load"; bytes: ArrayBuffer; name: string };

export type FromDigits =
  | Progress<DigitsData>
  | Insight
  | Answer<DigitsData>
  | { type: "loading"; share: number }
  | { type: "ready"; train: number; test: number }
  | { type: "runtime"; variant: string; threads: number }
  | { type: "scores"; scores: Float32Array; probabilities: Float32Array }
  | { type: "sample"; pixels: Uint8Array; label: number; index: number }
  | { type: "saved"; bytes: Uint8Array<ArrayBuffer> }
  | { type: "loaded"; layers: LayerSpec[]; name: string }
  | { type: "unreadable"; message: string };

/** What is looked at now and then. */
export interface Insight {
  type: "insight";
  /** On digits that are not learned from. */
  validation: { loss: number; accuracy: number; count: number };
  /** 10 × 10: the digit is the row, what it was read as the column. */
  confusion: Uint32Array;
  layers: LayerProbe[];
  /** What the first layer's units look for: `count` pictures of 784, −127 … 127. */
  weights: Int8Array;
}
