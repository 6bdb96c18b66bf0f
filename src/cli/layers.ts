// This file reads the networks of the command line, as `128,relu,dropout:0.2,64,relu`.

import { InvalidArgumentError } from "commander";
import type { LayerSpec } from "lamella";
import * as library from "lamella";
import { probability, type Range } from "../tensor/numbers.ts";
import { quoted } from "./fault.ts";
import { type KnownRecord, kinds } from "./kinds.ts";

/** A layer's function has the name of its kind. */
type Make = (value?: number) => LayerSpec;

/** A hidden layer that the command line has by its name. */
interface Hidden {
  readonly make: Make;
  /** Two affine layers without such a layer between them would be one. */
  readonly bends: boolean;
  /** The range of the number that may stand behind the name. */
  readonly range: Range | undefined;
  readonly isDue: boolean;
  /** The layer as the help writes it. */
  readonly example: string;
}

function hiddenOf({ kind, hidden, argument = "", settings = {} }: KnownRecord): Hidden {
  const [allowed, ...fallback] = settings[argument] ?? [];
  const range = typeof allowed === "function" ? undefined : allowed;
  const [usual = 0.2] = fallback;
  const name = kind.toLowerCase();
  return {
    make: (library as unknown as Record<string, Make>)[kind] as Make,
    bends: hidden === "activation",
    range,
    isDue: range !== undefined && fallback.length === 0,
    example: range ? `${name}:${usual}` : name,
  };
}

/** The activations come first. */
const hidden = new Map(
  ["activation", "other"].flatMap((place) =>
    [...kinds.values()]
      .filter((record) => record.hidden === place)
      .map((record) => [record.kind.toLowerCase(), hiddenOf(record)]),
  ),
);

/** The names of hidden layers, for the help. */
export const examples = [...hidden.values()].map(({ example }) => example).join(", ");

const names = [...hidden.keys()].join(", ");

/** Returns a range in words, without the brackets of intervals. */
const inWords = (range: Range) =>
  range === probability ? "a probability from 0 up to, not including, 1" : range.expected;

/** Returns the hidden layers that a text names; "none" names none. */
export function parseLayers(text: string): LayerSpec[] {
  if (text.trim().toLowerCase() === "none") return [];
  const specs: LayerSpec[] = [];
  let straight: string | undefined; // the affine layer that no activation follows yet
  for (const [i, part] of text.split(",").entries()) {
    const [name = "", given] = part.trim().toLowerCase().split(":", 2);
    const place = `layer ${i + 1}`;
    if (/^\d+$/.test(name)) {
      const units = Number(name);
      if (given !== undefined || units < 1 || units > 65_536) {
        throw new InvalidArgumentError(
          `${place} is ${quoted(part)}, expected from 1 to 65536 units`,
        );
      }
      if (straight) {
        throw new InvalidArgumentError(
          `${place} (${name}) follows ${straight} without an activation: write ${straight},relu,${name},relu`,
        );
      }
      specs.push(library.affine(units));
      straight = name;
      continue;
    }
    const kind = hidden.get(name);
    if (!kind) {
      throw new InvalidArgumentError(
        `${place} is ${quoted(part)}, expected a number of units or one of ${names}`,
      );
    }
    const { make, bends, range, isDue } = kind;
    const value = given === undefined || given === "" ? undefined : Number(given);
    if (value === undefined ? isDue : !range?.holds(value)) {
      const expected = range ? `${name}:… with ${inWords(range)}` : `${name} alone`;
      throw new InvalidArgumentError(`${place} is ${quoted(part)}, expected ${expected}`);
    }
    specs.push(make(value));
    if (bends) straight = undefined;
  }
  if (straight) {
    throw new InvalidArgumentError(
      `${straight} at the end needs an activation: write ${straight},relu (the output layer comes after it)`,
    );
  }
  return specs;
}
