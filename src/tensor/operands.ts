// The checks that every call makes before a kernel runs: what was expected, what was given, which
// argument of which call.

import {
  AliasError,
  cut,
  DisposedError,
  DTypeError,
  describe as describeValue,
  RuntimeMismatchError,
  ShapeError,
} from "../runtime/errors.ts";
import { type Saved, SavedState } from "./cache.ts";
import type { FloatDType } from "./dtype.ts";
import { Resource } from "./scope.ts";
import { formatShape, sameShape } from "./shape.ts";
import { type Tensor, TensorHandle, type TensorRuntime } from "./tensor.ts";

/** As describe of errors.ts, and it tells tensors and caches from other objects too. */
export function describe(value: unknown): string {
  try {
    if (value instanceof TensorHandle) return "a tensor";
    const { toTypedArray, operation, dispose } = Object(value) as Partial<Tensor & SavedState>;
    if (typeof toTypedArray === "function") return "a tensor of another copy of this package";
    if (typeof operation === "string" && typeof dispose === "function") {
      // Caches are told by Resource and not by their own class, which a bundle without layers
      // lacks.
      const isOurs = value instanceof Resource;
      return isOurs ? `that of ${cut(operation)}` : "one of another copy of this package";
    }
  } catch {} // a getter of the caller's
  return describeValue(value);
}

/** Refuses a value that stands where an object of parameters should. */
export function checkObject(operation: string, name: string, value: unknown): void {
  // A Promise has none of the keys that are looked for.
  if (value === null || typeof value !== "object" || value instanceof Promise) {
    throw new TypeError(`${operation}: ${name} must be an object, got ${describe(value)}`);
  }
}

/** A tensor of this package that is not disposed, nor its runtime. */
export function liveTensor(operation: string, name: string, value: unknown): TensorHandle {
  if (!(value instanceof TensorHandle)) {
    throw new TypeError(`${operation}: ${name} must be a tensor, got ${describe(value)}`);
  }
  if (value.disposed) throw new DisposedError(`${operation}: ${name} has been disposed`);
  if (value.runtime.disposed) {
    throw new DisposedError(`${operation}: ${name}'s runtime has been disposed`);
  }
  return value;
}

/** The first operand of a call: a live tensor of a floating dtype. */
export function floatOperand<D extends FloatDType>(
  operation: string,
  name: string,
  value: Tensor<D>,
): TensorHandle<D> {
  const tensor = liveTensor(operation, name, value);
  if (tensor.dtype === "int32") {
    throw new DTypeError(`${operation}: ${name} must be float32 or float64, got int32`);
  }
  return tensor as TensorHandle as TensorHandle<D>;
}

/** A further operand: a live tensor of the first one's runtime and dtype. */
export function operandLike<D extends FloatDType>(
  operation: string,
  name: string,
  value: Tensor<D>,
  firstName: string,
  first: { runtime: TensorRuntime; dtype: FloatDType },
): TensorHandle<D> {
  const tensor = liveTensor(operation, name, value);
  if (tensor.runtime !== first.runtime) {
    throw new RuntimeMismatchError(
      `${operation}: ${name} and ${firstName} belong to different runtimes`,
    );
  }
  if (tensor.dtype !== first.dtype) {
    throw new DTypeError(
      `${operation}: ${name} is ${tensor.dtype} but ${firstName} is ${first.dtype}`,
    );
  }
  return tensor as TensorHandle as TensorHandle<D>;
}

/** Refuses a tensor of another shape. */
export function checkTensorShape(
  operation: string,
  name: string,
  tensor: TensorHandle,
  shape: readonly number[],
): void {
  if (!sameShape(tensor.shape, shape)) {
    throw new ShapeError(
      `${operation}: ${name} must have shape ${formatShape(shape)}, got ${formatShape(tensor.shape)}`,
    );
  }
}

/** Refuses a tensor of another rank; `form` shows the shape that is due, as "(N, D)". */
export function checkRank(
  operation: string,
  name: string,
  tensor: TensorHandle,
  rank: number,
  form: string,
): void {
  if (tensor.shape.length !== rank) {
    throw new ShapeError(
      `${operation}: ${name} must have shape ${form}, got ${formatShape(tensor.shape)}`,
    );
  }
}

/** A tensor that a caller gave to be written into, undefined where there is none. */
export function destination<D extends FloatDType>(
  operation: string,
  name: string,
  value: Tensor<D> | false | undefined,
  shape: readonly number[],
  firstName: string,
  first: { runtime: TensorRuntime; dtype: FloatDType },
): TensorHandle<D> | undefined {
  if (value === undefined || value === false) return undefined;
  const tensor = operandLike(operation, name, value, firstName, first);
  checkTensorShape(operation, name, tensor, shape);
  return tensor;
}

/** A tensor of a call, by the name that errors give it; an absent destination is undefined. */
export type Named = readonly [name: string, tensor: TensorHandle | undefined];

/** Refuses a destination that shares its data with an operand, or with another destination. */
export function checkAliases(
  operation: string,
  destinations: readonly Named[],
  operands: readonly Named[],
  reason = "the operation is not elementwise",
): void {
  for (let i = 0; i < destinations.length; i++) {
    const target = (destinations[i] as Named)[1];
    if (!target || target.size === 0) continue;
    for (let k = 0; k < operands.length; k++) {
      refuseSame(operation, destinations[i] as Named, operands[k] as Named, reason);
    }
    for (let k = i + 1; k < destinations.length; k++) {
      refuseSame(operation, destinations[i] as Named, destinations[k] as Named, reason);
    }
  }
}

function refuseSame(operation: string, target: Named, other: Named, reason: string): void {
  if (other[1]?.storage === target[1]?.storage) {
    throw new AliasError(
      `${operation}: ${target[0]} shares its data with ${other[0]}, and ${reason}`,
    );
  }
}

/**
 * Returns what a cache holds that a backward call was given. It must be a live one of the forward
 * call that belongs to it.
 */
export function checkCache<S extends Saved>(operation: string, cache: unknown, forward: string): S {
  const saved = SavedState.savedOf(cache);
  if (saved?.operation !== forward) {
    throw new TypeError(
      `${operation}: cache must be the one that ${forward} returned, got ${describe(cache)}`,
    );
  }
  const state = cache as SavedState;
  if (state.disposed) throw new DisposedError(`${operation}: cache has been disposed`);
  if (!state.holdsAll()) {
    throw new DisposedError(`${operation}: a tensor that cache holds has been disposed`);
  }
  if (saved.runtime.disposed) {
    throw new DisposedError(`${operation}: the cache's runtime has been disposed`);
  }
  return saved as S;
}

/**
 * The gradient that enters a backward call: of the cache's runtime and dtype, and the forward
 * output's shape.
 */
export function upstream<D extends FloatDType>(
  operation: string,
  dout: Tensor<D>,
  cache: Saved,
): TensorHandle<D> {
  const tensor = operandLike(operation, "dout", dout, "the cache", cache);
  checkTensorShape(operation, "dout", tensor, cache.outShape);
  return tensor;
}
