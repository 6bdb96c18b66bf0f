// The operations of images as plain float64 loops, in either order of the axes: twins of pooling
// and of what moves pixels. Windows are counted cell by cell.

import type { Numbers } from "./reference.ts";

/** An image (N, C, H, W), its channels second or last. */
export interface Image {
  N: number;
  C: number;
  H: number;
  W: number;
  isLast?: boolean;
}

/** Windows over an image: [height, width] of each. */
export interface Windows {
  kernel: readonly [number, number];
  stride: readonly [number, number];
  dilation?: readonly [number, number];
  /** top, left, bottom, right */
  edges: readonly [number, number, number, number];
  out: readonly [number, number];
}

/** Where a value is in an array that is this image. */
export function placeIn({ C, H, W, isLast }: Image, n: number, c: number, h: number, w: number) {
  return isLast ? ((n * H + h) * W + w) * C + c : ((n * C + c) * H + h) * W + w;
}

/**
 * The cells of window (i, j) inside the image, in row-major order, and how many are inside the
 * padded one.
 */
function cellsOf({ H, W }: Image, windows: Windows, i: number, j: number) {
  const { kernel, stride, dilation = [1, 1], edges } = windows;
  const cells: { index: number; h: number; w: number }[] = [];
  let padded = 0;
  for (let u = 0; u < kernel[0]; u++) {
    for (let v = 0; v < kernel[1]; v++) {
      const h = i * stride[0] + u * dilation[0] - edges[0];
      const w = j * stride[1] + v * dilation[1] - edges[1];
      if (h < H + edges[2] && w < W + edges[3]) padded++;
      if (h >= 0 && h < H && w >= 0 && w < W) cells.push({ index: u * kernel[1] + v, h, w });
    }
  }
  return { cells, padded };
}

/** Calls fn for each value that comes out. */
function eachPixel(
  image: Image,
  windows: Windows,
  fn: (to: number, n: number, c: number, window: ReturnType<typeof cellsOf>) => void,
): number {
  const [OH, OW] = windows.out;
  const pooled: Image = { ...image, H: OH, W: OW };
  const { N, C } = image;
  for (let i = 0; i < OH; i++) {
    for (let j = 0; j < OW; j++) {
      const window = cellsOf(image, windows, i, j);
      for (let n = 0; n < N; n++) {
        for (let c = 0; c < C; c++) fn(placeIn(pooled, n, c, i, j), n, c, window);
      }
    }
  }
  return N * C * OH * OW;
}

const filled = (n: number, value = 0) => new Array<number>(n).fill(value);
const sizeOf = ({ N, C, H, W }: Image) => N * C * H * W;

/**
 * out = max over each window, a NaN above all; argmax is the first cell that has it, u · KW + v.
 */
export function maxPoolForward(
  x: Numbers,
  image: Image,
  windows: Windows,
): { out: number[]; argmax: number[] } {
  const out: number[] = [];
  const argmax: number[] = [];
  eachPixel(image, windows, (to, n, c, { cells }) => {
    out[to] = -Infinity;
    argmax[to] = -1;
    for (const { index, h, w } of cells) {
      const value = x[placeIn(image, n, c, h, w)]!;
      const most = out[to]!;
      const isMore = value > most || (Number.isNaN(value) && !Number.isNaN(most));
      if (!isMore && argmax[to] !== -1) continue;
      out[to] = value;
      argmax[to] = index;
    }
  });
  return { out, argmax };
}

/** dx = Σ dout over the windows whose argmax a cell is. */
export function maxPoolBackward(
  dout: Numbers,
  argmax: Numbers,
  image: Image,
  windows: Windows,
): number[] {
  const dx = filled(sizeOf(image));
  eachPixel(image, windows, (to, n, c, { cells }) => {
    for (const { index, h, w } of cells) {
      if (index === argmax[to]) dx[placeIn(image, n, c, h, w)]! += dout[to]!;
    }
  });
  return dx;
}

/** What a sum is divided by: the cells in the image, those in the padded one, or nothing. */
export type Divisor = "image" | "padded" | "nothing";

const divide = (divisor: Divisor, cells: number, padded: number) =>
  divisor === "nothing" ? 1 : divisor === "padded" ? padded : cells;

/** out = Σ x over each window, divided. */
export function averagePoolForward(
  x: Numbers,
  image: Image,
  windows: Windows,
  divisor: Divisor,
): number[] {
  const out: number[] = [];
  eachPixel(image, windows, (to, n, c, { cells, padded }) => {
    let sum = 0;
    for (const { h, w } of cells) sum += x[placeIn(image, n, c, h, w)]!;
    out[to] = sum / divide(divisor, cells.length, padded);
  });
  return out;
}

/** dx = Σ dout over the windows that a cell is in, divided. */
export function averagePoolBackward(
  dout: Numbers,
  image: Image,
  windows: Windows,
  divisor: Divisor,
): number[] {
  const dx = filled(sizeOf(image));
  eachPixel(image, windows, (to, n, c, { cells, padded }) => {
    const share = dout[to]! / divide(divisor, cells.length, padded);
    for (const { h, w } of cells) dx[placeIn(image, n, c, h, w)]! += share;
  });
  return dx;
}

