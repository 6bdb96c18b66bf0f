// What the layers of one operand have in common, whose output has its shape: everything but the
// kernel and what is saved.

import type { Kernels } from "../runtime/core.ts";
import { type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { destination, floatOperand, upstream } from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";

const FORWARD = ["out"];
const BACKWARD = ["dx"];

/** What their caches hold: one tensor, and what the layer adds. */
export interface UnarySaved<D extends FloatDType> extends Saved {
  readonly kept: TensorHandle<D>;
}

export abstract class UnaryState<
  D extends FloatDType,
  S extends UnarySaved<D> = UnarySaved<D>,
> extends SavedState<S> {
  /** Holds a handle of its own on the tensor. */
  constructor(
    operation: string,
    tensor: TensorHandle<D>,
    more: Omit<S, keyof UnarySaved<D>> & { readonly outShape?: readonly number[] },
  ) {
    const { runtime, dtype, shape } = tensor;
    const kept = tensor.alias();
    super({ operation, runtime, dtype, outShape: shape, kept, ...more } as unknown as S, [kept]);
  }
}

/**
 * Runs a forward kernel into options.out or a new tensor.
 * @param check what the layer asks for beyond a floating dtype and an out of x's shape
 * @param known the keys of its options
 */
export function unaryForward<D extends FloatDType>(
  operation: string,
  x: Tensor<D>,
  options: { out?: Tensor<D> | undefined },
  kernel: (kernels: Kernels, out: TensorHandle<D>, x: TensorHandle<D>) => void,
  check?: (x: TensorHandle<D>, given: TensorHandle<D> | undefined) => void,
  known: readonly string[] = FORWARD,
): { x: TensorHandle<D>; out: TensorHandle<D> } {
  checkKeys(operation, "options", options, known);
  const { out: wanted } = options; // once, and before the operands are looked at
  const xs = floatOperand(operation, "x", x);
  const given = destination(operation, "out", wanted, xs.shape, "x", xs);
  check?.(xs, given);
  const { runtime, dtype } = xs;
  const out = given ?? runtime.create(dtype, xs.shape);
  kernel(runtime.kernels(dtype), out, xs);
  return { x: xs, out };
}

/**
 * Runs a backward kernel into options.dx or a new tensor; the cache has been checked.
 * @param check as in unaryForward
 */
export function unaryBackward<D extends FloatDType>(
  operation: string,
  dout: Tensor<D>,
  state: Saved,
  options: { dx?: Tensor<D> | undefined },
  kernel: (kernels: Kernels, dx: TensorHandle<D>, dout: TensorHandle<D>) => void,
  check?: (dout: TensorHandle<D>, given: TensorHandle<D> | undefined) => void,
): Tensor<D> {
  checkKeys(operation, "options", options, BACKWARD);
  const { dx: wanted } = options;
  const up = upstream(operation, dout, state);
  const given = destination(operation, "dx", wanted, up.shape, "the cache", state);
  check?.(up, given);
  const { runtime, dtype } = up;
  const dx = given ?? runtime.create(dtype, up.shape);
  kernel(runtime.kernels(dtype), dx, up);
  return dx;
}
