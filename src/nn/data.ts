// Examples and targets as callers have them: tensors, typed arrays, arrays.

import { RuntimeMismatchError } from "../runtime/errors.ts";
import {
  countOf,
  type NestedArray,
  type NumberArray,
  type Numbers,
  numbersOf,
} from "../tensor/convert.ts";
import { liveTensor, TensorNumbers } from "../tensor/operands.ts";
import { sizeOf } from "../tensor/shape.ts";
import { type Tensor, TensorHandle } from "../tensor/tensor.ts";
import type { Network } from "./network.ts";

/**
 * Examples, or targets: a tensor of shape (N, …), nested arrays of that shape, whose innermost may be typed arrays, or their
 * numbers in one row, as a typed array of any kind or an array; N is then what the length leaves. What is of another dtype
 * than the model is converted.
 */
export type Examples = Tensor | NumberArray | NestedArray;

/** So many rows of numbers, `width` each. */
export interface Rows {
  readonly count: number;
  readonly width: number;
  readonly numbers: Numbers;
}

/** Rows of this shape each, for this model; refuses what has another. */
export function rowsOf(
  operation: string,
  name: string,
  value: unknown,
  shape: readonly number[],
  network: Network,
): Rows {
  const { runtime, dtype } = network;
  const isTensor = value instanceof TensorHandle;
  let numbers: Numbers;
  if (isTensor) {
    liveTensor(operation, name, value);
    if (value.runtime !== runtime) {
      throw new RuntimeMismatchError(
        `${operation}: ${name} and the model belong to different runtimes`,
      );
    }
    numbers = new TensorNumbers(value);
  } else if (value !== null && typeof value === "object" && "toTypedArray" in value) {
    throw liveTensor(operation, name, value);
  } else {
    numbers = numbersOf(operation, name, value, dtype, runtime.linear.wasm);
  }
  network.check(operation); // to read an array, or options, may have run code of the caller's
  const count = countOf(operation, name, numbers, shape, isTensor);
  return { count, width: sizeOf(shape), numbers };
}

/** Copies the rows from start to end, or those that an order has there, to the beginning of a tensor. */
export function copyRows(
  to: TensorHandle,
  { width, numbers }: Rows,
  start: number,
  end: number,
  order?: ArrayLike<number>,
): void {
  const target = to.data;
  if (!order) {
    target.set(numbers.part(start * width, end * width));
    return;
  }
  if (width === 1) {
    const source = numbers.part(0, numbers.length);
    for (let i = start; i < end; i++) target[i - start] = source[order[i] as number] as number;
    return;
  }
  for (let i = start; i < end; i++) {
    const row = order[i] as number;
    target.set(numbers.part(row * width, (row + 1) * width), (i - start) * width);
  }
}
