import { show } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import { type FloatDType, itemSize } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  destination,
  floatOperand,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Padding, type Pair, placed, placeWindow, readPadding } from "../tensor/window.ts";
import {
  type Image,
  type ImageLayout,
  imageCall,
  imageOf,
  resized,
  shapeOf,
  type WindowOf,
} from "./images.ts";

/** What zeroPad2dForward leaves for zeroPad2dBackward: the shapes. */
export interface ZeroPad2dCache<D extends FloatDType = FloatDType> extends Cache {
  readonly dtype: D;
}

interface PadSaved extends Saved {
  readonly image: Image;
  readonly padded: Image;
  readonly window: WindowOf;
}

class PadState<D extends FloatDType> extends SavedState<PadSaved> implements ZeroPad2dCache<D> {
  get dtype(): D {
    return this.saved.dtype as D;
  }
}

const one: Pair = [1, 1];

/**
 * Puts zeros around images.
 *
 * x (N, C, H, W) → out (N, C, top + H + bottom, left + W + right); with layout "NHWC" x is (N, H,
 * W, C).
 *
 * @param padding a number, [height, width] or { top, left, bottom, right }
 * @param options.layout default "NCHW"
 * @param options.out a tensor to write into; it may not share data with x
 * @throws RangeError for a padding or a layout that is none; ShapeError for another rank and where
 *   no pixel comes out; DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError,
 *   and TypeError for what is no tensor
 */
export function zeroPad2dForward<D extends FloatDType>(
  x: Tensor<D>,
  padding: Exclude<Padding, "same">,
  options: { layout?: ImageLayout | undefined; out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: ZeroPad2dCache<D> } {
  const operation = "zeroPad2dForward";
  checkKeys(operation, "options", options, ["layout", "out"]);
  const { layout, out: wanted } = options; // once, and before the operands are looked at
  const xs = floatOperand(operation, "x", x);
  const edges = readPadding(operation, padding, 2);
  if (edges === "same" || padding === undefined) {
    throw new RangeError(
      `${operation}: padding must be whole numbers from 0 up, got ${show(padding)}`,
    );
  }
  const image = imageOf(operation, "x", xs, 2, layout);
  // Every cell of the padded image is a window of one.
  const sliding = { kernel: one, stride: one, dilation: one, padding: edges };
  const placement = placed(operation, placeWindow(image.size, sliding, 2));
  const padded = resized(image, placement.out);
  const given = destination(operation, "out", wanted, shapeOf(padded), "x", xs);
  checkAliases(operation, [["out", given]], [["x", xs]]);

  const { runtime, dtype } = xs;
  const window: WindowOf = [image.size, image.C, sliding, placement];
  const out = imageCall(xs, image, padded, given, window, () => (to, x, window) => {
    const { zero_pad_forward } = runtime.core.exports;
    zero_pad_forward(to, x, window, image.N, image.C * itemSize[dtype]);
  });
  const saved = { operation, runtime, dtype, outShape: out.shape, image, padded, window };
  return { out, cache: runtime.own(new PadState<D>(saved, [])) };
}

/**
 * Gradient of zeroPad2dForward: dout without what is around the images.
 *
 * @param options.dx a tensor to write into; it may not share data with dout
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function zeroPad2dBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: ZeroPad2dCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "zeroPad2dBackward";
  checkKeys(operation, "options", options, ["dx"]);
  const { dx: wanted } = options;
  const state = checkCache<PadSaved>(operation, cache, "zeroPad2dForward");
  const up = upstream(operation, dout, state);
  const { image, padded, window, runtime } = state;
  const given = destination(operation, "dx", wanted, shapeOf(image), "the cache", state);
  checkAliases(operation, [["dx", given]], [["dout", up]]);
  return imageCall(up, padded, image, given, window, () => (dx, dout, window) => {
    const { zero_pad_backward } = runtime.core.exports;
    zero_pad_backward(dx, dout, window, image.N, image.C * itemSize[up.dtype]);
  });
}
