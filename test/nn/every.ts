// One layer of each kind that there is, as the records tell of them: what is tried on all layers
// goes through this list, so that a new kind is tried without a line of its own.

import * as lamella from "../../src/index.ts";
import { Elementwise } from "../../src/nn/engine/elementwise.ts";
import { Identity } from "../../src/nn/engine/identity.ts";
import { named } from "../../src/nn/engine/kinds.ts";
import { records } from "../../src/nn/layers/all.ts";

const { affine, dropout, normalize } = lamella;
type Make = () => lamella.LayerSpec;

/** Layers that have a setting without a default. */
const given: Readonly<Record<string, Make>> = {
  affine: () => affine(5),
  dropout: () => dropout(0.3),
  normalize: () => normalize({ mean: 0.3, std: 2 }),
};

export const kinds: readonly string[] = Object.keys(records).sort();

export const layers: Readonly<Record<string, Make>> = Object.fromEntries(
  kinds.map((kind) => [kind, given[kind] ?? (lamella as unknown as Record<string, Make>)[kind]]),
) as Record<string, Make>;

const engineOf = (kind: string) => named[kind]?.Engine;

/** Those that have calls by hand. */
export const computing = kinds.filter((kind) => engineOf(kind) !== Identity);

/** Those whose calls by hand take x and, at most, settings that have a default. */
export const unary = kinds.filter((kind) => engineOf(kind) === Elementwise);

/** "leaky_relu" of "leakyRelu": its name in files and in the core. */
export const fileOf = (kind: string) => kind.replace(/[A-Z]/g, (x) => `_${x.toLowerCase()}`);
