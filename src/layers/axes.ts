// Axes as the core reads them: their length, and how many elements further the next index is in
// either array.

import { ShapeError } from "../runtime/errors.ts";
import { type FloatDType, itemSize } from "../tensor/dtype.ts";
import { checkRange, type Range } from "../tensor/numbers.ts";
import { formatShape } from "../tensor/shape.ts";
import type { TensorRuntime } from "../tensor/tensor.ts";

/** The strides are of the kernel's two arrays, in the order of its arguments. */
export type Axis = readonly [length: number, first: number, second: number];

const AXIS_BYTES = 12;
/** Four axes stand before a scratch, which begins where a cache line does. */
const HEAD_BYTES = 64;

/** How many elements further the next index of each axis of a dense array is. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (let k = shape.length - 1; k >= 0; k--) {
    strides[k] = stride;
    stride *= shape[k] as number;
  }
  return strides;
}

const whole: Range = { expected: "a whole number", holds: Number.isInteger };

/**
 * Reads an axis of an operand, which counts from the end where it is below 0.
 * @throws RangeError for what is no whole number, ShapeError for an axis that the operand does not
 *   have
 */
export function readAxis(
  operation: string,
  name: string,
  axis: unknown,
  operand: string,
  shape: readonly number[],
): number {
  const index = checkRange(operation, name, whole, axis as number);
  const rank = shape.length;
  if (index >= -rank && index < rank) return index < 0 ? index + rank : index;
  throw new ShapeError(
    `${operation}: ${name} is ${index} but ${operand} has shape ${formatShape(shape)}`,
  );
}

/**
 * The same axes, in as few as are enough: none of length 1, and none that goes on where the next
 * one ends.
 */
export function mergeAxes(axes: readonly Axis[]): Axis[] {
  const merged: Axis[] = [];
  for (const axis of axes) {
    const [length, first, second] = axis;
    if (length === 1) continue;
    const last = merged.at(-1);
    if (last && last[1] === first * length && last[2] === second * length) {
      merged[merged.length - 1] = [last[0] * length, first, second];
    } else {
      merged.push(axis);
    }
  }
  return merged.length > 0 ? merged : [[1, 1, 1]];
}

/**
 * Axes for a copy, which has two or more; where the last is not dense in x, the last but one is.
 */
export function copyAxes(axes: readonly Axis[]): Axis[] {
  const merged = mergeAxes(axes);
  const dense = merged.findIndex(([, , stride]) => stride === 1);
  if (dense >= 0 && dense < merged.length - 2) {
    const [rows] = merged.splice(dense, 1) as [Axis];
    merged.splice(-1, 0, rows);
  }
  return merged.length > 1 ? merged : [[1, 0, 0], ...merged];
}

/** Writes axes into memory. */
export function writeAxes(runtime: TensorRuntime, address: number, axes: readonly Axis[]): void {
  new Uint32Array(runtime.linear.wasm.buffer, address, 3 * axes.length).set(axes.flat());
}

/** Runs fn with the address of these axes in memory. */
export function withAxes<T>(
  runtime: TensorRuntime,
  axes: readonly Axis[],
  fn: (address: number, rank: number) => T,
): T {
  return runtime.withWorkspace(AXIS_BYTES * axes.length, (address) => {
    writeAxes(runtime, address, axes);
    return fn(address, axes.length);
  });
}

/**
 * An array (N, C, S), or (N, S, C) where channels are last; address 0 for one that is left out.
 * With M it is (N, C, M, S), or (N, S, M, C), as the filters of a convolution are.
 */
export interface Channels {
  readonly address: number;
  readonly N: number;
  readonly C: number;
  readonly M?: number;
  readonly S: number;
}

/**
 * Runs a kernel of channels last: inputs (N, C, S) are permuted into a scratch first, and outputs
 * out of one at the end. What is the same in both orders is used where it lies.
 *
 * @param make makes the arrays, after the memory for the scratch is there
 * @param bytes the scratch's: scratchBytes of all inputs and outputs
 */
export function channelsLast<T>(
  runtime: TensorRuntime,
  dtype: FloatDType,
  isLast: boolean,
  bytes: number,
  make: () => {
    inputs: readonly Channels[];
    outputs: readonly Channels[];
    run: (...addresses: number[]) => T;
  },
): T {
  return runtime.withWorkspace(bytes && bytes + HEAD_BYTES, (scratch) => {
    const { inputs, outputs, run } = make();
    const { strided_copy } = runtime.kernels(dtype);
    let next = scratch + HEAD_BYTES;
    const place = (array: Channels) => {
      if (isLast || isSame(array) || array.address === 0) return array.address;
      const address = next;
      next += sizeIn(array, dtype);
      return address;
    };
    /** Copies (N, A, M, B) to (N, B, M, A). */
    const permute = (to: number, from: number, { N, M = 1 }: Channels, A: number, B: number) => {
      if (to === from) return;
      const axes = copyAxes([
        [N, A * M * B, A * M * B],
        [B, M * A, 1],
        [M, A, B],
        [A, 1, M * B],
      ]);
      writeAxes(runtime, scratch, axes);
      strided_copy(to, from, scratch, axes.length);
    };
    const places = [...inputs, ...outputs].map(place);
    for (const [i, array] of inputs.entries()) {
      permute(places[i] as number, array.address, array, array.C, array.S);
    }
    const result = run(...places);
    for (const [i, array] of outputs.entries()) {
      permute(array.address, places[inputs.length + i] as number, array, array.S, array.C);
    }
    return result;
  });
}

/** Both orders are one where no more than one of the axes that move is longer than 1. */
const isSame = ({ N, C, M = 1, S }: Omit<Channels, "address">) =>
  N * C * M * S === 0 || [C, M, S].filter((length) => length > 1).length < 2;

const sizeIn = ({ N, C, M = 1, S }: Omit<Channels, "address">, dtype: FloatDType) =>
  N * C * M * S * itemSize[dtype];

/** The bytes that channelsLast needs for arrays of this many elements. */
export function scratchBytes(
  dtype: FloatDType,
  isLast: boolean,
  ...arrays: Omit<Channels, "address">[]
): number {
  let bytes = 0;
  for (const array of arrays) if (!isLast && !isSame(array)) bytes += sizeIn(array, dtype);
  return bytes;
}
