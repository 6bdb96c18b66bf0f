// This file reads the networks of the command line, as `128,relu,dropout:0.2,64,relu` for features
// and `conv:16x5,relu,pool:2,128,relu` for images.

import { InvalidArgumentError } from "commander";
import type { LayerSpec } from "lamella";
import * as library from "lamella";
import { settingsOf } from "../nn/graph/record.ts";
import { probability, type Range } from "../tensor/numbers.ts";
import { quoted } from "./fault.ts";
import { type KnownRecord, kinds } from "./kinds.ts";

/** A layer's function has the name of its kind. */
type Make = (...values: unknown[]) => LayerSpec;

/** A layer, and how the command line has it: a message can name it as it was written. */
export interface Written {
  readonly spec: LayerSpec;
  readonly text: string;
}

/** What may stand behind a name: returns the arguments of the layer's function, or nothing. */
interface Grammar {
  /** In words, for messages. */
  readonly expected: string;
  read(given: string[]): unknown[] | undefined;
}

/** A hidden layer that the command line has by its name. */
interface Hidden {
  readonly make: Make;
  /** An activation, without which two products would be one, or a product itself. */
  readonly bends: boolean;
  readonly isProduct: boolean;
  readonly grammar: Grammar;
  /** The layer as the help writes it. */
  readonly example: string;
}

/** Returns a range in words, without the brackets of intervals. */
const inWords = (range: Range) =>
  range === probability ? "a probability from 0 up to, not including, 1" : range.expected;

const MOST = 65_536;
const isCount = (value: number) => Number.isInteger(value) && value >= 1 && value <= MOST;

/** A number, as in dropout:0.2, or none where the layer has no argument. */
function numberGrammar(name: string, range: Range | undefined, isDue: boolean): Grammar {
  return {
    expected: range ? `${name}:… with ${inWords(range)}` : `${name} alone`,
    read([given, ...more]) {
      const value = given ? Number(given) : undefined;
      const isTaken = value === undefined ? !isDue : range?.holds(value);
      return isTaken && more.length === 0 ? [value] : undefined;
    },
  };
}

/**
 * Sizes: conv:16x5 has 16 filters of 5 × 5, conv:16x5x3 of 5 × 3, pool:2 has windows of 2 × 2, and
 * `same` behind them pads as much as keeps the size at a stride of 1.
 */
function sizesGrammar(example: string, hasFilters: boolean): Grammar {
  const what = hasFilters ? "filters and the side of each" : "the side of a window";
  return {
    expected: `${example} or ${example}:same: ${what}, from 1 to ${MOST}`,
    read([sizes = "", ...more]) {
      const values = sizes.split("x").map((text) => (/^\d+$/.test(text) ? Number(text) : 0));
      const kernel = hasFilters ? values.slice(1) : values;
      const isTaken = values.every(isCount) && (kernel.length === 1 || kernel.length === 2);
      const isSame = more.length === 1 && more[0] === "same";
      if (!isTaken || (more.length > 0 && !isSame)) return undefined;
      const size = kernel.length === 1 ? kernel[0] : kernel;
      return [
        ...values.slice(0, values.length - kernel.length),
        size,
        ...(isSame ? [{ padding: "same" }] : []),
      ];
    },
  };
}

function hiddenOf(record: KnownRecord): Hidden {
  const { kind, hidden, argument = "", settings = {}, isProduct = false } = record;
  const [allowed, ...fallback] = settings[argument] ?? [];
  const range = typeof allowed === "function" ? undefined : allowed;
  const [usual = 0.2] = fallback;
  const name = kind.toLowerCase();
  const { example = range ? `${name}:${usual}` : name } = record;
  const isDue = range !== undefined && fallback.length === 0;
  return {
    make: (library as unknown as Record<string, Make>)[kind] as Make,
    ...{ bends: hidden === "activation", isProduct, example },
    grammar: settings.kernel
      ? sizesGrammar(example, argument !== "kernel")
      : numberGrammar(nameOf(example), range, isDue),
  };
}

/** "dropout" of "dropout:0.2" */
const nameOf = (example: string) => example.split(":")[0] as string;

/** The activations come first, and the layers of images last. */
const placeOf = ({ hidden, window }: KnownRecord) => {
  if (window) return 2;
  return hidden === "activation" ? 0 : 1;
};

const hidden = new Map(
  [...kinds.values()]
    .filter((record) => record.hidden)
    .sort((a, b) => placeOf(a) - placeOf(b))
    .map(hiddenOf)
    .map((layer) => [nameOf(layer.example), layer]),
);

/** The names of hidden layers, for the help. */
export const examples = [...hidden.values()].map(({ example }) => example).join(", ");

const names = [...hidden.keys()].join(", ");

/** Returns the hidden layers that a text names; "none" names none. */
export function parseLayers(list: string): Written[] {
  if (list.trim().toLowerCase() === "none") return [];
  const layers: Written[] = [];
  let straight: string | undefined; // the product that no activation follows yet
  for (const [i, part] of list.split(",").entries()) {
    const text = part.trim().toLowerCase();
    const [name = "", ...given] = text.split(":");
    const place = `layer ${i + 1}`;
    const isUnits = /^\d+$/.test(name);
    const layer = hidden.get(name);
    if (!layer && !isUnits) {
      throw new InvalidArgumentError(
        `${place} is ${quoted(part)}, expected a number of units or one of ${names}`,
      );
    }
    const refuse = (expected: string): never => {
      throw new InvalidArgumentError(`${place} is ${quoted(part)}, expected ${expected}`);
    };
    if (isUnits && (given.length > 0 || !isCount(Number(name)))) refuse(`from 1 to ${MOST} units`);
    const values = layer ? layer.grammar.read(given) : [Number(name)];
    if (!values) return refuse(layer?.grammar.expected as string);
    const isProduct = isUnits || layer?.isProduct;
    if (isProduct && straight) {
      throw new InvalidArgumentError(
        `${place} (${text}) follows ${straight} without an activation: write ${straight},relu,${text},relu`,
      );
    }
    layers.push({ spec: (layer?.make ?? (library.affine as Make))(...values), text });
    if (isProduct) straight = text;
    if (layer?.bends) straight = undefined;
  }
  if (straight) {
    throw new InvalidArgumentError(
      `${straight} at the end needs an activation: write ${straight},relu (the output layer comes after it)`,
    );
  }
  return layers;
}

/** Returns the first of these layers that takes images alone. */
export const imageLayer = (layers: readonly Written[]): Written | undefined =>
  layers.find(({ spec }) => {
    const record = kinds.get(spec.kind) as KnownRecord;
    return record.refusal?.([1], settingsOf(spec.kind, record, { ...spec })) !== undefined;
  });
