// Examples, labels and targets as callers have them: tensors, typed arrays, arrays.

import { DTypeError, RuntimeMismatchError, ShapeError } from "../runtime/errors.ts";
import { elementsOf, isTypedArray, type NestedArray, type NumberArray } from "../tensor/convert.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkLabelArray, checkLabels, floatOperand, liveTensor } from "../tensor/operands.ts";
import type { LamellaRuntime } from "../tensor/runtime.ts";
import { formatShape, sameShape, sizeOf } from "../tensor/shape.ts";
import { type Tensor, TensorHandle } from "../tensor/tensor.ts";

/**
 * Examples, or targets: a tensor of shape (N, …), nested arrays of that shape, or their numbers in one row, as a typed
 * array of any kind or an array; N is then what the length leaves.
 */
export type Examples = Tensor | NumberArray | NestedArray;

/** So many rows of numbers, `width` each. */
export interface Rows {
  readonly count: number;
  readonly width: number;
  /** Read anew after anything that can grow the memory. */
  values(): ArrayLike<number>;
}

function wrongShape(
  operation: string,
  name: string,
  shape: readonly number[],
  given: readonly number[],
): ShapeError {
  return new ShapeError(
    `${operation}: ${name} must have shape (N, ${shape.join(", ")}), got ${formatShape(given)}`,
  );
}

/** Rows of this shape each; refuses what has another. */
export function rowsOf(
  operation: string,
  name: string,
  value: unknown,
  shape: readonly number[],
  runtime: LamellaRuntime,
  dtype: FloatDType,
): Rows {
  const width = sizeOf(shape);
  let given: readonly number[];
  let values: () => ArrayLike<number>;
  if (value instanceof TensorHandle) {
    const tensor = floatOperand(operation, name, value as Tensor<FloatDType>);
    if (tensor.runtime !== runtime) {
      throw new RuntimeMismatchError(
        `${operation}: ${name} and the model belong to different runtimes`,
      );
    }
    if (tensor.dtype !== dtype) {
      throw new DTypeError(`${operation}: ${name} is ${tensor.dtype} but the model is ${dtype}`);
    }
    given = tensor.shape;
    if (given.length < 2) throw wrongShape(operation, name, shape, given);
    values = () => tensor.data;
  } else if (value !== null && typeof value === "object" && "toTypedArray" in value) {
    throw liveTensor(operation, name, value);
  } else {
    const elements = elementsOf(value, undefined, "float64", operation, name);
    given = elements.shape;
    values = runtime.acrossGrowth(elements.values);
    if (given.length === 1) {
      const length = given[0] as number;
      if (length % width !== 0) {
        throw new ShapeError(
          `${operation}: ${name} has ${length} numbers, which are no whole number of examples of shape ${formatShape(shape)}`,
        );
      }
      return { count: length / width, width, values };
    }
  }
  const each = given.slice(1);
  const isFlat = each.length === 1 || shape.length === 1;
  if (!sameShape(each, shape) && !(isFlat && sizeOf(each) === width)) {
    throw wrongShape(operation, name, shape, given);
  }
  return { count: given[0] as number, width, values };
}

/** Labels in [0, C), one each. */
export function labelsOf(operation: string, y: unknown, C: number, runtime: LamellaRuntime): Rows {
  if (y instanceof TensorHandle) {
    const tensor = liveTensor(operation, "y", y);
    if (tensor.runtime !== runtime) {
      throw new RuntimeMismatchError(`${operation}: y and the model belong to different runtimes`);
    }
    if (tensor.dtype !== "int32") {
      throw new DTypeError(`${operation}: y must be int32, got ${tensor.dtype}`);
    }
    if (tensor.shape.length !== 1) {
      throw new ShapeError(
        `${operation}: y must have shape (N,), got ${formatShape(tensor.shape)}`,
      );
    }
    checkLabels(operation, tensor.data, C);
    return { count: tensor.size, width: 1, values: () => tensor.data };
  }
  checkLabelArray(operation, y);
  const labels = y as ArrayLike<number>;
  checkLabels(operation, labels, C);
  return { count: labels.length, width: 1, values: runtime.acrossGrowth(labels) };
}

/** Refuses x and y of different lengths. */
export function checkPairs(operation: string, x: Rows, y: Rows): void {
  if (x.count !== y.count) {
    throw new ShapeError(`${operation}: x has ${x.count} examples but y has ${y.count}`);
  }
}

/** Copies the rows from start to end, or those that an order has there, to the beginning of a tensor. */
export function copyRows(
  to: TensorHandle,
  { width, values }: Rows,
  start: number,
  end: number,
  order?: ArrayLike<number>,
): void {
  const target = to.data;
  const source = values();
  const block = (first: number, last: number) =>
    isTypedArray(source)
      ? source.subarray(first, last)
      : Array.prototype.slice.call(source, first, last);
  if (!order) {
    target.set(block(start * width, end * width));
  } else if (width === 1) {
    for (let i = start; i < end; i++) target[i - start] = source[order[i] as number] as number;
  } else {
    for (let i = start; i < end; i++) {
      const row = order[i] as number;
      target.set(block(row * width, (row + 1) * width), (i - start) * width);
    }
  }
}
