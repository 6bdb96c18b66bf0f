// Damaged files for readers of other formats: bytes are changed, cut off, taken out and doubled.

import { FormatError } from "../../src/index.ts";
import { seeded } from "./core.ts";

export interface FuzzOptions {
  readonly runs: number;
  readonly seed: number;
  /** Whole files, each of which is damaged in turn. */
  readonly seeds: readonly Uint8Array[];
  readonly read: (bytes: Uint8Array) => unknown;
  /** What a reader may throw beside a FormatError. */
  readonly allowed?: (error: unknown) => boolean;
}

/** One to four changes of a file. */
export function mutated(file: Uint8Array, random: () => number): Uint8Array {
  const below = (n: number) => Math.floor(random() * n);
  let bytes = Uint8Array.from(file);
  for (let changes = 1 + below(4); changes > 0 && bytes.length > 0; changes--) {
    const at = below(bytes.length);
    const count = 1 + below(Math.min(16, bytes.length - at));
    const kind = below(6);
    if (kind === 0) bytes[at] = (bytes[at] as number) ^ (1 << below(8));
    else if (kind === 1) bytes[at] = [0, 1, 127, 128, 255][below(5)] as number;
    else if (kind === 2) bytes.fill(255, at, at + Math.min(4, count));
    else if (kind === 3) bytes = bytes.slice(0, at);
    else {
      // Some bytes are taken out, or are there twice.
      const end = kind === 4 ? at + count : at;
      const rest = kind === 4 ? bytes.subarray(end) : bytes.subarray(Math.max(0, at - count));
      const joined = new Uint8Array(at + rest.length);
      joined.set(bytes.subarray(0, at));
      joined.set(rest, at);
      bytes = joined;
    }
  }
  return bytes;
}

/** Reads damaged files; throws where a reader fails in a way that it should not. */
export function fuzz({ runs, seed, seeds, read, allowed = () => false }: FuzzOptions): void {
  const random = seeded(seed);
  for (let run = 0; run < runs; run++) {
    const bytes = mutated(seeds[run % seeds.length] as Uint8Array, random);
    try {
      read(bytes);
    } catch (error) {
      if (error instanceof FormatError || allowed(error)) continue;
      throw new Error(`mutation ${run} of seed ${seed}: ${error}`, { cause: error });
    }
  }
}
