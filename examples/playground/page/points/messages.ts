import type { Command } from "../training/commands.ts";
import type { Progress } from "../training/reports.ts";
import type { Settings } from "../training/settings.ts";
import type { ToyName } from "./toys.ts";

export interface ToySettings {
  name: ToyName;
  /** Points in all. */
  count: number;
  /** The standard deviation of what is added to each coordinate. */
  noise: number;
  seed: number;
}

export type ToPoints =
  /** Other points, and a network with a score for each of their classes. */
  | { type: "data"; toy: ToySettings; settings: Settings }
  | { type: "add"; x: number; y: number; label: number }
  | { type: "configure"; settings: Settings }
  /** Steps a second, at the most. */
  | { type: "pace"; stepsPerSecond: number }
  | Command;

export type FromPoints =
  | Progress
  | { type: "points"; x: Float32Array; y: Int32Array }
  | { type: "built"; parameters: number }
  | { type: "refused"; message: string }
  | { type: "failed"; message: string }
  /** The probabilities of the classes on a grid, row by row from the top. */
  | { type: "map"; probabilities: Float32Array; classes: number; accuracy: number };

/** Cells of the grid, in a row and in a column. */
export const GRID = 64;
/** The plane goes from −EXTENT to EXTENT, both ways. */
export const EXTENT = 1.4;
