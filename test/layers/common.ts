// What the tests of the layers and losses share: the cores and sizes that every kernel is tried on,
// and the books of the largest errors, which LAMELLA_REPORT=1 prints.

import { afterAll } from "vitest";
import type { Runtime, Tensor } from "../../src/index.ts";
import { builds, dtypes, openCore } from "../support/core.ts";
import type { GoldenArray } from "../support/golden.ts";
import { absolute, deviation, type Numbers } from "../support/reference.ts";

/** All builds and both dtypes. */
export const configurations = builds.flatMap((build) =>
  dtypes.map((type) => ({ build, core: openCore(build), dtype: type.dtype, type })),
);

/** Around the lengths of vectors and tiles. */
export const sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33];

/** Bytes beyond a multiple of 64: aligned, and aligned to one float32 or float64 alone. */
export const offsets = [0, 4, 8];

/** N, D, M or C of the gradient checks. */
export const gradientSizes = [1, 3, 4, 5, 8, 9];

/** The hard bound of every float64 gradient check. */
export const GRADIENT_BOUND = 1e-7;

export function values(tensor: Tensor): number[] {
  return Array.from(tensor.data);
}

/** The same values and shape in float64. */
export function float64Of(runtime: Runtime, tensor: Tensor): Tensor<"float64"> {
  return runtime.tensor(values(tensor), tensor.shape, "float64");
}

export function numbers(array: Numbers): number[] {
  return Array.from(array);
}

/** Sums of a few float64 terms, which PyTorch takes in another order. */
export const GOLDEN_BOUND = 1e-12;

/** The largest error relative to each value; Infinity where the shapes differ. */
export function goldenError(tensor: Tensor, { shape, data }: GoldenArray): number {
  if (tensor.shape.join() !== shape.join()) return Infinity;
  return deviation(tensor.data, data, absolute(data));
}

const largest = new Map<string, number>();

/** Remembers the largest error of its kind, and gives it back. */
export function track(kind: string, error: number): number {
  largest.set(kind, Math.max(largest.get(kind) ?? 0, error));
  return error;
}

/** Called once in a file. */
export function reportErrors(): void {
  afterAll(() => {
    if (!process.env.LAMELLA_REPORT) return;
    const lines = [...largest].map(([kind, error]) => `${kind}: ${error.toExponential(1)}`);
    console.info(lines.sort().join("\n"));
  });
}
