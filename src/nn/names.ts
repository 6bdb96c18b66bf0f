// What a model's scores mean: the loss that it is trained with, and the names of its classes.

import { quote, show } from "../runtime/errors.ts";

/**
 * "softmax" and "svm" take labels in [0, C) or one-hot rows (N, C); "bce" (binary cross-entropy
 * from scores, before any sigmoid) takes targets from 0 to 1 and "mse" (mean squared error) any
 * numbers, both in the shape of the scores.
 */
export type LossName = "softmax" | "svm" | "bce" | "mse";

/**
 * Names of classes, checked: texts that differ, one a score; a model of one score that tells two
 * classes apart has two.
 * @param source what the message calls them
 * @throws TypeError for what is no list of texts, RangeError for another number of them and for a
 *   name twice
 */
export function checkNames(
  operation: string,
  source: string,
  classes: unknown,
  outSize: number,
): readonly string[] {
  if (!Array.isArray(classes)) {
    throw new TypeError(`${operation}: ${source} must be an array of texts, got ${show(classes)}`);
  }
  const names: string[] = [];
  const seen = new Set<string>();
  for (let i = 0; i < classes.length; i++) {
    const name: unknown = classes[i];
    if (typeof name !== "string") {
      throw new TypeError(`${operation}: ${source}[${i}] must be a text, got ${show(name)}`);
    }
    if (seen.has(name)) {
      throw new RangeError(`${operation}: ${source}[${i}] is ${quote(name)}, as one before it`);
    }
    seen.add(name);
    names.push(name);
  }
  if (names.length !== outSize && !(outSize === 1 && names.length === 2)) {
    throw new RangeError(
      `${operation}: ${source} must be ${outSize} texts, one for each score, got ${names.length}`,
    );
  }
  return Object.freeze(names);
}
