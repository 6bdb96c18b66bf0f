import { describe, ShapeError, show } from "../runtime/errors.ts";

/** The most axes that a shape may have, as many as NumPy takes. */
export const MOST_AXES = 64;

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

/** "(2, 3)", "(5,)", "()"; a file's may have as many lengths as it likes. */
export function formatShape(shape: readonly unknown[]): string {
  const { length } = shape;
  return `(${shape.slice(0, 16).join(", ")}${length > 16 ? ", …" : length === 1 ? "," : ""})`;
}

/** A copy of a caller's shape, each length read once; they are not looked at. */
export function copyShape(operation: string, shape: unknown): number[] {
  if (!Array.isArray(shape)) {
    throw new ShapeError(
      `${operation}: shape must be an array of whole numbers, got ${describe(shape)}`,
    );
  }
  const own: number[] = [];
  const { length } = shape;
  for (let i = 0; i < length; i++) {
    if (own.push(shape[i]) > MOST_AXES) {
      throw new ShapeError(`${operation}: shape has more than ${MOST_AXES} axes`);
    }
  }
  return own;
}

/** A frozen copy of a caller's shape, or ShapeError. */
export function checkShape(operation: string, shape: unknown): readonly number[] {
  const own = copyShape(operation, shape);
  for (const length of own) {
    if (!(Number.isInteger(length) && length >= 0)) {
      throw new ShapeError(
        `${operation}: shape must hold whole numbers from 0 up, got (${own.map(show).join(", ").slice(0, 200)})`,
      );
    }
  }
  return Object.freeze(own);
}
