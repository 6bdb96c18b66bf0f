import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkRange, finite } from "../tensor/numbers.ts";
import { checkAliases, checkCache } from "../tensor/operands.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

const KEYS = ["out", "negativeSlope"];

/** What leakyReluForward leaves for leakyReluBackward: its operand, by reference, and the slope. */
export interface LeakyReluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly negativeSlope: number;
}

class LeakyReluState<D extends FloatDType> extends UnaryState<D> implements LeakyReluCache<D> {
  get x(): Tensor<D> {
    return this.saved.kept;
  }

  get negativeSlope(): number {
    return this.saved.slope;
  }
}

/**
 * Leaky rectified linear unit: out = x where x > 0, else negativeSlope · x, element by element, for any shape. NaN
 * stays NaN.
 *
 * In place the backward still holds, as a slope of 0 or more leaves the signs; with one below 0 it is refused.
 *
 * Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.
 *
 * @param options.negativeSlope a finite number; default 0.01
 * @param options.out a tensor to write into; x itself serves unless negativeSlope is below 0
 * @throws RangeError for a slope that is no finite number; ShapeError, DTypeError, AliasError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function leakyReluForward<D extends FloatDType>(
  x: Tensor<D>,
  options: { negativeSlope?: number | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: LeakyReluCache<D> } {
  const operation = "leakyReluForward";
  const slope = options?.negativeSlope ?? 0.01;
  const { out, x: xs } = unaryForward(
    operation,
    x,
    options,
    (kernels, out, x) => kernels.leaky_relu_forward(out.address, x.address, x.size, slope),
    (x, given) => {
      checkRange(operation, "negativeSlope", finite, slope);
      if (slope < 0) {
        const reason = "with a negativeSlope below 0 leakyReluBackward needs x";
        checkAliases(operation, [["out", given]], [["x", x]], reason);
      }
    },
    KEYS,
  );
  return { out, cache: xs.runtime.own(new LeakyReluState<D>(operation, xs, xs.shape, slope)) };
}

/**
 * Gradient of leakyReluForward: dx = dout where x > 0, else negativeSlope · dout; so the slope at x = 0.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a cache of
 *   another call
 */
export function leakyReluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: LeakyReluCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "leakyReluBackward";
  const state = checkCache<UnarySaved<D>>(operation, cache, "leakyReluForward");
  const { kept: x, slope } = state;
  return unaryBackward(operation, dout, state, options, (kernels, dx, dout) =>
    kernels.leaky_relu_backward(dx.address, dout.address, x.address, dout.size, slope),
  );
}
