import { ShapeError } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  destination,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape } from "../tensor/shape.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import { unaryForward } from "./unary.ts";

/** What preluForward leaves for preluBackward: its operands, by reference. */
export interface PreluCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly slope: Tensor<D>;
}

interface PreluSaved<D extends FloatDType> extends Saved {
  readonly x: TensorHandle<D>;
  readonly slope: TensorHandle<D>;
}

class PreluState<D extends FloatDType> extends SavedState<PreluSaved<D>> implements PreluCache<D> {
  constructor(operation: string, operands: readonly [TensorHandle<D>, TensorHandle<D>]) {
    const [x, slope] = operands.map((tensor) => tensor.alias()) as [
      TensorHandle<D>,
      TensorHandle<D>,
    ];
    const { runtime, dtype, shape: outShape } = x;
    super({ operation, runtime, dtype, outShape, x, slope }, [x, slope]);
  }

  get x(): Tensor<D> {
    return this.saved.x;
  }

  get slope(): Tensor<D> {
    return this.saved.slope;
  }
}

/** Which axis has the channels: PyTorch's. */
const channelsOf = ({ shape }: TensorHandle) => (shape.length < 2 ? 1 : (shape[1] as number));

/** The kernels' lengths: N examples of C channels of L elements. */
function lengthsOf({ shape, size }: TensorHandle, C: number): [N: number, C: number, L: number] {
  if (C === 1) return [1, 1, size];
  const N = shape[0] as number;
  return [N, C, N && size / (N * C)];
}

/**
 * ReLU with a slope for each channel: out = x where x > 0, else slope · x, element by element. NaN
 * stays NaN.
 *
 * x (N, C, …), or of rank 0 or 1 with one channel; slope (C,), or (1,) for all channels → out, of
 * x's shape. The channels are where PyTorch has them; a model's layer, whose images are channels
 * last, has them in the last axis.
 *
 * He et al., "Delving Deep into Rectifiers", 2015, arXiv:1502.01852.
 *
 * @param options.out a tensor to write into; it may not share data with x, which the backward
 *   needs, or with slope
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for what is no tensor
 */
export function preluForward<D extends FloatDType>(
  x: Tensor<D>,
  slope: Tensor<NoInfer<D>>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: PreluCache<D> } {
  const operation = "preluForward";
  let slopes = {} as TensorHandle<D>;
  const { out, x: xs } = unaryForward(
    operation,
    x,
    options,
    (kernels, out, x) =>
      kernels.prelu_forward(out.address, x.address, slopes.address, ...lengthsOf(x, slopes.size)),
    (x, given) => {
      slopes = operandLike(operation, "slope", slope, "x", x);
      const C = channelsOf(x);
      const [length] = slopes.shape;
      if (slopes.shape.length !== 1 || (length !== 1 && length !== C)) {
        throw new ShapeError(
          `${operation}: slope must have shape (${C},)${C === 1 ? "" : " or (1,)"}, as x has shape ${formatShape(x.shape)}, got ${formatShape(slopes.shape)}`,
        );
      }
      const operands = [
        ["x", x],
        ["slope", slopes],
      ] as const;
      checkAliases(operation, [["out", given]], operands, "preluBackward needs both");
    },
  );
  return { out, cache: xs.runtime.own(new PreluState<D>(operation, [xs, slopes])) };
}

/** Where a gradient is written: a tensor of its shape, or false to leave it out. */
type Target<D extends FloatDType> = Tensor<NoInfer<D>> | false | undefined;

/**
 * Gradients of preluForward: dx = dout where x > 0, else dout · slope, and so the slope at x = 0;
 * dslope is the sum of dout · x over the elements of its channel where x ≤ 0, taken in float64.
 *
 * @param options.dx a tensor to write into, dout itself serves; false leaves it out
 * @param options.dslope a tensor to write into, which shares data with nothing; false leaves it out
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function preluBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: PreluCache<NoInfer<D>>,
  options: { dx?: Target<D>; dslope?: Target<D> } = {},
): { dx: Tensor<D> | undefined; dslope: Tensor<D> | undefined } {
  const operation = "preluBackward";
  const state = checkCache<PreluSaved<D>>(operation, cache, "preluForward");
  checkKeys(operation, "options", options, ["dx", "dslope"]);
  const { dx: wanted, dslope: wantedSlope } = options;
  const up = upstream(operation, dout, state);
  const { x, slope, runtime, dtype } = state;
  const dx = destination(operation, "dx", wanted, x.shape, "the cache", state);
  const dslope = destination(operation, "dslope", wantedSlope, slope.shape, "the cache", state);
  const held = [
    ["the cache's x", x],
    ["the cache's slope", slope],
  ] as const;
  checkAliases(
    operation,
    [
      ["dslope", dslope],
      ["dx", dx],
    ],
    held,
  );
  checkAliases(operation, [["dslope", dslope]], [["dout", up]]);
  return runtime.atomically(() => {
    const own = wanted === false ? undefined : (dx ?? runtime.create(dtype, x.shape));
    const ownSlope =
      wantedSlope === false ? undefined : (dslope ?? runtime.create(dtype, slope.shape));
    runtime
      .kernels(dtype)
      .prelu_backward(
        own?.address ?? 0,
        ownSlope?.address ?? 0,
        up.address,
        x.address,
        slope.address,
        ...lengthsOf(x, slope.size),
      );
    return { dx: own as Tensor<D> | undefined, dslope: ownSlope as Tensor<D> | undefined };
  });
}
