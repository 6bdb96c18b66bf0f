import type { Answer, Command } from "../training/commands.ts";
import type { Progress } from "../training/reports.ts";
import type { ToyName } from "./toys.ts";

export interface ToySettings {
  name: ToyName;
  /** Points in all. */
  count: number;
  /** The standard deviation of what is added to each coordinate. */
  noise: number;
  seed: number;
}

/** A point that was put there by hand. */
export interface AddedPoint {
  x: number;
  y: number;
  label: number;
}

export interface PointsData {
  toy: ToySettings;
  added: readonly AddedPoint[];
}

export type ToPoints =
  /** Steps a second, at the most. */
  { type: "pace"; stepsPerSecond: number } | Command<PointsData>;

export type FromPoints =
  | Progress<PointsData>
  | Answer<PointsData>
  | { type: "points"; x: Float32Array; y: Int32Array }
  /** The probabilities of the classes on a grid, row by row from the top. */
  | { type: "map"; probabilities: Float32Array; classes: number; accuracy: number };

/** Cells of the grid, in a row and in a column. */
export const GRID = 64;
/** The plane goes from −EXTENT to EXTENT, both ways. */
export const EXTENT = 1.4;
