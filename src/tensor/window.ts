// Windows that slide over images: what callers say of them (sizes, padding), where they lie, and
// how many there are. Convolution and pooling have this in common, as calls and as layers of
// models. A sequence is an image of height 1.

import { WindowWords } from "../runtime/abi.ts";
import { quote, ShapeError } from "../runtime/errors.ts";
import { checkRange, count, type Range } from "./numbers.ts";
import { checkKeys } from "./options.ts";

/** [height, width], or one number for both. */
export type Size = number | readonly [number, number];

/**
 * What lies around an image. "same": as much as gives ⌈in / stride⌉ pixels, of which the larger
 * half is at bottom and right; "valid": nothing.
 */
export type Padding =
  | "same"
  | "valid"
  | Size
  | {
      readonly top: number;
      readonly left: number;
      readonly bottom: number;
      readonly right: number;
    };

/** The same of a sequence. */
export type Padding1d =
  | "same"
  | "valid"
  | number
  | { readonly left: number; readonly right: number };

/** [height, width] */
export type Pair = readonly [number, number];
/** [top, left, bottom, right] */
export type Edges = readonly [number, number, number, number];

/** The spatial axes: 2 of an image, 1 of a sequence. */
export type Axes = 1 | 2;

/** A window as its caller described it, checked. */
export interface Sliding {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: "same" | Edges;
}

/** Where the windows lie: this many of them, the first of which begins so far before the image. */
export interface Placement {
  readonly out: Pair;
  readonly top: number;
  readonly left: number;
}

/** Kernels compute places as signed words of 32 bits. */
const MOST = 2 ** 31 - 1;

const fromZero: Range = {
  expected: "a whole number from 0 up",
  holds: (value) => Number.isInteger(value) && value >= 0,
};

/** "3 × 5" of an image, "5" of a sequence. */
const show = ([height, width]: Pair, axes: Axes) => (axes === 1 ? width : `${height} × ${width}`);

/**
 * Reads a size: whole numbers from 1 up, for one axis or both.
 * @param fallback what stands for undefined; without it a size has to be given
 * @throws RangeError
 */
export function readSize(
  operation: string,
  name: string,
  value: unknown,
  axes: Axes,
  fallback?: Size,
): Pair {
  return pairOf(operation, name, value === undefined ? fallback : value, axes, count, 1);
}

/** Reads what outputPadding may be: as readSize, from 0 up; default 0. */
export function readOutputPadding(operation: string, value: unknown, axes: Axes): Pair {
  return pairOf(operation, "outputPadding", value ?? 0, axes, fromZero, 0);
}

/** @param other the height of a sequence's window */
function pairOf(
  operation: string,
  name: string,
  value: unknown,
  axes: Axes,
  range: Range,
  other: number,
): Pair {
  const expected = `${range.expected}${axes === 2 ? ", or [height, width] of such" : ""}`;
  const check = (each: unknown) =>
    checkRange(operation, name, { ...range, expected }, each as number);
  if (axes === 1) return [other, check(value)];
  if (!Array.isArray(value)) return [check(value), check(value)];
  if (value.length !== 2) {
    throw new RangeError(
      `${operation}: ${name} must be ${expected}, got an array of ${value.length}`,
    );
  }
  return [check(value[0]), check(value[1])];
}

const edges = ["top", "left", "bottom", "right"];

/**
 * Reads a padding; undefined is none.
 * @throws RangeError, and TypeError for an object with other keys
 */
export function readPadding(operation: string, value: unknown, axes: Axes): "same" | Edges {
  if (value === "same") return value;
  if (value === undefined || value === "valid") return [0, 0, 0, 0];
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const known = axes === 1 ? ["left", "right"] : edges;
    checkKeys(operation, "padding", value, known);
    const of = value as Record<string, number>;
    return edges.map((edge) =>
      known.includes(edge) ? checkRange(operation, `padding.${edge}`, fromZero, of[edge]) : 0,
    ) as unknown as Edges;
  }
  if (typeof value === "string") {
    throw new RangeError(
      `${operation}: padding must be "same", "valid" or whole numbers from 0 up, got ${quote(value)}`,
    );
  }
  const [height, width] = pairOf(operation, "padding", value, axes, fromZero, 0);
  return [height, width, height, width];
}

/** The cells from the first of a window to its last. */
const extent = (kernel: number, dilation: number) => dilation * (kernel - 1) + 1;

/** One axis of an image and of its window; `before` is undefined for "same". */
type Axis = readonly [
  length: number,
  covered: number,
  stride: number,
  before: number | undefined,
  after: number,
];

function axesOf(size: Pair, { kernel, stride, dilation, padding }: Sliding): Axis[] {
  return [0, 1].map((axis): Axis => {
    const [before, after] =
      padding === "same" ? [undefined, 0] : [padding[axis] as number, padding[axis + 2] as number];
    const covered = extent(kernel[axis] as number, dilation[axis] as number);
    return [size[axis] as number, covered, stride[axis] as number, before, after];
  });
}

/**
 * Places the windows of a convolution or a pooling over an image, out = ⌊(size + padding − covered)
 * / stride⌋ + 1 of each axis, or says why there is none: "a window of 3 × 3 does not fit …".
 *
 * @param size height and width of the image
 * @param ceil rounds up, so that a last window may begin inside the image and end outside it; one
 *   that would begin beyond the image is dropped
 * @param everywhere every window must have a cell of the image, which an average needs
 */
