// The networks of the command line: `128,relu,dropout:0.2,64,relu`.

import { InvalidArgumentError } from "commander";
import {
  affine,
  batchnorm,
  dropout,
  gelu,
  type LayerSpec,
  leakyRelu,
  relu,
  sigmoid,
  tanh,
} from "lamella";
import { quoted } from "./fault.ts";

/** A layer by name, and whether it bends: two affine layers without such a one between them are one. */
const kinds: Record<
  string,
  { make: (value?: number) => LayerSpec; bends: boolean; value?: string; most?: number }
> = {
  relu: { make: relu, bends: true },
  gelu: { make: gelu, bends: true },
  tanh: { make: tanh, bends: true },
  sigmoid: { make: sigmoid, bends: true },
  leakyrelu: {
    make: (slope) => leakyRelu(slope),
    ...{ bends: true, value: "a slope from 0 up", most: Number.MAX_VALUE },
  },
  batchnorm: { make: () => batchnorm(), bends: false },
  dropout: {
    make: (p) => dropout(p as number),
    ...{
      bends: false,
      value: "a probability from 0 up to, not including, 1",
      most: 1 - Number.EPSILON,
    },
  },
};

/** The hidden layers that such a text names; "none" are none. */
export function parseLayers(text: string): LayerSpec[] {
  if (text.trim().toLowerCase() === "none") return [];
  const specs: LayerSpec[] = [];
  let straight: string | undefined; // units that nothing has bent yet
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
      specs.push(affine(units));
      straight = name;
      continue;
    }
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (!kind) {
      throw new InvalidArgumentError(
        `${place} is ${quoted(part)}, expected a number of units or one of ${Object.keys(kinds).join(", ")}`,
      );
    }
    const value = given === undefined || given === "" ? undefined : Number(given);
    const isOff =
      value !== undefined && !(value >= 0 && kind.most !== undefined && value <= kind.most);
    const isMissing = name === "dropout" && value === undefined;
    if (isOff || isMissing) {
      const expected = kind.value ? `${name}:… with ${kind.value}` : `${name} alone`;
      throw new InvalidArgumentError(`${place} is ${quoted(part)}, expected ${expected}`);
    }
    specs.push(kind.make(value));
    if (kind.bends) straight = undefined;
  }
  if (straight) {
    throw new InvalidArgumentError(
      `${straight} at the end needs an activation: write ${straight},relu (the output layer comes after it)`,
    );
  }
  return specs;
}
