import { ShapeError } from "../runtime/errors.ts";

/** The product of a shape's lengths from one on: the elements it holds, 1 for the empty shape. */
export function sizeOf(shape: readonly number[], from = 0): number {
  let size = 1;
  for (let i = from; i < shape.length; i++) size *= shape[i] as number;
  return size;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** "(2, 3)", "(5,)", "()" */
export function formatShape(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

/** A frozen copy of a caller's shape, or ShapeError. */
export function checkShape(operation: string, shape: unknown): readonly number[] {
  if (!Array.isArray(shape)) {
    throw new ShapeError(`${operation}: shape must be an array of whole numbers, got ${shape}`);
  }
  for (const length of shape) {
    if (!(Number.isInteger(length) && length >= 0)) {
      throw new ShapeError(
        `${operation}: shape must hold whole numbers from 0 up, got (${shape.join(", ")})`,
      );
    }
  }
  return Object.freeze(shape.slice());
}
