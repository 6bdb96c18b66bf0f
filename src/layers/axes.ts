// Axes in the core's memory, and arrays whose channels are second or last.

import { ShapeError } from "../runtime/errors.ts";
import { type FloatDType, itemSize } from "../tensor/dtype.ts";
import { checkRange, type Range } from "../tensor/numbers.ts";
import { formatShape } from "../tensor/shape.ts";
import { type Axis, copyAxes } from "../tensor/strides.ts";
import type { TensorRuntime } from "../tensor/tensor.ts";

const AXIS_BYTES = 12;
/** Four axes stand before a scratch, which begins where a cache line does. */
const HEAD_BYTES = 64;

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
