// What the losses have in common, those of labels and those of targets: everything but the kernel.

import type { Kernels } from "../runtime/core.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { type Labels, labelsOf } from "../tensor/labels.ts";
import {
  checkAliases,
  checkRank,
  checkTensorShape,
  destination,
  floatOperand,
  liveTensor,
  operandLike,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor, TensorHandle, TensorRuntime } from "../tensor/tensor.ts";
import { type ClassWeights, checkClassWeights, fillRowWeights } from "./weights.ts";

const LABEL = ["dx", "classWeights"];
const TARGET = ["dx"];

/** A loss, and its gradient with respect to the scores unless `dx: false` left it out. */
export interface LossResult<D extends FloatDType, X = Tensor<D>> {
  loss: number;
  dx: X extends false ? undefined : Tensor<D>;
}

/** What the losses of labels may be asked. */
export interface LabelLossOptions<X = unknown> {
  /** A tensor to write the gradient into, or false to leave it out. */
  dx?: X | undefined;
  /** C numbers from 0 up, one a class; default 1 each. */
  classWeights?: ClassWeights | undefined;
}

type LabelKernel = (
  kernels: Kernels,
  dx: number,
  x: number,
  y: number,
  weights: number,
  N: number,
  C: number,
  W: number,
  runtime: TensorRuntime,
) => number;

/**
 * A loss of scores x (N, C) by their labels y (N,), the mean over the rows, weighted where there
 * are class weights.
 */
export function labelLoss<D extends FloatDType, X extends Tensor<D> | false>(
  operation: string,
  x: Tensor<D>,
  y: Labels,
  options: LabelLossOptions<X>,
  kernel: LabelKernel,
): LossResult<D, X> {
  checkKeys(operation, "options", options, LABEL);
  const { dx: wanted } = options;
  const xs = floatOperand(operation, "x", x);
  checkRank(operation, "x", xs, 2, "(N, C)");
  const N = xs.shape[0] as number;
  const C = xs.shape[1] as number;
  const given = destination(operation, "dx", wanted, xs.shape, "x", xs);
  checkAliases(operation, [["dx", given]], [["x", xs]]);
  if (N === 0) {
    throw new RangeError(`${operation}: x has no rows (N = 0), and the loss is a mean over them`);
  }
  const classWeights = checkClassWeights(operation, options.classWeights, C);
  const labels = labelsOf(operation, y, C, N, xs.runtime, "x");
  // To read them may have run code of the caller's.
  liveTensor(operation, "x", xs);
  if (given) liveTensor(operation, "dx", given);
  const { runtime } = xs;
  const own = labels.tensor;
  return runtime.withWorkspace(own ? 0 : 4 * N, (work) =>
    runtime.withWorkspace(classWeights ? 8 * N : 0, (weights) => {
      const { buffer } = runtime.linear.wasm;
      if (!own) labels.copyTo(new Int32Array(buffer, work, N), 0, N);
      const address = own ? own.address : work;
      let W = N;
      if (classWeights) {
        const classes = new Int32Array(buffer, address, N);
        W = fillRowWeights(new Float64Array(buffer, weights, N), classes, classWeights);
      }
      return withGradient(xs, given, wanted, (kernels, dx) =>
        kernel(kernels, dx, xs.address, address, weights, N, C, W, runtime),
      );
    }),
  );
}

type TargetKernel = (kernels: Kernels, dx: number, x: number, y: number, n: number) => number;

/** A loss of x, of any shape, by targets y of its shape and dtype, the mean over all elements. */
export function targetLoss<D extends FloatDType, X extends Tensor<D> | false>(
  operation: string,
  x: Tensor<D>,
  y: Tensor<D>,
  options: { dx?: X | undefined },
  kernel: TargetKernel,
): LossResult<D, X> {
  checkKeys(operation, "options", options, TARGET);
  const { dx: wanted } = options;
  const xs = floatOperand(operation, "x", x);
  const ys = operandLike(operation, "y", y, "x", xs);
  checkTensorShape(operation, "y", ys, xs.shape);
  const given = destination(operation, "dx", wanted, xs.shape, "x", xs);
  checkAliases(
    operation,
    [["dx", given]],
    [
      ["x", xs],
      ["y", ys],
    ],
  );
  if (xs.size === 0) {
    throw new RangeError(`${operation}: x has no elements, and the loss is a mean over them`);
  }
  return withGradient(xs, given, wanted, (kernels, dx) =>
    kernel(kernels, dx, xs.address, ys.address, xs.size),
  );
}

/**
 * Runs fn with the address of dx: of the one that was given, of a new one, or 0 where none is
 * wanted.
 */
function withGradient<D extends FloatDType, X>(
  { runtime, dtype, shape }: TensorHandle<D>,
  given: TensorHandle<D> | undefined,
  wanted: X | undefined,
  fn: (kernels: Kernels, dx: number) => number,
): LossResult<D, X> {
  return runtime.atomically(() => {
    const dx = given ?? (wanted === false ? undefined : runtime.create(dtype, shape));
    const loss = fn(runtime.kernels(dtype), dx?.address ?? 0);
    return { loss, dx } as LossResult<D, X>;
  });
}