/**
 * The windows of a block for each pixel: upsampling backward is their sum, forward what that
 * spreads.
 */
export const blocks = ({ H, W }: Image, scale: readonly [number, number]): Windows => ({
  ...{ kernel: scale, stride: scale, edges: [0, 0, 0, 0] },
  out: [H / scale[0], W / scale[1]],
});

/** The padded image, and the places in it of the pixels of x, in the order of x. */
export function paddedPlaces(
  image: Image,
  [top, left, bottom, right]: readonly [number, number, number, number],
): { size: number; places: number[] } {
  const { N, C, H, W } = image;
  const large: Image = { ...image, H: top + H + bottom, W: left + W + right };
  const places: number[] = [];
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      for (let h = 0; h < H; h++) {
        for (let w = 0; w < W; w++) {
          places[placeIn(image, n, c, h, w)] = placeIn(large, n, c, top + h, left + w);
        }
      }
    }
  }
  return { size: sizeOf(large), places };
}

/** For each element of out, whose axis k is axis axes[k] of x, its place in x. */
export function permutedPlaces(shape: readonly number[], axes: readonly number[]): number[] {
  const out = axes.map((axis) => shape[axis]!);
  return indices(out).map((index) => {
    let place = 0;
    for (const [axis, length] of shape.entries())
      place = place * length + index[axes.indexOf(axis)]!;
    return place;
  });
}

/** For each element of `out` its place in an array of `shape` that is broadcast to it. */
export function broadcastPlaces(shape: readonly number[], out: readonly number[]): number[] {
  const behind = out.length - shape.length;
  return indices(out).map((index) => {
    let place = 0;
    for (const [k, length] of shape.entries()) {
      place = place * length + (length === 1 ? 0 : index[behind + k]!);
    }
    return place;
  });
}

/** All indices of an array, in row-major order. */
function indices(shape: readonly number[]): number[][] {
  let all: number[][] = [[]];
  for (const length of shape) {
    all = all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i]));
  }
  return all;
}

/**
 * The values of rows that a normalisation takes its statistics over, with the place of their gain
 * in gamma.
 */
export interface Group {
  places: number[];
  gains: number[];
}

/** The rows of layer normalisation: x (…, D). */
export function rowsOf(size: number, D: number): Group[] {
  return Array.from({ length: size / D }, (_, n) => ({
    places: Array.from({ length: D }, (_, j) => n * D + j),
    gains: Array.from({ length: D }, (_, j) => j),
  }));
}

/** The groups of an image: of each example, G of neighbouring channels. */
export function groupsOf(image: Image, G: number): Group[] {
  const { N, C, H, W } = image;
  const groups: Group[] = [];
  for (let n = 0; n < N; n++) {
    for (let g = 0; g < G; g++) {
      const group: Group = { places: [], gains: [] };
      for (let c = (g * C) / G; c < ((g + 1) * C) / G; c++) {
        for (let h = 0; h < H; h++) {
          for (let w = 0; w < W; w++) {
            group.places.push(placeIn(image, n, c, h, w));
            group.gains.push(c);
          }
        }
      }
      groups.push(group);
    }
  }
  return groups;
}

/** The mean and the biased variance of each group. */
function statisticsOf(x: Numbers, { places }: Group) {
  const mean = places.reduce((sum, p) => sum + x[p]!, 0) / places.length;
  const variance = places.reduce((sum, p) => sum + (x[p]! - mean) ** 2, 0) / places.length;
  return { mean, variance };
}

/** out = gamma · (x − mean) / sqrt(var + eps) + beta by groups. */
export function groupsForward(
  x: Numbers,
  gamma: Numbers,
  beta: Numbers,
  groups: readonly Group[],
  eps: number,
): number[] {
  const out: number[] = [];
  for (const group of groups) {
    const { mean, variance } = statisticsOf(x, group);
    for (const [i, place] of group.places.entries()) {
      const gain = group.gains[i]!;
      out[place] = (gamma[gain]! * (x[place]! - mean)) / Math.sqrt(variance + eps) + beta[gain]!;
    }
  }
  return out;
}

/** The gradients of groupsForward. */
export function groupsBackward(
  dout: Numbers,
  x: Numbers,
  gamma: Numbers,
  groups: readonly Group[],
  eps: number,
): { dx: number[]; dgamma: number[]; dbeta: number[] } {
  const dx: number[] = [];
  const [dgamma, dbeta] = [filled(gamma.length), filled(gamma.length)];
  for (const group of groups) {
    const { mean, variance } = statisticsOf(x, group);
    const std = Math.sqrt(variance + eps);
    const { places, gains } = group;
    const xNorm = places.map((place) => (x[place]! - mean) / std);
    const g = places.map((place, i) => dout[place]! * gamma[gains[i]!]!);
    const n = places.length;
    const meanG = g.reduce((sum, value) => sum + value, 0) / n;
    const meanGX = g.reduce((sum, value, i) => sum + value * xNorm[i]!, 0) / n;
    for (const [i, place] of places.entries()) {
      dx[place] = (g[i]! - meanG - xNorm[i]! * meanGX) / std;
      dgamma[gains[i]!]! += dout[place]! * xNorm[i]!;
      dbeta[gains[i]!]! += dout[place]!;
    }
  }
  return { dx, dgamma, dbeta };
}
