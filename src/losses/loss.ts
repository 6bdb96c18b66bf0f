// What the two losses have in common: everything but the kernel.

import type { Kernels } from "../runtime/core.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkObject,
  checkRank,
  destination,
  floatOperand,
  type Labels,
  withLabels,
} from "../tensor/operands.ts";
import type { LamellaRuntime } from "../tensor/runtime.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A loss, and its gradient with respect to the scores unless `dx: false` left it out. */
export interface LossResult<D extends FloatDType, X = Tensor<D>> {
  loss: number;
  dx: X extends false ? undefined : Tensor<D>;
}

type LossKernel = (
  kernels: Kernels,
  dx: number,
  x: number,
  y: number,
  N: number,
  C: number,
  runtime: LamellaRuntime,
) => number;

export function lossAndGradient<D extends FloatDType, X extends Tensor<D> | false>(
  operation: string,
  x: Tensor<D>,
  y: Labels,
  options: { dx?: X | undefined },
  kernel: LossKernel,
): LossResult<D, X> {
  checkObject(operation, "options", options);
  const xs = floatOperand(operation, "x", x);
  checkRank(operation, "x", xs, 2, "(N, C)");
  const N = xs.shape[0] as number;
  const C = xs.shape[1] as number;
  const given = destination(operation, "dx", options.dx, xs.shape, "x", xs);
  checkAliases(operation, [["dx", given]], [["x", xs]]);
  if (N === 0) {
    throw new RangeError(`${operation}: x has no rows (N = 0), and the loss is a mean over them`);
  }
  const { runtime, dtype } = xs;
  return withLabels(operation, y, xs, (labels) =>
    runtime.atomically(() => {
      const dx = given ?? (options.dx === false ? undefined : runtime.create(dtype, xs.shape));
      const address = dx?.address ?? 0;
      const loss = kernel(runtime.kernels(dtype), address, xs.address, labels, N, C, runtime);
      return { loss, dx } as LossResult<D, X>;
    }),
  );
}
