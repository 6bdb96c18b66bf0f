// What callers give as data becomes numbers of ours here, for all calls alike. It is read once: an
// array of JavaScript's is copied, since to read one may run code of the caller's (a getter, a
// proxy), and a typed array is kept and later copied at once, by accessors that run none. What has
// been read is checked in the copy, and then it is used.

import { DTypeError, describe, ShapeError, show } from "../runtime/errors.ts";
import { type DType, type FloatDType, typedArrays } from "./dtype.ts";
import { formatShape, MOST_AXES, sameShape, sizeOf } from "./shape.ts";
import { bufferOf, byteOffsetOf, dtypeOf, isThere, kindOf, lengthOf, viewOf } from "./views.ts";

/** Numbers in a row: an array, or a typed array of any kind but the big integers. */
export type NumberArray = readonly number[] | (ArrayBufferView & ArrayLike<number>);

/**
 * Rows of rows of … numbers, all of one length at each depth; the innermost may be typed arrays.
 */
export type NestedArray = readonly (number | NestedArray | (ArrayBufferView & ArrayLike<number>))[];

const INT32_LIMIT = 0x80000000;

/** Elements for which there is room before they are read: a length may claim any number of them. */
const MOST_AHEAD = 65536;

type Plain = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Numbers that were given, and can be copied. A tensor is such numbers itself. */
export interface Numbers {
  /** The dtype of a tensor that is made of them. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** How many numbers there are: the product of the shape. */
  readonly size: number;
  /** A typed array with the numbers from start to end, to be copied from at once. */
  part(start: number, end: number): Float64Array;
}

/** The numbers of a typed array, be it the caller's or ours. */
class ViewNumbers implements Numbers {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** A view of the same numbers without properties of its own, made for the first part. */
  private plain: Float64Array | null = null;

  constructor(
    private readonly place: string,
    private given: Float64Array,
    private readonly kind: string,
    readonly size: number,
    shape?: readonly number[],
    /** The runtime's memory that the array is a view of, if it is: its views end when it grows. */
    private readonly memory?: WebAssembly.Memory,
    private readonly byteOffset = 0,
  ) {
    this.shape = shape ?? [size];
    this.dtype = shape ? "float32" : (dtypeOf(kind) ?? "float32");
  }

  part(start: number, end: number): Float64Array {
    const { memory, kind, size } = this;
    if (memory && bufferOf(this.given) !== memory.buffer) {
      this.given = viewOf(kind, memory.buffer as ArrayBuffer, this.byteOffset, size);
      this.plain = null;
    }
    const { given } = this;
    const there = lengthOf(given);
    if (there < size) throw gone(this.place);
    // The caller's own array will do for all of it: a copy reads nothing but its elements.
    if (end - start === there) return given;
    this.plain ??= viewOf(kind, bufferOf(given), byteOffsetOf(given), size);
    return this.plain.subarray(start, end);
  }
}

export function gone(place: string): TypeError {
  return new TypeError(
    `${place}'s buffer is gone: transferred, or a tensor's before memory grew, or made smaller`,
  );
}

function ragged(operation: string, place: string, expected: string, given: string): ShapeError {
  return new ShapeError(
    `${operation}: nested arrays are ragged: ${place} should be ${expected}, got ${given}`,
  );
}

