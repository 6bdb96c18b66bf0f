// Other people's models and what each must give (../shared/models, as its README says). Nothing of
// them is copied into the project; where the folder is not there, tests say so and are skipped.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export const modelsFolder = resolve(root, process.env.LAMELLA_MODELS || "../shared/models");
export const hasModels = existsSync(`${modelsFolder}/expected`);
if (!hasModels)
  console.warn(
    `skipped: there is no folder ${process.env.LAMELLA_MODELS || "../shared/models"} with others' models`,
  );

/** The bytes of a model. */
export const modelBytes = (name: string): Uint8Array => readFileSync(`${modelsFolder}/${name}`);

/** One array of a case, as it is written. */
interface Encoded {
  readonly shape: number[];
  readonly data?: number[];
  readonly q?: number[];
  readonly gen?: "noise" | "pattern-hwc" | "pattern-chw";
  readonly seed?: number;
  readonly scale?: number;
  readonly zero?: number;
  readonly sha256_f32le?: string;
}

interface Output {
  readonly shape: number[];
  readonly dtype?: string;
  readonly data?: (number | string | null)[];
  readonly probe_stride?: number;
  readonly probe?: number[];
  readonly sum?: number;
  readonly absmax?: number;
}

export interface ModelCase {
  readonly note?: string;
  readonly inputs: Record<string, Encoded>;
  readonly outputs: Record<string, Output>;
}

export interface Expected {
  readonly kind: string;
  readonly dtype?: string;
  readonly layout?: string;
  readonly output_max_abs?: number;
  readonly suggested_abs_tolerance?: number;
  readonly refusal_or_optional?: { readonly must_name_one_of: readonly string[] };
  readonly cases?: ModelCase[];
  readonly files?: Record<string, unknown>;
  readonly tensors?: Record<string, unknown>;
}

export const expectedOf = (name: string): Expected =>
  JSON.parse(readFileSync(`${modelsFolder}/expected/${name}.json`, "utf8"));

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** The values of an input, which the file may give as a recipe. */
export function inputOf(encoded: Encoded): Float32Array {
  const { shape, data, gen, seed = 0, scale = 1, zero = 0, sha256_f32le } = encoded;
  if (data) return Float32Array.from(data);
  const size = shape.reduce((product, length) => product * length, 1);
  let q = encoded.q ?? new Array<number>(size).fill(0);
  if (gen === "noise") {
    const next = mulberry32(seed);
    q = Array.from({ length: size }, () => next() >>> 24);
  } else if (gen) {
    const isHwc = gen === "pattern-hwc";
    const [H, W, C] = (isHwc ? shape.slice(1) : [shape[2], shape[3], shape[1]]) as number[] as [
      number,
      number,
      number,
    ];
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x++) {
        for (let c = 0; c < C; c++) {
          q[isHwc ? (y * W + x) * C + c : (c * H + y) * W + x] =
            ((x * 3 + y * 5 + c * 40 + seed * 17) ^ ((x * y) >> 3)) & 255;
        }
      }
    }
  }
  const values = Float32Array.from(q, (value) => (value - zero) * scale);
  if (sha256_f32le) {
    const digest = createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
    if (digest !== sha256_f32le) throw new Error("the input is not the one that its recipe says");
  }
  return values;
}

const plain = (value: number | string | null): number =>
  value === null
    ? Number.NaN
    : typeof value === "number"
      ? value
      : Number(value.replace(/inf\w*/i, "Infinity"));

/**
 * The largest absolute difference between an output and what a case expects; a NaN where none is
 * due counts as infinite.
 */
export function differenceOf(actual: ArrayLike<number>, expected: Output): number {
  const size = expected.shape.reduce((product, length) => product * length, 1);
  if (actual.length !== size) throw new Error(`expected ${size} numbers, got ${actual.length}`);
  let most = 0;
  const compare = (a: number, b: number) => {
    const difference = Object.is(a, b) || a === b ? 0 : Math.abs(a - b);
    if (!(difference <= most)) most = Number.isNaN(difference) ? Infinity : difference;
  };
  if (expected.data)
    expected.data.forEach((value, i) => void compare(actual[i] as number, plain(value)));
  else {
    const { probe = [], probe_stride = 1 } = expected;
    if (probe.length === 0) throw new Error("the case has neither data nor a probe");
    probe.forEach((value, i) => void compare(actual[i * probe_stride] as number, value));
  }
  return most;
}
