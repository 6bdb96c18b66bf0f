// What Sequential and a model's file say of a network, before its layers are looked at.

import { DTypeError, ShapeError, show } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkShape, formatShape } from "../tensor/shape.ts";

export function checkFloatDType(operation: string, dtype: unknown): FloatDType {
  if (dtype !== "float32" && dtype !== "float64") {
    throw new DTypeError(`${operation}: dtype must be "float32" or "float64", got ${show(dtype)}`);
  }
  return dtype;
}

/** A frozen copy of the shape of one example. */
export function checkInput(operation: string, shape: unknown): readonly number[] {
  const input = checkShape(`${operation}: input`, shape);
  if (input.length === 0 || input.includes(0)) {
    throw new ShapeError(
      `${operation}: input must be the shape of one example, of whole numbers from 1 up, got ${formatShape(input)}`,
    );
  }
  return input;
}
