// What each class counts in a loss.

import { ShapeError, show } from "../runtime/errors.ts";
import { describe } from "../tensor/operands.ts";
import { kindOf } from "../tensor/views.ts";

/** A number from 0 up for each class: how much its examples count in a loss. */
export type ClassWeights = readonly number[] | Float32Array | Float64Array;

/**
 * A copy of the caller's weights of C classes, undefined where there are none. They are divided by
 * the largest, which changes no loss, so that no sum of them overflows.
 */
export function checkClassWeights(
  operation: string,
  given: ClassWeights | undefined,
  C: number,
): Float64Array | undefined {
  if (given === undefined) return undefined;
  if (!(Array.isArray(given) || kindOf(given))) {
    throw new TypeError(
      `${operation}: classWeights must be an array of ${C} numbers, one a class, got ${describe(given)}`,
    );
  }
  const { length } = given;
  if (length !== C) {
    throw new ShapeError(
      `${operation}: classWeights has ${length} numbers, expected ${C}, one a class`,
    );
  }
  let most = 0;
  const weights = Float64Array.from({ length: C }, (_, c) => {
    const weight = given[c];
    if (!(typeof weight === "number" && weight >= 0 && weight < Infinity)) {
      throw new RangeError(
        `${operation}: classWeights[${c}] is ${show(weight)}, expected a number from 0 up`,
      );
    }
    most = Math.max(most, weight);
    return weight;
  });
  return weights.map((weight) => weight / (most || 1));
}

/** Writes what each row counts, the weight of its label's class; returns their sum. */
export function fillRowWeights(
  rowWeights: Float64Array,
  labels: Int32Array,
  classWeights: Float64Array,
): number {
  let sum = 0;
  for (let n = 0; n < rowWeights.length; n++) {
    const weight = classWeights[labels[n] as number] as number;
    rowWeights[n] = weight;
    sum += weight;
  }
  return sum;
}