export function placeWindow(
  size: Pair,
  sliding: Sliding,
  axes: Axes,
  { ceil = false, everywhere = false } = {},
): Placement | string {
  const out: number[] = [];
  const before: number[] = [];
  const parts = axesOf(size, sliding);
  const padded = parts.map(([length, , , before = 0, after]) => length + before + after);
  const covered = parts.map(([, covered]) => covered);
  for (const [length, covered, stride, given, after] of parts) {
    if (given === undefined) {
      const n = Math.ceil(length / stride);
      out.push(n);
      before.push(Math.floor(Math.max((n - 1) * stride + covered - length, 0) / 2));
      continue;
    }
    const steps = (length + given + after - covered) / stride;
    out.push(
      ceil
        ? Math.min(Math.ceil(steps) + 1, Math.ceil((length + given) / stride))
        : Math.floor(steps) + 1,
    );
    before.push(given);
  }
  const [given, of] = [show(covered as never, axes), show(padded as never, axes)];
  if (Math.max(...padded, ...covered, ...before) > MOST) {
    return `a window of ${given} on an image of ${of} with its padding is too large: the most is ${MOST}`;
  }
  if (!out.every((n) => n > 0)) {
    return `a window of ${given} does not fit an image of ${of} with its padding: no pixel comes out`;
  }
  const isBeside = parts.some(
    ([length, covered, stride], axis) =>
      (before[axis] as number) >= covered ||
      ((out[axis] as number) - 1) * stride - (before[axis] as number) >= length,
  );
  if (everywhere && isBeside) {
    return `a window of ${given} on an image of ${show(size, axes)} lies in the padding alone, where there is no average`;
  }
  return placementOf(out, before);
}

/**
 * Places the windows of a transposed convolution, whose output is the image and whose input has one
 * value for each window: out = (size − 1) · stride − padding + covered + outputPadding of each
 * axis, size · stride for "same"; or says why there is none.
 */
export function placeTransposed(
  size: Pair,
  sliding: Sliding,
  outputPadding: Pair,
  axes: Axes,
): Placement | string {
  const out: number[] = [];
  const before: number[] = [];
  for (const [axis, [length, covered, stride, given, after]] of axesOf(size, sliding).entries()) {
    const more = outputPadding[axis] as number;
    if (given === undefined) {
      out.push(length * stride);
      before.push(Math.floor(Math.max(covered - stride, 0) / 2));
    } else {
      out.push(length === 0 ? 0 : (length - 1) * stride - given - after + covered + more);
      before.push(given);
    }
  }
  if (!(Math.max(...out, ...before) <= MOST)) {
    return `an image of ${show(out as never, axes)} that comes out is too large: the most is ${MOST}`;
  }
  if (!out.every((n) => n > 0)) {
    return `an image of ${show(size, axes)} leaves ${show(out as never, axes)}: no pixel comes out`;
  }
  return placementOf(out, before);
}

const placementOf = ([OH, OW]: number[], [top, left]: number[]): Placement => ({
  out: [OH as number, OW as number],
  top: top as number,
  left: left as number,
});

/**
 * Says why an outputPadding is none that a convolution would have left over, which is below the
 * stride or the dilation, and 0 for "same", which has no choice; undefined where it is one.
 */
export function outputPaddingRefusal(
  outputPadding: Pair,
  { stride, dilation, padding }: Sliding,
  axes: Axes,
): string | undefined {
  for (const [axis, more] of outputPadding.entries()) {
    const below = Math.max(stride[axis] as number, dilation[axis] as number);
    const isSame = padding === "same";
    if (axis < 2 - axes || (isSame ? more === 0 : more < below)) continue;
    return isSame
      ? `outputPadding must be 0 where padding is "same", got ${more}`
      : `outputPadding must be below the stride or the dilation, which is ${below}, got ${more}`;
  }
  return undefined;
}

/**
 * Refuses an outputPadding that is none.
 * @throws RangeError
 */
export function checkOutputPadding(
  operation: string,
  outputPadding: Pair,
  sliding: Sliding,
  axes: Axes,
): void {
  const refusal = outputPaddingRefusal(outputPadding, sliding, axes);
  if (refusal) throw new RangeError(`${operation}: ${refusal}`);
}

/** Where the windows lie, or a ShapeError that says why there is none. */
export function placed(operation: string, placement: Placement | string): Placement {
  if (typeof placement !== "string") return placement;
  throw new ShapeError(`${operation}: ${placement}`);
}

/**
 * Writes the core's window over an image (height, width, C) into words of its memory.
 * @param size height and width of the image
 * @param placement for a transposed convolution, whose image is its output: with its input's size
 *   as `out`
 * @param F the channels of what comes out
 */
export function writeWindow(
  words: Uint32Array,
  size: Pair,
  C: number,
  { kernel, stride, dilation, padding = [0, 0, 0, 0] }: Omit<Sliding, "padding"> & Partial<Sliding>,
  { out, top, left }: Placement,
  F = C,
  groups = 1,
): void {
  // Of one place or one cell there is no next, however far it would be.
  const within = (value: number) => Math.min(value, MOST);
  words[WindowWords.H] = size[0];
  words[WindowWords.W] = size[1];
  words[WindowWords.C] = C;
  words[WindowWords.OH] = out[0];
  words[WindowWords.OW] = out[1];
  words[WindowWords.F] = F;
  words[WindowWords.KH] = kernel[0];
  words[WindowWords.KW] = kernel[1];
  words[WindowWords.SH] = within(stride[0]);
  words[WindowWords.SW] = within(stride[1]);
  words[WindowWords.top] = top;
  words[WindowWords.left] = left;
  // "same" has as much behind the image as its windows reach, and no place is beyond MOST.
  words[WindowWords.bottom] = padding === "same" ? 2 ** 30 : padding[2];
  words[WindowWords.right] = padding === "same" ? 2 ** 30 : padding[3];
  words[WindowWords.DH] = within(dilation[0]);
  words[WindowWords.DW] = within(dilation[1]);
  words[WindowWords.groups] = groups;
}
