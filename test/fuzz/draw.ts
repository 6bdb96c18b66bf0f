// Shapes, values and choices from one seed. fast-check draws the few numbers that make a case and
// shrinks them; what follows from them comes from here, so that a case is cheap and replays from
// its numbers.

import { seeded } from "../support/core.ts";

export type Shape = readonly number[];

/** Kinds of values, from harmless to hostile. */
export const profiles = ["whole", "normal", "wide", "huge", "denormal", "special"] as const;
export type Profile = (typeof profiles)[number];

/** Lengths, mostly small: 0, 1, and one less and one more than the widths that kernels work in. */
const lengths = [
  ...[1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6, 0],
  ...[7, 8, 9, 7, 8, 9, 15, 16, 17, 31, 33],
];

export class Draw {
  private readonly random: () => number;

  /** most caps all lengths, so that a failing case can shrink. */
  constructor(
    seed: number,
    private readonly most: number,
    private readonly range: number = 2 ** 128,
  ) {
    this.random = seeded(seed);
    this.random();
  }

  int(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)] as T;
  }

  chance(p: number): boolean {
    return this.random() < p;
  }

  dim(least = 0): number {
    return Math.max(least, Math.min(this.pick(lengths), this.most));
  }

  /** Of so many axes, at most some hundreds of elements in all. */
  shape(fewest = 0, most = 3): number[] {
    const rank = this.int(fewest, most);
    let left = 300;
    return Array.from({ length: rank }, () => {
      const length = Math.min(this.dim(), Math.floor(left));
      left /= Math.max(length, 1);
      return length;
    });
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random());
  }

  value(profile: Profile): number {
    const sign = this.chance(0.5) ? 1 : -1;
    const { range } = this;
    switch (profile) {
      case "whole":
        return this.int(-4, 4);
      case "normal":
        return this.normal();
      case "wide":
        return this.normal() * 2 ** this.int(-30, 30);
      case "huge":
        return (sign * range * this.random()) / this.pick([1, 2 ** 20, 2 ** 64]);
      case "denormal":
        // Down to the last bit of either dtype, and just above their smallest normal numbers.
        return (
          sign * this.random() * (range > 2 ** 200 ? 2 ** -1020 : 2 ** -124) * 2 ** -this.int(0, 54)
        );
      default:
        return this.pick([
          ...[0, -0, 1, -1, Infinity, -Infinity, NaN, 0.5],
          ...[sign * (range / 2), sign * 2 ** -149, sign * 1e4, 88.8, -103.9, 745],
          ...[this.normal(), this.normal(), this.normal(), this.normal()],
        ]);
    }
  }
}
