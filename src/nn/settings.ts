// The options of models, layers and trainings, and what they are called in other frameworks.

import { checkRange } from "../tensor/numbers.ts";
import { checkKeys, type Hint } from "../tensor/options.ts";

/**
 * What TensorFlow.js, Keras and PyTorch call by another name, in small letters and without
 * underscores, and what to write here. Where the first word is a key of the call, the message says
 * that it is the key's name.
 */
const foreign: Readonly<Record<string, string>> = {
  activation: "a layer of its own, relu() after it",
  alpha: "negativeSlope of leakyRelu, decayRate of rmsprop, or elu({ alpha: 1 })",
  betas: "beta1: 0.9, beta2: 0.999",
  biasinitializer: "bias",
  callbacks: "for await (const event of trainer.fit(…))",
  inputshape: "input of the Sequential",
  kernelinitializer: "weight",
  kernelregularizer: "l2 of the Trainer",
  kind: "a layer of its own",
  learningrate: "optimizer: adam({ learningRate: 0.001 })",
  lr: "learningRate of optimizer: adam({ learningRate: 0.001 })",
  momentum: "momentum({ momentum: 0.9 })",
  nesterov: "nesterov({ momentum: 0.9 })",
  patience: "earlyStopping: { patience: 5 }",
  rho: "decayRate",
  shuffle: "seed of the Trainer: every epoch is shuffled",
  trainable: "no such setting: every layer learns",
  validationsplit: "validation: { x, y }, rows that you keep apart",
  weightdecay: "adamw({ weightDecay: 0.01 }), or l2 of the Trainer",
};

const plain = (key: string) => key.replace(/[_-]/g, "").toLowerCase();

/** Letters to insert, leave out or exchange between two short words (Levenshtein). */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1];
    for (let k = 0; k < b.length; k++) {
      const exchanged = (above[k] as number) + (a[i] === b[k] ? 0 : 1);
      row.push(Math.min(exchanged, (above[k + 1] as number) + 1, (row[k] as number) + 1));
    }
    above = row;
  }
  return above[b.length] as number;
}

/** What an unknown key should have been. */
const hint: Hint = (key, known) => {
  const word = plain(key.slice(0, 40));
  const there = Object.hasOwn(foreign, word) ? (foreign[word] as string) : "";
  const [name = ""] = there.split(" ");
  if (known.includes(name)) return `${name} is its name here`;
  let nearest = "";
  let least = 1 + word.length / 2;
  for (const name of known) {
    const letters = distance(word, plain(name));
    if (letters < least) {
      nearest = name;
      least = letters;
    }
  }
  if (nearest && (least < 1 || !there)) return `did you mean ${nearest}?`;
  return there ? `use ${there}` : `the known ones: ${known.join(", ") || "none"}`;
};

/** As checkKeys, and tells for a key of another framework what it is here. */
export function checkSettings(
  operation: string,
  name: string,
  options: unknown,
  known: readonly string[],
  isFirst?: boolean,
): void {
  checkKeys(operation, name, options, known, isFirst, hint);
}

/** Refuses what is no number where a layer's function takes one first, as affine({ units: 3 }). */
export function checkFirst(operation: string, name: string, given: unknown, usual: number): void {
  const number = { expected: "a number", holds: () => true };
  checkRange(operation, name, number, given, `${operation}(${usual})`);
}

/**
 * Refuses what is neither a number nor a list where a layer's function takes sizes first, as
 * conv2d({ filters: 3 }).
 */
export function checkSizes(operation: string, given: Record<string, unknown>, usual: string): void {
  for (const [name, value] of Object.entries(given)) {
    const expected = "a number, or [height, width]";
    if (!Array.isArray(value)) {
      checkRange(operation, name, { expected, holds: () => true }, value, `${operation}(${usual})`);
    }
  }
}

/** Refuses what was given to a function that takes no options, as relu({ maxValue: 6 }). */
export function checkNone(operation: string, given: readonly unknown[]): void {
  if (given[0] !== undefined) checkSettings(operation, "options", given[0], []);
}
