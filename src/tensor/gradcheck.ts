import { ShapeError } from "../runtime/errors.ts";
import type { FloatDType } from "./dtype.ts";
import { checkTensorShape, floatOperand, operandLike } from "./operands.ts";
import { formatShape, sameShape } from "./shape.ts";
import { type Tensor, TensorHandle } from "./tensor.ts";

/**
 * The gradient of f at x by central differences: (f(x + h) − f(x − h)) / 2h for each element; where f
 * gives a tensor, Σ dout · (f(x + h) − f(x − h)) / 2h. Meant for float64.
 *
 * @param f called with x, one element of it moved; what f makes is disposed after each call
 * @param x any shape; moved in place and put back, also when f throws
 * @param dout in the shape of f's result, which it weights; all 1 where it is left out
 * @param h the step; default 1e-5
 * @returns a tensor in x's shape
 * @throws RangeError where h is not above 0; ShapeError where f's result has another shape than dout;
 *   TypeError where f gives neither a tensor nor a number
 */
export function numericalGradient<D extends FloatDType>(
  f: (x: Tensor<D>) => Tensor<D> | number,
  x: Tensor<D>,
  dout?: Tensor<NoInfer<D>>,
  h = 1e-5,
): Tensor<D> {
  const operation = "numericalGradient";
  if (typeof f !== "function") throw new TypeError(`${operation}: f must be a function`);
  const xs = floatOperand(operation, "x", x);
  const weights = dout === undefined ? undefined : operandLike(operation, "dout", dout, "x", xs);
  if (!(typeof h === "number" && h > 0)) {
    throw new RangeError(`${operation}: h must be above 0, got ${h}`);
  }
  const { runtime } = xs;

  /** f's values at x with element i set to value. */
  const evaluate = (i: number, value: number): ArrayLike<number> =>
    runtime.scope(() => {
      // Views are taken anew: f may have grown the memory.
      const old = xs.data[i] as number;
      xs.data[i] = value;
      try {
        const result = f(x);
        if (typeof result === "number") return [result];
        if (!(result instanceof TensorHandle)) {
          throw new TypeError(`${operation}: f must return a tensor or a number`);
        }
        const tensor = floatOperand(operation, "f(x)", result);
        if (weights) checkTensorShape(operation, "f(x)", tensor, weights.shape);
        return tensor.toTypedArray();
      } finally {
        xs.data[i] = old;
      }
    });

  return runtime.atomically(() => {
    const gradient = runtime.create(xs.dtype, xs.shape);
    for (let i = 0; i < xs.size; i++) {
      const at = xs.data[i] as number;
      const above = evaluate(i, at + h);
      const below = evaluate(i, at - h);
      const scale = weights?.data;
      let sum = 0;
      for (let k = 0; k < above.length; k++) {
        sum += ((above[k] as number) - (below[k] as number)) * (scale ? (scale[k] as number) : 1);
      }
      gradient.data[i] = sum / (2 * h);
    }
    return gradient;
  });
}

/**
 * max |a − b| / max(1e-8, |a| + |b|) over all elements: 0 for equal values, 1 for values that have nothing in
 * common; NaN where an element is. An empty pair gives 0.
 *
 * @throws ShapeError where the shapes differ
 */
export function relativeError(
  a: Tensor | ArrayLike<number> | number,
  b: Tensor | ArrayLike<number> | number,
): number {
  const [valuesA, shapeA] = valuesOf(a);
  const [valuesB, shapeB] = valuesOf(b);
  if (!sameShape(shapeA, shapeB)) {
    throw new ShapeError(
      `relativeError: a has shape ${formatShape(shapeA)} but b has ${formatShape(shapeB)}`,
    );
  }
  let most = 0;
  for (let i = 0; i < valuesA.length; i++) {
    const p = valuesA[i] as number;
    const q = valuesB[i] as number;
    const error = Math.abs(p - q) / Math.max(1e-8, Math.abs(p) + Math.abs(q));
    if (!(error <= most)) most = error;
    if (Number.isNaN(error)) return error;
  }
  return most;
}

function valuesOf(
  value: Tensor | ArrayLike<number> | number,
): [ArrayLike<number>, readonly number[]] {
  if (typeof value === "number") return [[value], []];
  if (value instanceof TensorHandle) return [value.data, value.shape];
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const list = value as ArrayLike<number>;
    return [list, [list.length]];
  }
  throw new TypeError("relativeError: a and b must be tensors, arrays of numbers or numbers");
}
