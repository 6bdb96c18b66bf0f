import { ShapeError, show } from "../runtime/errors.ts";
import { numbersOf } from "./convert.ts";
import type { FloatDType } from "./dtype.ts";
import { describe, floatOperand, liveTensor, operandLike } from "./operands.ts";
import { formatShape, sameShape } from "./shape.ts";
import { type Tensor, TensorHandle } from "./tensor.ts";
import { kindOf } from "./views.ts";

/**
 * The gradient of f at x by central differences: (f(x + h) − f(x − h)) / 2h for each element; where
 * f gives a tensor, Σ dout · (f(x + h) − f(x − h)) / 2h. Meant for float64.
 *
 * @param f called with x, one element of it moved; what f makes is disposed after each call
 * @param x any shape; moved in place and put back, also when f throws
 * @param dout in the shape of f's result, which it weights; all 1 where it is left out
 * @param h the step; default 1e-5
 * @returns a tensor in x's shape
 * @throws RangeError where h is not above 0; ShapeError where f's result has another shape than
 *   dout; TypeError where f gives neither a tensor nor a number
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
    throw new RangeError(`${operation}: h must be above 0, got ${show(h)}`);
  }
  if (h === Infinity) throw new RangeError(`${operation}: h must be finite, got ${h}`);
  const { runtime } = xs;

  /** The shape that f must give: dout's, or else that of its first result. */
  let expected: readonly number[] | undefined;

  /** f's values at x with element i set to value. */
  const evaluate = (i: number, value: number): ArrayLike<number> =>
    runtime.scope(() => {
      // Views are taken anew: f may have grown the memory.
      const old = xs.data[i] as number;
      xs.data[i] = value;
      try {
        const result = f(x);
        if (typeof result !== "number" && !(result instanceof TensorHandle)) {
          throw new TypeError(`${operation}: f must return a tensor or a number`);
        }
        const isNumber = typeof result === "number";
        const shape = isNumber ? [] : result.shape;
        expected ??= weights?.shape ?? shape;
        if (!sameShape(shape, expected)) {
          throw new ShapeError(
            `${operation}: f(x) must have shape ${formatShape(expected)}, got ${formatShape(shape)}`,
          );
        }
        return isNumber ? [result] : floatOperand(operation, "f(x)", result).toTypedArray();
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
 * max |a − b| / max(1e-8, |a| + |b|) over all elements: 0 for equal values, 1 for values that have
 * nothing in common; NaN where an element is. An empty pair gives 0.
 *
 * @throws ShapeError where the shapes differ
 */
export function relativeError(
  a: Tensor | ArrayLike<number> | number,
  b: Tensor | ArrayLike<number> | number,
): number {
  const [valuesA, shapeA] = valuesOf("a", a);
  const [valuesB, shapeB] = valuesOf("b", b);
  if (!sameShape(shapeA, shapeB)) {
    throw new ShapeError(
      `relativeError: a has shape ${formatShape(shapeA)} but b has ${formatShape(shapeB)}`,
    );
  }
  let most = 0;
  for (let i = 0; i < valuesA.length; i++) {
    const p = valuesA[i] as number;
    const q = valuesB[i] as number;
    if (p === q) continue; // equal infinities too
    // A NaN stays the largest.
    most = Math.max(most, Math.abs(p - q) / Math.max(1e-8, Math.abs(p) + Math.abs(q)));
  }
  return most;
}

function valuesOf(name: string, value: unknown): [ArrayLike<number>, readonly number[]] {
  if (typeof value === "number") return [[value], []];
  if (value instanceof TensorHandle) {
    return [liveTensor("relativeError", name, value).data, value.shape];
  }
  const isArray = Array.isArray(value) || kindOf(value) !== undefined;
  const numbers = isArray ? numbersOf("relativeError", name, value, "float64") : undefined;
  if (numbers?.shape.length !== 1) {
    throw new TypeError(
      `relativeError: ${name} must be a tensor, an array of numbers or a number, got ${numbers ? "an array of something else" : describe(value)}`,
    );
  }
  return [numbers.part(0, numbers.size), numbers.shape];
}
