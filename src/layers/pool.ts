import { CoreConstants } from "../runtime/abi.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkRange, flag } from "../tensor/numbers.ts";
import {
  checkAliases,
  checkCache,
  destination,
  floatOperand,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import {
  type Axes,
  type Padding,
  type Padding1d,
  type Placement,
  placed,
  placeWindow,
  readPadding,
  readSize,
  type Size,
  type Sliding,
} from "../tensor/window.ts";
import {
  type Image,
  type ImageLayout,
  imageCall,
  imageOf,
  resized,
  type SequenceLayout,
  shapeOf,
  type WindowOf,
} from "./images.ts";

const OUT = ["out"];
const DX = ["dx"];
const MAX = ["kernel", "stride", "padding", "dilation", "ceil", "layout"];
const AVERAGE = ["kernel", "stride", "padding", "countPadding", "ceil", "layout"];

/** The windows of pooling, and the order of the axes. */
interface PoolParam<S, P, L> {
  /** [height, width] of the window, or one number for both. */
  readonly kernel: S;
  /** From one window to the next; default `kernel`. */
  readonly stride?: S | undefined;
  /** What lies around the image; default 0. */
  readonly padding?: P | undefined;
  /** Lets a last window begin inside the image and end outside it; default false. */
  readonly ceil?: boolean | undefined;
  /** Where the channels are; default second. */
  readonly layout?: L | undefined;
}

interface MaxParam<S, P, L> extends PoolParam<S, P, L> {
  /** From one cell of the window to the next; default 1. */
  readonly dilation?: S | undefined;
}

interface AverageParam<S, P, L> extends PoolParam<S, P, L> {
  /**
   * Divides by the window's cells in the padded image and not in the image alone; default false.
   */
  readonly countPadding?: boolean | undefined;
}

export interface MaxPool2dParam extends MaxParam<Size, Padding, ImageLayout> {}
export interface MaxPool1dParam extends MaxParam<number, Padding1d, SequenceLayout> {}
export interface AvgPool2dParam extends AverageParam<Size, Padding, ImageLayout> {}
export interface AvgPool1dParam extends AverageParam<number, Padding1d, SequenceLayout> {}

/**
 * What a forward call of pooling leaves for its backward: the shapes, and of max pooling which
 * cells were largest.
 */
export interface PoolCache<D extends FloatDType = FloatDType> extends Cache {
  /** The output's dtype, by which caches of two dtypes are told apart. */
  readonly dtype: D;
}

interface PoolSaved extends Saved {
  readonly image: Image;
  readonly sliding: Sliding;
  readonly placement: Placement;
  /** Undefined for an average. (N, OH, OW, C), whatever the layout. */
  readonly argmax: TensorHandle<"int32"> | undefined;
  readonly divisor: number;
}

class PoolState<D extends FloatDType> extends SavedState<PoolSaved> implements PoolCache<D> {
  get dtype(): D {
    return this.saved.dtype as D;
  }
}

type PoolOptions<D extends FloatDType> = { out?: Tensor<D> | undefined };

function poolForward<D extends FloatDType>(
  operation: string,
  axes: Axes,
  isLargest: boolean,
  x: Tensor<D>,
  poolParam: MaxParam<unknown, unknown, unknown> & AverageParam<unknown, unknown, unknown>,
  options: PoolOptions<D>,
): { out: Tensor<D>; cache: PoolCache<D> } {
  checkKeys(operation, "options", options, OUT);
  checkKeys(operation, "poolParam", poolParam, isLargest ? MAX : AVERAGE);
  const { out: wanted } = options; // once, and before the operands are looked at
  const {
    kernel,
    stride,
    padding,
    dilation,
    ceil = false,
    countPadding = false,
    layout,
  } = poolParam;
  const xs = floatOperand(operation, "x", x);
  const size = readSize(operation, "kernel", kernel, axes);
  const sliding: Sliding = {
    kernel: size,
    stride: stride === undefined ? size : readSize(operation, "stride", stride, axes),
    dilation: readSize(operation, "dilation", dilation, axes, 1),
    padding: readPadding(operation, padding, axes),
  };
  checkRange(operation, "ceil", flag, ceil);
  checkRange(operation, "countPadding", flag, countPadding);
  const image = imageOf(operation, "x", xs, axes, layout);
  const found = placeWindow(image.size, sliding, axes, { ceil, everywhere: !isLargest });
  const placement = placed(operation, found);
  const pooled = resized(image, placement.out);
  const given = destination(operation, "out", wanted, shapeOf(pooled), "x", xs);
  checkAliases(operation, [["out", given]], [["x", xs]]);

  const { runtime, dtype } = xs;
  const { N, C } = image;
  const divisor = countPadding ? CoreConstants.divideByPadded : CoreConstants.divideByImage;
  const kernels = runtime.kernels(dtype);
  let argmax: TensorHandle<"int32"> | undefined;
  const window: WindowOf = [image.size, C, sliding, placement];
  const out = imageCall(xs, image, pooled, given, window, (shape) => {
    if (!isLargest) {
      return (to, x, window) => kernels.average_pool_forward(to, x, window, N, divisor);
    }
    const indices = runtime.create("int32", shape);
    argmax = indices;
    return (to, x, window) => kernels.max_pool_forward(to, indices.address, x, window, N);
  });
  const saved: PoolSaved = {
    ...{ operation, runtime, dtype, outShape: out.shape },
    ...{ image, sliding, placement, argmax, divisor },
  };
  return { out, cache: runtime.own(new PoolState<D>(saved, argmax ? [argmax] : [])) };
}

function poolBackward<D extends FloatDType>(
  operation: string,
  forward: string,
  dout: Tensor<D>,
  cache: PoolCache<D>,
  options: { dx?: Tensor<D> | undefined },
): Tensor<D> {
  checkKeys(operation, "options", options, DX);
  const { dx: wanted } = options;
  const state = checkCache<PoolSaved>(operation, cache, forward);
  const up = upstream(operation, dout, state);
  const { image, sliding, placement, argmax, divisor, runtime } = state;
  const shape = shapeOf(image);
  const given = destination(operation, "dx", wanted, shape, "the cache", state);
  checkAliases(operation, [["dx", given]], [["dout", up]]);

  const { N, C, size } = image;
  const kernels = runtime.kernels(up.dtype);
  const window: WindowOf = [size, C, sliding, placement];
  const pooled = resized(image, placement.out);
  return imageCall(up, pooled, image, given, window, () => (dx, dout, window) => {
    if (argmax) kernels.max_pool_backward(dx, dout, argmax.address, window, N);
    else kernels.average_pool_backward(dx, dout, window, N, divisor);
  });
}

/**
 * Max pooling of images: the largest value of each window, channel by channel.
 *
 * x (N, C, H, W) → out (N, C, OH, OW), with OH = ⌊(H + top + bottom − dilation · (KH − 1) − 1) /
 * stride⌋ + 1 and OW likewise; `ceil` rounds up, and drops a window that would begin beyond the
 * image. Padding is −∞. A NaN is the largest. With layout "NHWC" x is (N, H, W, C), which saves two
 * permutations.
 *
 * @param poolParam.kernel [height, width], or one number for both; it has to be given
 * @param poolParam.stride default kernel
 * @param poolParam.padding "same", "valid", a number, [height, width] or { top, left, bottom, right
 *   }; default 0
 * @param poolParam.dilation default 1
 * @param poolParam.ceil default false
 * @param poolParam.layout default "NCHW"
 * @param options.out a tensor to write into; it may not share data with x
 * @throws RangeError for a setting that is none; ShapeError where no pixel comes out, and for
 *   another rank; DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for what is no tensor and for unknown keys
 */
export function maxPool2dForward<D extends FloatDType>(
  x: Tensor<D>,
  poolParam: MaxPool2dParam,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: PoolCache<D> } {
  return poolForward("maxPool2dForward", 2, true, x, poolParam, options);
}

/**
 * Gradient of maxPool2dForward: each window's dout goes to the cell that its largest value is of,
 * of equal ones the first in row-major order; a cell of several windows gets their sum.
 *
 * dout (N, C, OH, OW) → dx (N, C, H, W), both in the forward's layout.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function maxPool2dBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: PoolCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return poolBackward("maxPool2dBackward", "maxPool2dForward", dout, cache, options);
}

/**
 * Average pooling of images: the mean of each window, channel by channel.
 *
 * x (N, C, H, W) → out (N, C, OH, OW), sized as maxPool2dForward's. A sum is divided by the
 * window's cells inside the image, as ONNX and TensorFlow do; with `countPadding` by those inside
 * the padded image, as PyTorch does.
 *
 * @param poolParam kernel, stride, padding, ceil and layout as maxPool2dForward has them
 * @param poolParam.countPadding default false
 * @param options.out a tensor to write into; it may not share data with x
 * @throws ShapeError where a window would lie in the padding alone; otherwise as maxPool2dForward
 */
export function avgPool2dForward<D extends FloatDType>(
  x: Tensor<D>,
  poolParam: AvgPool2dParam,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: PoolCache<D> } {
  return poolForward("avgPool2dForward", 2, false, x, poolParam, options);
}

/**
 * Gradient of avgPool2dForward: every cell of a window gets its dout, divided by what the forward
 * divided by.
 *
 * dout (N, C, OH, OW) → dx (N, C, H, W), both in the forward's layout.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws as maxPool2dBackward
 */
export function avgPool2dBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: PoolCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return poolBackward("avgPool2dBackward", "avgPool2dForward", dout, cache, options);
}

