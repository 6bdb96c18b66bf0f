// From what callers pass as data to elements of one dtype.

import { DTypeError, ShapeError, show } from "../runtime/errors.ts";
import { type DType, dtypeOf, typedArrays } from "./dtype.ts";
import { checkShape, formatShape, sizeOf } from "./shape.ts";

/** Numbers in a row: an array, or a typed array of any kind but the big integers. */
export type NumberArray =
  | readonly number[]
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** Rows of rows of … numbers, all of one length at each depth. */
export type NestedArray = readonly (number | NestedArray)[];

interface Elements {
  dtype: DType;
  shape: readonly number[];
  values: ArrayLike<number>;
}

const INT32_LIMIT = 2 ** 31;

/** Arrays in arrays, as many as NumPy takes: one that holds itself has no end. */
const MOST_AXES = 64;

export function isTypedArray(data: unknown): data is Exclude<NumberArray, readonly number[]> {
  return ArrayBuffer.isView(data) && !/^(DataView|Big)/.test(tagOf(data));
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** The shape of nested arrays, and their numbers in one row. */
function flatten(
  operation: string,
  name: string,
  data: NestedArray,
): { shape: number[]; values: number[] } {
  const shape: number[] = [];
  for (let level: unknown = data; Array.isArray(level); level = level[0]) {
    if (shape.push(level.length) > MOST_AXES) {
      throw new ShapeError(`${operation}: ${name} is nested more than ${MOST_AXES} arrays deep`);
    }
  }
  const values: number[] = [];
  const visit = (level: unknown, depth: number, place: string): void => {
    if (depth === shape.length) {
      if (typeof level !== "number") {
        if (Array.isArray(level)) throw ragged(operation, name + place, "a number", "an array");
        throw new TypeError(
          `${operation}: ${name}${place} must be a number, got ${level === null ? "null" : typeof level}`,
        );
      }
      values.push(level);
      return;
    }
    if (!Array.isArray(level)) {
      throw ragged(operation, name + place, `${shape[depth]} entries`, String(level));
    }
    if (level.length !== shape[depth]) {
      throw ragged(operation, name + place, `${shape[depth]} entries`, `${level.length}`);
    }
    // An index loop: forEach would pass over the holes of a sparse array.
    for (let i = 0; i < level.length; i++) visit(level[i], depth + 1, `${place}[${i}]`);
  };
  visit(data, 0, "");
  return { shape, values };
}

function ragged(operation: string, place: string, expected: string, given: string): ShapeError {
  return new ShapeError(
    `${operation}: nested arrays are ragged: ${place} should be ${expected}, got ${given}`,
  );
}

/** A dtype, or DTypeError. */
export function checkDType(operation: string, dtype: unknown): DType {
  if (!(typeof dtype === "string" && Object.hasOwn(typedArrays, dtype))) {
    throw new DTypeError(
      `${operation}: dtype must be "float32", "float64" or "int32", got ${show(dtype)}`,
    );
  }
  return dtype as DType;
}

/** Refuses a number that an int32 cannot be. */
export function checkInt32(operation: string, name: string, value: number): void {
  if (!(Number.isInteger(value) && value >= -INT32_LIMIT && value < INT32_LIMIT)) {
    throw new RangeError(
      `${operation}: ${name} is ${value}, expected a whole number in [-2147483648, 2147483648) for dtype int32`,
    );
  }
}

/** "[1][2]" for element number index of such a shape. */
function placeOf(index: number, shape: readonly number[]): string {
  let place = "";
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = shape[axis] as number;
    place = `[${rest % length}]${place}`;
    rest = Math.floor(rest / length);
  }
  return place;
}

/** Checks and flattens data; the shape and the dtype default to the data's own, the dtype else to float32. */
export function elementsOf(
  data: unknown,
  shape: unknown,
  dtype: unknown,
  operation = "tensor",
  name = "data",
): Elements {
  if (dtype !== undefined) checkDType(operation, dtype);
  let values: ArrayLike<number>;
  let ownShape: number[];
  let ownDtype: DType = "float32";
  if (isTypedArray(data)) {
    try {
      if (data.length === 0) data.at(0);
    } catch {
      throw new TypeError(
        `${operation}: ${name}'s buffer is gone: transferred, or a tensor's before memory grew`,
      );
    }
    values = data;
    ownShape = [data.length];
    ownDtype = dtypeOf(data) ?? "float32";
  } else if (Array.isArray(data)) {
    ({ values, shape: ownShape } = flatten(operation, name, data));
  } else {
    throw new TypeError(
      `${operation}: ${name} must be a typed array of numbers or an array, got ${tagOf(data)}`,
    );
  }
  const checked = checkShape(operation, shape === undefined ? ownShape : shape);
  if (sizeOf(checked) !== values.length) {
    throw new ShapeError(
      `${operation}: shape ${formatShape(checked)} holds ${sizeOf(checked)} elements but ${name} has ${values.length}`,
    );
  }
  const chosen = (dtype as DType | undefined) ?? ownDtype;
  if (chosen === "int32" && ownDtype !== "int32") {
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value !== (value | 0)) checkInt32(operation, `${name}${placeOf(i, ownShape)}`, value);
    }
  }
  return { dtype: chosen, shape: checked, values };
}
