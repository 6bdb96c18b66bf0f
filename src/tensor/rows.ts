// What callers give as examples and targets becomes rows of numbers here, for models, trainings and
// losses alike. convert.ts reads arrays; a tensor is numbers as it is.

import { RuntimeMismatchError } from "../runtime/errors.ts";
import {
  countOf,
  type NestedArray,
  type NumberArray,
  type Numbers,
  numbersOf,
  wholeNumbers,
} from "./convert.ts";
import type { DType, FloatDType } from "./dtype.ts";
import { liveTensor } from "./operands.ts";
import { sizeOf } from "./shape.ts";
import { type Tensor, TensorHandle, type TensorRuntime } from "./tensor.ts";

/**
 * Examples, or targets: a tensor of shape (N, …), nested arrays of that shape, whose innermost may
 * be typed arrays, or their numbers in one row, as a typed array of any kind or an array; N is then
 * what the length leaves. Numbers of another dtype than the model's are converted.
 */
export type Examples = Tensor | NumberArray | NestedArray;

/** The examples of one input, or of several inputs by their names: { image, meta }. */
export type Inputs = Examples | { readonly [name: string]: Examples };

/** Rows of numbers: `count` rows of `width` numbers each. */
export class Rows {
  constructor(
    readonly count: number,
    readonly width: number,
    readonly numbers: Numbers,
  ) {}

  /**
   * Copies the rows from start to end, or those that an order has there, to the beginning of an
   * array.
   */
  copyTo(
    target: Int32Array | Float32Array | Float64Array,
    start: number,
    end: number,
    order?: ArrayLike<number>,
  ): void {
    const { width, numbers } = this;
    if (!order) {
      target.set(numbers.part(start * width, end * width));
      return;
    }
    if (width === 1) {
      const source = numbers.part(0, numbers.size);
      for (let i = start; i < end; i++) target[i - start] = source[order[i] as number] as number;
      return;
    }
    for (let i = start; i < end; i++) {
      const row = order[i] as number;
      target.set(numbers.part(row * width, (row + 1) * width), (i - start) * width);
    }
  }
}

/**
 * The numbers of a tensor of this runtime, or of what convert.ts reads.
 * @param owner says for the message whose runtime this is: "the model"
 */
export function numbersFrom(
  operation: string,
  name: string,
  value: unknown,
  dtype: FloatDType,
  runtime: TensorRuntime,
  owner: string,
): Numbers {
  // A tensor of another copy of the package is refused as what it is.
  const isTensor =
    value instanceof TensorHandle ||
    (value !== null && typeof value === "object" && "toTypedArray" in value);
  if (!isTensor) return numbersOf(operation, name, value, dtype, runtime.linear.wasm);
  const tensor = liveTensor(operation, name, value);
  if (tensor.runtime === runtime) return tensor;
  throw new RuntimeMismatchError(`${operation}: ${name} and ${owner} belong to different runtimes`);
}

/** The part of a model's network that takes rows. */
interface Taker {
  readonly runtime: TensorRuntime;
  readonly dtype: FloatDType;
  check(operation: string): void;
}

/**
 * Rows of this shape each, for this model; refuses what has another.
 * @param dtype of the tensor that the rows are copied to: numbers that int32 does not hold are
 *   refused
 */
export function rowsOf(
  operation: string,
  name: string,
  value: unknown,
  shape: readonly number[],
  model: Taker,
  dtype: DType = model.dtype,
): Rows {
  const isWhole = dtype === "int32";
  const read = isWhole ? "float64" : dtype;
  const given = numbersFrom(operation, name, value, read, model.runtime, "the model");
  const numbers = isWhole && given.dtype !== dtype ? wholeNumbers(operation, name, given) : given;
  model.check(operation); // to read an array, or options, may have run code of the caller's
  const count = countOf(operation, name, given.shape, shape, given instanceof TensorHandle);
  return new Rows(count, sizeOf(shape), numbers);
}