/** Returns the shape of nested arrays, and a copy of their numbers. */
function flatten(
  operation: string,
  name: string,
  data: unknown,
  Own: typeof Float32Array | typeof Float64Array,
): { shape: number[]; values: Plain } {
  const shape: number[] = [];
  /** The depth of the numbers, known once the first was found. */
  let rank = Infinity;
  let values: Plain | undefined;
  let room = 0;
  let count = 0;
  const ensureRoom = (more: number): Plain => {
    if (values && count + more <= room) return values;
    room = Math.max(2 * count, count + more);
    const larger = new Own(room) as Plain;
    if (values) larger.set(values);
    values = larger;
    return larger;
  };
  const visit = (level: unknown, depth: number, place: string): void => {
    const kind = kindOf(level);
    if (!kind && !Array.isArray(level)) {
      if (depth < rank && rank < Infinity) {
        const given = typeof level === "number" ? `${level}` : describe(level);
        throw ragged(operation, place, `${shape[depth]} entries`, given);
      }
      throw new TypeError(`${operation}: ${place} must be a number, got ${describe(level)}`);
    }
    if (depth >= rank) throw ragged(operation, place, "a number", "an array");
    // The length is read once: another reading may give another.
    const length = kind ? lengthOf(level) : (level as unknown[]).length >>> 0;
    if (kind && length === 0 && !isThere(level)) throw gone(`${operation}: ${place}`);
    if (depth === shape.length) {
      // An array that holds itself has no end.
      if (shape.push(length) > MOST_AXES) {
        throw new ShapeError(`${operation}: ${name} is nested more than ${MOST_AXES} arrays deep`);
      }
      if (kind || length === 0) rank = depth + 1;
    } else if (length !== shape[depth]) {
      throw ragged(operation, place, `${shape[depth]} entries`, `${length}`);
    }
    if (kind) {
      if (depth + 1 !== rank) throw ragged(operation, `${place}[0]`, "an array", "a number");
      ensureRoom(length).set(level as Float64Array, count);
      count += length;
      return;
    }
    // An index loop: forEach would pass over the holes of a sparse array.
    const list = level as readonly unknown[];
    let part = length > 0 ? list[0] : undefined;
    for (let i = 0; i < length; ) {
      if (typeof part === "number" && (rank === depth + 1 || rank === Infinity)) {
        rank = depth + 1;
        const own = ensureRoom(Math.min(length - i, MOST_AHEAD));
        const { length: most } = own;
        let n = count;
        do {
          own[n++] = part as number;
          part = ++i < length ? list[i] : undefined;
        } while (typeof part === "number" && n < most);
        count = n;
      } else {
        visit(part, depth + 1, `${place}[${i}]`);
        part = ++i < length ? list[i] : undefined;
      }
    }
  };
  visit(data, 0, name);
  const all = ensureRoom(0);
  return { shape, values: count < room ? (all.subarray(0, count) as Plain) : all };
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

/**
 * The numbers of a typed array, or of arrays in arrays, which are copied as this dtype.
 * @param memory the runtime's, of which a typed array may be a view
 */
export function numbersOf(
  operation: string,
  name: string,
  data: unknown,
  dtype: FloatDType,
  memory?: WebAssembly.Memory,
): Numbers {
  const place = `${operation}: ${name}`;
  const kind = kindOf(data);
  if (kind) {
    const length = lengthOf(data);
    if (length === 0 && !isThere(data)) throw gone(place);
    const byteOffset = byteOffsetOf(data);
    // Nothing of a runtime's lies at address 0, and small arrays have a buffer only once they are
    // asked for it.
    const isOurs = memory && byteOffset > 0 && bufferOf(data) === memory.buffer;
    return new ViewNumbers(
      ...([place, data as Float64Array, kind, length] as const),
      ...([undefined, isOurs ? memory : undefined, byteOffset] as const),
    );
  }
  if (Array.isArray(data)) {
    const { shape, values } = flatten(operation, name, data, typedArrays[dtype]);
    return new ViewNumbers(
      place,
      values as Float64Array,
      kindOf(values) as string,
      values.length,
      shape,
    );
  }
  throw new TypeError(
    `${place} must be a typed array of numbers or an array, got ${describe(data)}`,
  );
}

/** A copy of numbers that int32 holds; RangeError with the place of one that it does not. */
export function wholeNumbers(operation: string, name: string, numbers: Numbers): Numbers {
  const { shape, size } = numbers;
  const copy = new Float64Array(size);
  copy.set(numbers.part(0, size));
  for (let i = 0; i < size; i++) {
    const value = copy[i] as number;
    if (value !== (value | 0)) checkInt32(operation, `${name}${placeOf(i, shape)}`, value);
  }
  return new ViewNumbers(name, copy, "Float64Array", size, shape);
}

/**
 * How many examples of this shape something of the given shape holds: (N, …shape), where either may
 * be flat, or all numbers in one row, which a tensor's may not be.
 */
export function countOf(
  operation: string,
  name: string,
  given: readonly number[],
  shape: readonly number[],
  isTensor: boolean,
): number {
  const width = sizeOf(shape);
  const due = `${name} must have shape (N, ${shape.join(", ")})`;
  if (given.length === 1 && !isTensor) {
    const size = given[0] as number;
    if (size % width === 0) return size / width;
    throw new ShapeError(
      `${operation}: ${name} has ${size} numbers, which are no whole number of examples of shape ${formatShape(shape)}: ${due}`,
    );
  }
  const each = given.slice(1);
  const isFlat = each.length === 1 || shape.length === 1;
  if (given.length < 2 || !(sameShape(each, shape) || (isFlat && sizeOf(each) === width))) {
    throw new ShapeError(`${operation}: ${due}, got ${formatShape(given)}`);
  }
  return given[0] as number;
}
