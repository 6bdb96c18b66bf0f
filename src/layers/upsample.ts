import { CoreConstants } from "../runtime/abi.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  destination,
  floatOperand,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Pair, placed, placeTransposed, readSize, type Size } from "../tensor/window.ts";
import {
  type Image,
  type ImageLayout,
  imageCall,
  imageOf,
  resized,
  shapeOf,
  type WindowOf,
} from "./images.ts";

/** How much larger images become. */
export interface Upsample2dParam {
  /** [height, width], or one number for both; whole numbers. */
  readonly scale: Size;
  /** Where the channels are; default "NCHW". */
  readonly layout?: ImageLayout | undefined;
}

/** What upsample2dForward leaves for upsample2dBackward: the shapes. */
export interface Upsample2dCache<D extends FloatDType = FloatDType> extends Cache {
  readonly dtype: D;
}

interface UpsampleSaved extends Saved {
  readonly image: Image;
  readonly large: Image;
  readonly window: WindowOf;
}

class UpsampleState<D extends FloatDType>
  extends SavedState<UpsampleSaved>
  implements Upsample2dCache<D>
{
  get dtype(): D {
    return this.saved.dtype as D;
  }
}

const one: Pair = [1, 1];

/**
 * Makes images larger by whole numbers: every pixel of x becomes a block of pixels with its value
 * (nearest neighbour).
 *
 * x (N, C, H, W) → out (N, C, H · scale[0], W · scale[1]); with layout "NHWC" x is (N, H, W, C).
 *
 * @param upsampleParam.scale [height, width], or one number for both; it has to be given
 * @param upsampleParam.layout default "NCHW"
 * @param options.out a tensor to write into; it may not share data with x
 * @throws RangeError for a scale or a layout that is none; ShapeError for another rank and where no
 *   pixel comes out; DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for what is no tensor
 */
export function upsample2dForward<D extends FloatDType>(
  x: Tensor<D>,
  upsampleParam: Upsample2dParam,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: Upsample2dCache<D> } {
  const operation = "upsample2dForward";
  checkKeys(operation, "options", options, ["out"]);
  checkKeys(operation, "upsampleParam", upsampleParam, ["scale", "layout"]);
  const { out: wanted } = options; // once, and before the operands are looked at
  const { scale, layout } = upsampleParam;
  const xs = floatOperand(operation, "x", x);
  const block = readSize(operation, "scale", scale, 2);
  const image = imageOf(operation, "x", xs, 2, layout);
  // A block is a window that a pixel is the sum of, backward.
  const sliding = {
    kernel: block,
    stride: block,
    dilation: one,
    padding: [0, 0, 0, 0] as const,
  };
  const { out: size } = placed(operation, placeTransposed(image.size, sliding, [0, 0], 2));
  const large = resized(image, size);
  const given = destination(operation, "out", wanted, shapeOf(large), "x", xs);
  checkAliases(operation, [["out", given]], [["x", xs]]);

  const { runtime, dtype } = xs;
  const placement = { out: image.size, top: 0, left: 0 };
  const window: WindowOf = [size, image.C, sliding, placement];
  const { average_pool_backward } = runtime.kernels(dtype);
  const out = imageCall(xs, image, large, given, window, () => (to, x, window) => {
    average_pool_backward(to, x, window, image.N, CoreConstants.divideByNothing);
  });
  const saved = { operation, runtime, dtype, outShape: out.shape, image, large, window };
  return { out, cache: runtime.own(new UpsampleState<D>(saved, [])) };
}

/**
 * Gradient of upsample2dForward: each pixel gets the sum of dout over its block.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function upsample2dBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: Upsample2dCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "upsample2dBackward";
  checkKeys(operation, "options", options, ["dx"]);
  const { dx: wanted } = options;
  const state = checkCache<UpsampleSaved>(operation, cache, "upsample2dForward");
  const up = upstream(operation, dout, state);
  const { image, large, window, runtime } = state;
  const given = destination(operation, "dx", wanted, shapeOf(image), "the cache", state);
  checkAliases(operation, [["dx", given]], [["dout", up]]);
  const { average_pool_forward } = runtime.kernels(up.dtype);
  return imageCall(up, large, image, given, window, () => (dx, dout, window) => {
    average_pool_forward(dx, dout, window, image.N, CoreConstants.divideByNothing);
  });
}
