// How weights came to be: settings and data, and so many steps with each. Who follows a recipe gets
// the same weights, to the last bit, and so a page's address holds one.

import type { LayerSpec, Optimizer } from "lamella";
import { describe, isWithin, type Range, whole } from "./range.ts";
import {
  byKey,
  dropoutRange,
  freshLayers,
  isEqual,
  isSameNetwork,
  type LayerKind,
  layerRanges,
  losses,
  MOST_LAYERS,
  optimizers,
  ranges,
  type Settings,
} from "./settings.ts";

/**
 * Steps that were taken with the same settings and data. All stages of a recipe are of one network
 * and seed.
 */
export interface Stage<Data> {
  settings: Settings;
  data: Data;
  steps: number;
}

/** The last stage is the one under way. */
export type Recipe<Data> = readonly Stage<Data>[];

/** How data are written: what is new in them since the stage before, and back. */
export interface DataFormat<Data> {
  /** @returns parts of an address, key and value */
  write(data: Data, before: Data | undefined): [key: string, value: string][];
  /** The data with a part applied; undefined for a key that is no data's. */
  read(data: Data, key: string, value: string): Data | undefined;
}

const STEPS = whole(1, 10_000_000);
/** Changes that an address holds, with the steps between them. */
export const MOST_STAGES = 200;

export const stepsOf = (recipe: Recipe<unknown>): number =>
  recipe.reduce((sum, { steps }) => sum + steps, 0);

/**
 * As the parts of an address: each says what is other than before, and `steps` trains so many steps
 * with all that. Undefined where the recipe has too many stages for an address.
 */
export function writeRecipe<Data>(
  recipe: Recipe<Data>,
  format: DataFormat<Data>,
): string | undefined {
  if (recipe.length > MOST_STAGES) return undefined;
  const parts: [string, string][] = [];
  let before: Stage<Data> | undefined;
  for (const stage of recipe) {
    const { layers, optimizer, loss, l2, batchSize, seed } = stage.settings;
    const values: Record<string, string> = {
      layers: layers.map(writeSpec).join(","),
      optimizer: writeSpec(optimizer),
      loss,
      l2: `${l2}`,
      batch: `${batchSize}`,
      seed: `${seed}`,
    };
    const old = before?.settings;
    const isNew: Record<string, boolean> = {
      layers: !isEqual(layers, old?.layers),
      optimizer: !isEqual(optimizer, old?.optimizer),
      loss: loss !== old?.loss,
      l2: l2 !== old?.l2,
      batch: batchSize !== old?.batchSize,
      seed: seed !== old?.seed,
    };
    parts.push(...format.write(stage.data, before?.data));
    parts.push(...Object.entries(values).filter(([key]) => isNew[key]));
    if (stage.steps > 0) parts.push(["steps", `${stage.steps}`]);
    before = stage;
  }
  return parts.map(([key, value]) => `${key}=${value}`).join("&");
}

/**
 * From the parts of an address, which anybody may have written.
 * @param start what holds where the address says nothing
 * @throws Error that says in words what is wrong
 */
export function readRecipe<Data>(
  text: string,
  start: Stage<Data>,
  format: DataFormat<Data>,
): Recipe<Data> {
  const stages: Stage<Data>[] = [];
  let { settings, data } = start;
  let isOpen = true;
  for (const part of text.split("&").filter(Boolean)) {
    const [key = "", value = ""] = part.split("=", 2);
    if (key === "steps") {
      const steps = readNumber(key, value, STEPS);
      stages.push({ settings, data, steps });
      if (stages.length > MOST_STAGES) {
        throw new Error(`the address has more than ${MOST_STAGES} stages`);
      }
      isOpen = false;
      continue;
    }
    isOpen = true;
    const changed = readSetting(settings, key, value);
    if (changed) settings = changed;
    else {
      const read = format.read(data, key, value);
      if (!read) throw new Error(`the address has “${key}”, which is no setting`);
      data = read;
    }
  }
  if (isOpen) stages.push({ settings, data, steps: 0 });
  const first = stages[0]!;
  if (!stages.every((stage) => isSameNetwork(first.settings, stage.settings))) {
    throw new Error("the address changes the layers or the seed after steps were taken");
  }
  return stages;
}

function readSetting(settings: Settings, key: string, value: string): Settings | undefined {
  switch (key) {
    case "layers": {
      const specs = value.split(",");
      if (specs.length > MOST_LAYERS) {
        throw new Error(
          `the address has ${specs.length} layers, and the page takes ${MOST_LAYERS}`,
        );
      }
      return { ...settings, layers: specs.map(readLayer) };
    }
    case "optimizer":
      return { ...settings, optimizer: readOptimizer(value) };
    case "loss":
      if (!Object.hasOwn(losses, value)) {
        throw new Error(`loss: expected softmax or svm, got “${value}”`);
      }
      return { ...settings, loss: value as Settings["loss"] };
    case "l2":
      return { ...settings, l2: readNumber(key, value, ranges.l2) };
    case "batch":
      return { ...settings, batchSize: readNumber(key, value, ranges.batchSize) };
    case "seed":
      return { ...settings, seed: readNumber(key, value, ranges.seed) };
    default:
      return undefined;
  }
}

/** A number of an address. */
export function readNumber(key: string, value: string, range: Range): number {
  const number = /^[-+.\de]+$/.test(value) ? Number(value) : Number.NaN;
  if (!isWithin(number, range)) {
    throw new Error(`${key}: expected ${describe(range)}, got “${value}”`);
  }
  return number;
}

/** `affine;units:64;useBias:false` */
function writeSpec({ kind, ...values }: LayerSpec | Optimizer): string {
  const parts = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .sort(byKey)
    .map(([key, value]) => `;${key}:${value}`);
  return kind + parts.join("");
}

function readValues(text: string): [kind: string, values: [key: string, value: string][]] {
  const [kind = "", ...parts] = text.split(";");
  return [kind, parts.map((part) => part.split(":", 2) as [string, string])];
}

function readLayer(text: string): LayerSpec {
  const [kind, values] = readValues(text);
  if (!Object.hasOwn(freshLayers, kind)) throw new Error(`layers: “${kind}” is none`);
  const spec: Record<string, unknown> = { ...freshLayers[kind as LayerKind]() };
  for (const [key, value = ""] of values) {
    const isRate = kind === "dropout" && key === "p";
    const range = isRate ? dropoutRange : layerRanges[kind as LayerKind]?.[key];
    if (kind === "affine" && key === "useBias") spec[key] = value !== "false";
    else if (range) spec[key] = readNumber(`${kind}, ${key}`, value, range);
    else throw new Error(`layers: ${kind} has no setting “${key}”`);
  }
  return spec as unknown as LayerSpec;
}

function readOptimizer(text: string): Optimizer {
  const [kind, values] = readValues(text);
  if (!Object.hasOwn(optimizers, kind)) throw new Error(`optimizer: “${kind}” is none`);
  const optimizer: Record<string, unknown> = { ...optimizers[kind as keyof typeof optimizers]() };
  for (const [key, value = ""] of values) {
    if (key === "kind" || !Object.hasOwn(optimizer, key)) {
      throw new Error(`optimizer: ${kind} has no setting “${key}”`);
    }
    optimizer[key] = readNumber(`${kind}, ${key}`, value, ranges[key as keyof typeof ranges]);
  }
  return optimizer as unknown as Optimizer;
}