/**
 * Max pooling of sequences, as maxPool2dForward of images: x (N, C, L) → out (N, C, OL). Sizes are
 * numbers, padding is "same", "valid", a number or { left, right }, and the layouts are "NCL"
 * (default) and "NLC".
 *
 * @param options.out a tensor to write into; it may not share data with x
 * @throws as maxPool2dForward
 */
export function maxPool1dForward<D extends FloatDType>(
  x: Tensor<D>,
  poolParam: MaxPool1dParam,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: PoolCache<D> } {
  return poolForward("maxPool1dForward", 1, true, x, poolParam, options);
}

/**
 * Gradient of maxPool1dForward, as maxPool2dBackward.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws as maxPool2dBackward
 */
export function maxPool1dBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: PoolCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return poolBackward("maxPool1dBackward", "maxPool1dForward", dout, cache, options);
}

/**
 * Average pooling of sequences, as avgPool2dForward of images: x (N, C, L) → out (N, C, OL). Sizes
 * are numbers, padding is "same", "valid", a number or { left, right }, and the layouts are "NCL"
 * (default) and "NLC".
 *
 * @param options.out a tensor to write into; it may not share data with x
 * @throws as avgPool2dForward
 */
export function avgPool1dForward<D extends FloatDType>(
  x: Tensor<D>,
  poolParam: AvgPool1dParam,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: PoolCache<D> } {
  return poolForward("avgPool1dForward", 1, false, x, poolParam, options);
}

/**
 * Gradient of avgPool1dForward, as avgPool2dBackward.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws as maxPool2dBackward
 */
export function avgPool1dBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: PoolCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  return poolBackward("avgPool1dBackward", "avgPool1dForward", dout, cache, options);
}
