// How many cases, from which seed, and how far it is: `npm run fuzz` sets what npm test leaves
// small.

import { writeSync } from "node:fs";

const { LAMELLA_FUZZ_RUNS, LAMELLA_FUZZ_SEED, LAMELLA_FUZZ_PROGRESS } = process.env;

/** The cases of the facade's property; others take a share of them. */
export const runs = Number(LAMELLA_FUZZ_RUNS ?? 10_000);
export const seed = Number(LAMELLA_FUZZ_SEED ?? 7);

/** Counts what comes of cases, and in `npm run fuzz` says so from time to time. */
export class Tally {
  readonly outcomes = new Map<string, number>();
  private cases = 0;
  private readonly began = Date.now();

  constructor(
    private readonly name: string,
    private readonly all: number,
  ) {}

  count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    this.cases++;
    const step = Math.ceil(this.all / 20);
    if (LAMELLA_FUZZ_PROGRESS && (this.cases % step === 0 || this.cases === this.all)) {
      const seconds = ((Date.now() - this.began) / 1000).toFixed(0);
      const counts = [...this.outcomes].map(([key, n]) => `${key} ${n}`).join(", ");
      writeSync(2, `${this.name}: ${this.cases} of ${this.all} in ${seconds} s (${counts})\n`);
    }
  }
}
