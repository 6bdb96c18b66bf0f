// Labels as callers have them: class numbers in an array, a typed array or an int32 tensor, or
// one-hot rows.

import { DTypeError, ShapeError, show } from "../runtime/errors.ts";
import { type Numbers, numbersOf } from "./convert.ts";
import { describe } from "./operands.ts";
import { numbersFrom, Rows } from "./rows.ts";
import { formatShape } from "./shape.ts";
import { type Tensor, TensorHandle, type TensorRuntime } from "./tensor.ts";
import { dtypeOf, kindOf } from "./views.ts";

/**
 * Labels as the losses take them: for each row a whole number in [0, C), or a one-hot row (N, C).
 */
export type Labels =
  | Int32Array
  | Uint8Array
  | readonly number[]
  | Tensor<"int32">
  | readonly (readonly number[] | (ArrayBufferView & ArrayLike<number>))[];

/** Labels of rows as class numbers, which are checked again wherever they are copied. */
class LabelRows extends Rows {
  constructor(
    private readonly operation: string,
    private readonly C: number,
    numbers: Numbers,
  ) {
    super(numbers.size, 1, numbers);
  }

  /** The tensor that holds them, where one does: its labels are used where they lie. */
  get tensor(): TensorHandle | undefined {
    return this.numbers instanceof TensorHandle ? this.numbers : undefined;
  }

  override copyTo(target: Int32Array, start: number, end: number, order?: ArrayLike<number>): void {
    super.copyTo(target, start, end, order);
    // Their owner has had turns since they were checked.
    for (let i = start; i < end; i++) {
      checkLabel(this.operation, target[i - start], order ? (order[i] as number) : i, this.C);
    }
  }
}

/**
 * Labels in [0, C) of this many rows of x, checked.
 * @param owner says for the message whose runtime this is: "x", or "the model"
 * @throws TypeError, ShapeError, DTypeError, or RangeError with the index and value of the first
 *   wrong label
 */
export function labelsOf(
  operation: string,
  y: unknown,
  C: number,
  count: number,
  runtime: TensorRuntime,
  owner: "x" | "the model",
): LabelRows {
  const rows = (classes: unknown) =>
    new LabelRows(operation, C, numbersOf(operation, "y", classes, "float32"));
  if (Array.isArray(y)) {
    const length = y.length >>> 0;
    const first: unknown = length > 0 ? y[0] : undefined;
    if (!(Array.isArray(first) || kindOf(first))) {
      checkPairs(operation, length, count, owner);
      const own = new Int32Array(length);
      for (let i = 0; i < length; i++) own[i] = checkLabel(operation, i > 0 ? y[i] : first, i, C);
      return rows(own);
    }
  } else if (!(y instanceof TensorHandle)) {
    const kind = kindOf(y) ?? "";
    if (dtypeOf(kind)?.startsWith("float")) {
      throw new DTypeError(
        `${operation}: y must be int32, got ${dtypeOf(kind)}; one-hot rows are nested arrays or a tensor`,
      );
    }
    if (!/^U?[Ii]nt/.test(kind)) {
      throw new TypeError(
        `${operation}: y must be an Int32Array, an array of whole numbers or an int32 tensor, got ${describe(y)}`,
      );
    }
  }
  const numbers = numbersFrom(operation, "y", y, "float32", runtime, owner);
  const { shape, size, dtype } = numbers;
  const isTensor = numbers instanceof TensorHandle;
  if (isTensor && dtype !== "int32" && shape.length === 1) {
    throw new DTypeError(`${operation}: y must be int32, got ${dtype}`);
  }
  if (shape.length === 2 && shape[1] === C) {
    checkPairs(operation, shape[0] as number, count, owner);
    return rows(classesOf(operation, numbers.part(0, size), count, C));
  }
  const isPaired = size === count || !isTensor || owner !== "x";
  if (shape.length !== 1 || !isPaired) {
    const due = owner === "x" ? `(${count},)` : "(N,)";
    throw new ShapeError(
      `${operation}: y must have shape ${due}, got ${formatShape(shape)}; one-hot rows are (N, ${C})`,
    );
  }
  checkPairs(operation, size, count, owner);
  const values = numbers.part(0, size);
  for (let i = 0; i < size; i++) checkLabel(operation, values[i], i, C);
  return new LabelRows(operation, C, numbers);
}

/** Refuses labels of another number than there are rows. */
function checkPairs(operation: string, given: number, count: number, owner: string): void {
  if (given === count) return;
  const both =
    owner === "x"
      ? `y has ${given} labels but x has ${count} rows`
      : `x has ${count} examples but y has ${given}`;
  throw new ShapeError(`${operation}: ${both}`);
}

/** The value where it is a whole number in [0, C). */
function checkLabel(operation: string, label: unknown, i: number, C: number): number {
  if (Number.isInteger(label) && (label as number) >= 0 && (label as number) < C) {
    return label as number;
  }
  const wrong = `${operation}: y[${i}] is ${show(label)}, expected a whole number in [0, ${C})`;
  if (typeof label === "string" && Number.isNaN(Number(label))) {
    throw new TypeError(
      `${wrong}: const classes = [${show(label)}, …], then y.map((name) => classes.indexOf(name))`,
    );
  }
  if (typeof label === "boolean") throw new TypeError(`${wrong}: write y.map(Number)`);
  throw new RangeError(
    C === 1 ? `${wrong}: one score is one class; for two write affine(2), or loss "bce"` : wrong,
  );
}

/** The classes of one-hot rows. */
function classesOf(
  operation: string,
  rows: ArrayLike<number>,
  count: number,
  C: number,
): Int32Array {
  const classes = new Int32Array(count).fill(-1);
  for (let i = 0; i < count * C; i++) {
    const n = Math.floor(i / C);
    const value = rows[i];
    if (value === 1 && classes[n] === -1) classes[n] = i % C;
    else if (value !== 0) classes[n] = C;
  }
  const n = classes.findIndex((label) => label < 0 || label >= C);
  if (n < 0) return classes;
  throw new RangeError(
    `${operation}: y[${n}] is no one-hot row, of one 1 and 0 elsewhere: argmax of a row is its class number`,
  );
}
