import { ShapeError } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkCount } from "../tensor/numbers.ts";
import {
  checkAliases,
  checkCache,
  checkRank,
  destination,
  floatOperand,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape } from "../tensor/shape.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import {
  type Axes,
  checkOutputPadding,
  type Padding,
  type Padding1d,
  placed,
  placeTransposed,
  placeWindow,
  readOutputPadding,
  readPadding,
  readSize,
  type Size,
  type Sliding,
} from "../tensor/window.ts";
import { type Channels, channelsLast, scratchBytes } from "./axes.ts";
import {
  type Image,
  type ImageLayout,
  imageOf,
  resized,
  type SequenceLayout,
  shapeOf,
  type WindowOf,
  withWindow,
} from "./images.ts";
import type { Gradient } from "./norm.ts";

const OUT = ["out"];
const BACKWARD = ["dx", "dw", "db"];
const PARAM = ["stride", "padding", "dilation", "groups", "layout"];
const TRANSPOSED = [...PARAM, "outputPadding"];

/** How the filters of a convolution slide, and the order of the axes. */
interface Param<S, P, L> {
  /** From one window to the next; default 1. */
  readonly stride?: S | undefined;
  /** The zeros around the image; default 0. */
  readonly padding?: P | undefined;
  /** From one cell of a filter to the next; default 1. */
  readonly dilation?: S | undefined;
  /**
   * So many groups of neighbouring channels, each with filters of its own; it divides the channels
   * that come in and those that come out. Default 1.
   */
  readonly groups?: number | undefined;
  /** Where the channels are; default second. */
  readonly layout?: L | undefined;
}

export interface ConvParam extends Param<Size, Padding, ImageLayout> {}
export interface Conv1dParam extends Param<number, Padding1d, SequenceLayout> {}
export interface ConvTranspose2dParam extends ConvParam {
  /** What is added to the output's sizes at bottom and right; default 0. */
  readonly outputPadding?: Size | undefined;
}

/**
 * What a forward call of a convolution leaves for its backward: its operands, by reference and in
 * their own layout.
 */
export interface ConvCache<
  D extends FloatDType = FloatDType,
  B extends Tensor<D> | null = Tensor<D> | null,
> extends Cache {
  readonly x: Tensor<D>;
  readonly w: Tensor<D>;
  readonly b: B;
}

interface ConvSaved<D extends FloatDType> extends Saved {
  readonly x: TensorHandle<D>;
  readonly w: TensorHandle<D>;
  /** Undefined where there is no bias. */
  readonly b: TensorHandle<D> | undefined;
  readonly image: Image;
  /** (F, C/groups, KH · KW), or the other way round; of a transposed one (C, F/groups, KH · KW). */
  readonly filter: Omit<Channels, "address">;
  /** What comes out. */
  readonly made: Image;
  readonly window: WindowOf;
}

class ConvState<D extends FloatDType, B extends Tensor<D> | null>
  extends SavedState<ConvSaved<D>>
  implements ConvCache<D, B>
{
  get x(): Tensor<D> {
    return this.saved.x;
  }

  get w(): Tensor<D> {
    return this.saved.w;
  }

  get b(): B {
    return (this.saved.b ?? null) as Tensor<D> | null as B;
  }
}

type Bias<D extends FloatDType> = Tensor<D> | null;
type Result<D extends FloatDType, B extends Bias<D>> = { out: Tensor<D>; cache: ConvCache<D, B> };

function convForward<D extends FloatDType, B extends Bias<D>>(
  operation: string,
  axes: Axes,
  isTransposed: boolean,
  x: Tensor<D>,
  w: Tensor<D>,
  b: B,
  convParam: Param<unknown, unknown, unknown> & { outputPadding?: unknown },
  options: { out?: Tensor<D> | undefined },
): Result<D, B> {
  checkKeys(operation, "options", options, OUT);
  checkKeys(operation, "convParam", convParam, isTransposed ? TRANSPOSED : PARAM);
  const { out: wanted } = options; // once, and before the operands are looked at
  const { stride, padding, dilation, groups = 1, outputPadding, layout } = convParam;
  const xs = floatOperand(operation, "x", x);
  const ws = operandLike(operation, "w", w, "x", xs);
  const bs = b === null ? undefined : operandLike<D>(operation, "b", b as Tensor<D>, "x", xs);
  const steps = {
    stride: readSize(operation, "stride", stride, axes, 1),
    dilation: readSize(operation, "dilation", dilation, axes, 1),
    padding: readPadding(operation, padding, axes),
  };
  checkCount(operation, "groups", groups);
  const more = readOutputPadding(operation, outputPadding, axes);
  checkOutputPadding(operation, more, { ...steps, kernel: [1, 1] }, axes);

  const image = imageOf(operation, "x", xs, axes, layout);
  const { N, C, isLast } = image;
  // Of a transposed convolution the filters are those of the one that it is the gradient of, whose
  // outputs are the channels of x.
  const [rows, columns] = isTransposed ? ["C", "F/groups"] : ["F", "C/groups"];
  const cells = axes === 1 ? "K" : "KH, KW";
  const form = isLast ? `(${cells}, ${columns}, ${rows})` : `(${rows}, ${columns}, ${cells})`;
  checkRank(operation, "w", ws, 2 + axes, form);
  const size = isLast ? ws.shape.slice(0, axes) : ws.shape.slice(2);
  const ends = isLast ? ws.shape.slice(axes).reverse() : ws.shape.slice(0, 2);
  const [filters, depth] = ends as [number, number];
  const sliding: Sliding = {
    ...steps,
    kernel: [axes === 1 ? 1 : (size[0] as number), size.at(-1) as number],
  };
  const cellsOf = sliding.kernel[0] * sliding.kernel[1];
  if (cellsOf === 0) {
    throw new ShapeError(
      `${operation}: w has shape ${formatShape(ws.shape)}, in which a filter has no cell`,
    );
  }
  const taken = isTransposed ? filters : depth * groups;
  if (taken !== C) {
    const each = groups > 1 && !isTransposed ? `: ${depth} in each of ${groups} groups` : "";
    throw new ShapeError(`${operation}: x has ${C} channels but w takes ${taken}${each}`);
  }
  if (filters % groups !== 0) {
    const whose = isTransposed ? `x has ${C} channels` : `w has ${filters} filters`;
    throw new ShapeError(`${operation}: ${whose}, which ${groups} groups do not divide`);
  }
  const F = isTransposed ? depth * groups : filters;
  if (bs) {
    checkRank(operation, "b", bs, 1, "(F,)");
    if (bs.size !== F) {
      throw new ShapeError(`${operation}: w makes ${F} channels but b has ${bs.size} elements`);
    }
  }
  const placement = placed(
    operation,
    isTransposed
      ? placeTransposed(image.size, sliding, more, axes)
      : placeWindow(image.size, sliding, axes),
  );
  const made = { ...resized(image, placement.out), C: F };
  const shape = Object.freeze(shapeOf(made));
  const given = destination(operation, "out", wanted, shape, "x", xs);
  checkAliases(
    operation,
    [["out", given]],
    [
      ["x", xs],
      ["w", ws],
      ["b", bs],
    ],
  );

  const { runtime, dtype } = xs;
  const filter = { N: 1, C: filters, M: depth, S: cellsOf };
  const window: WindowOf = isTransposed
    ? [made.size, F, sliding, { ...placement, out: image.size }, C, groups]
    : [image.size, C, sliding, placement, F, groups];
  const kernels = runtime.kernels(dtype);
  const [bytesOf, kernel] = isTransposed
    ? [kernels.conv_transpose2d_forward_work_bytes, kernels.conv_transpose2d_forward]
    : [kernels.conv2d_forward_work_bytes, kernels.conv2d_forward];
  // Images without channels are of any size, though nothing of them is in memory.
  const isEmpty = N * F === 0;
  const call = (address: number, work: number) =>
    channelsLast(runtime, dtype, isLast, scratchBytes(dtype, isLast, image, filter, made), () => {
      const out = given ?? runtime.create(dtype, shape);
      return {
        inputs: [
          { ...image, address: xs.address },
          { ...filter, address: ws.address },
        ],
        outputs: [{ ...made, address: out.address }],
        run(x, w, to) {
          if (!isEmpty) kernel(to, x, w, bs?.address ?? 0, work, address, N);
          return out;
        },
      };
    });
  const out = withWindow(
    runtime,
    (address) =>
      runtime.withWorkspace(isEmpty ? 0 : bytesOf(address, N), (work) => call(address, work)),
    ...window,
  );
  const saved: ConvSaved<D> = {
    ...{ operation, runtime, dtype, outShape: shape },
    ...{ x: xs.alias(), w: ws.alias(), b: bs?.alias() },
    ...{ image, filter, made, window },
  };
  const held = [saved.x, saved.w, ...(saved.b ? [saved.b] : [])];
  return { out, cache: runtime.own(new ConvState<D, B>(saved, held)) };
}

/** No bias has no gradient. */
type BiasGradient<D extends FloatDType, B, Given> = B extends null ? undefined : Gradient<D, Given>;
type Gradients<D extends FloatDType, B, X, W, G> = {
  dx: Gradient<D, X>;
  dw: Gradient<D, W>;
  db: BiasGradient<D, B, G>;
};

function convBackward<D extends FloatDType, B extends Bias<D>, X, W, G>(
  operation: string,
  forward: string,
  dout: Tensor<D>,
  cache: ConvCache<D, B>,
  options: { dx?: X | undefined; dw?: W | undefined; db?: G | undefined },
): Gradients<D, B, X, W, G> {
  checkKeys(operation, "options", options, BACKWARD);
  const wanted = [options.dx, options.dw, options.db] as (Tensor<D> | false | undefined)[];
  const state = checkCache<ConvSaved<D>>(operation, cache, forward);
  const up = upstream(operation, dout, state);
  const { x, w, b, image, filter, made, window, runtime, dtype } = state;
  if (!b && wanted[2]) {
    throw new TypeError(
      `${operation}: db must be left out where the forward's b was null, got a destination`,
    );
  }
  const like = [x, w, b];
  const given = like.map(
    (operand, i) =>
      operand &&
      destination(operation, BACKWARD[i] as string, wanted[i], operand.shape, "the cache", state),
  );
  checkAliases(
    operation,
    given.map((tensor, i) => [BACKWARD[i] as string, tensor]),
    [
      ["dout", up],
      ["the cache's x", x],
      ["the cache's w", w],
      ["the cache's b", b],
    ],
  );

  const kernels = runtime.kernels(up.dtype);
  const [bytesOf, kernel] =
    forward === "convTranspose2dForward"
      ? [kernels.conv_transpose2d_backward_work_bytes, kernels.conv_transpose2d_backward]
      : [kernels.conv2d_backward_work_bytes, kernels.conv2d_backward];
  const { N, isLast } = image;
  const [hasX, hasW] = [wanted[0] !== false, wanted[1] !== false];
  // dx needs w, and dw needs x.
  const arrays = [made];
  if (hasX) arrays.push(image, filter as Image);
  if (hasW) arrays.push(image, filter as Image);
  const call = (address: number, work: number) =>
    channelsLast(runtime, dtype, isLast, scratchBytes(dtype, isLast, ...arrays), () => {
      const [dx, dw, db] = like.map((operand, i) =>
        operand && wanted[i] !== false
          ? (given[i] ?? runtime.create(up.dtype, operand.shape))
          : undefined,
      );
      return {
        inputs: [
          { ...made, address: up.address },
          { ...image, address: hasW ? x.address : 0 },
          { ...filter, address: hasX ? w.address : 0 },
        ],
        outputs: [
          { ...image, address: dx?.address ?? 0 },
          { ...filter, address: dw?.address ?? 0 },
        ],
        run(dout, x, w, toX, toW) {
          kernel(toX, toW, db?.address ?? 0, dout, x, w, work, address, N);
          return { dx, dw, db } as Gradients<D, B, X, W, G>;
        },
      };
    });
  return withWindow(
    runtime,
    (address) =>
      runtime.withWorkspace(bytesOf(address, N), (work) =>
        runtime.atomically(() => call(address, work)),
      ),
    ...window,
  );
}

/**
 * Convolution of images: every filter slides over the image, and gives the sum of its products with
 * what lies under it (a cross-correlation: no filter is turned).
 *
 * x (N, C, H, W), w (F, C/groups, KH, KW), b (F,) → out (N, F, OH, OW) = b[f] + Σ x[n, c, i ·
 * stride + u · dilation − top, j · stride + v · dilation − left] · w[f, c, u, v] over the channels
 * c of f's group and the cells (u, v) of its filter, with OH = ⌊(H + top + bottom − dilation · (KH
 * − 1) − 1) / stride⌋ + 1 and OW likewise. Padding is 0, and adds nothing: an infinite weight gives
 * no NaN there. With layout "NHWC" x is (N, H, W, C) and w (KH, KW, C/groups, F), which saves the
 * permutations of both. An empty batch gives an empty out.
 *
 * @param b null for no bias
 * @param convParam.stride a whole number, or [height, width]; default 1
 * @param convParam.padding "same", "valid", a number, [height, width] or { top, left, bottom, right
 *   }; default 0
 * @param convParam.dilation default 1
 * @param convParam.groups divides C and F; default 1
 * @param convParam.layout default "NCHW"
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for a setting that is none; ShapeError for channels that do not fit the
 *   filters or the groups, where no pixel comes out, and for another rank; DTypeError, AliasError,
 *   DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor and for
 *   unknown keys
 */
export function conv2dForward<D extends FloatDType, B extends Tensor<NoInfer<D>> | null>(
  x: Tensor<D>,
  w: Tensor<NoInfer<D>>,
  b: B,
  convParam: ConvParam = {},
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: ConvCache<D, B> } {
  return convForward("conv2dForward", 2, false, x, w, b, convParam, options);
}

/**
 * Gradients of conv2dForward: dx is the transposed convolution of dout with w, dw the sum of dout
 * times the pixel of x under each cell of a filter, and db = Σ dout over all but F.
 *
 * dout (N, F, OH, OW) → dx (N, C, H, W), dw (F, C/groups, KH, KW), db (F,), all in the forward's
 * layout; db is undefined where b was null. An empty batch gives zeros for dw and db.
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dw and db. They may
 *   not share data with each other, with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call and for a db where b was null
 */
export function conv2dBackward<
  D extends FloatDType,
  B extends Tensor<NoInfer<D>> | null,
  X extends Tensor<D> | false = Tensor<D>,
  W extends Tensor<D> | false = Tensor<D>,
  G extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: ConvCache<NoInfer<D>, B>,
  options: { dx?: X | undefined; dw?: W | undefined; db?: G | undefined } = {},
): { dx: Gradient<D, X>; dw: Gradient<D, W>; db: BiasGradient<D, B, G> } {
  return convBackward("conv2dBackward", "conv2dForward", dout, cache, options);
}

/**
 * Convolution of sequences, as conv2dForward of images: x (N, C, L), w (F, C/groups, K), b (F,) →
 * out (N, F, OL). Sizes are numbers, padding is "same", "valid", a number or { left, right }. With
 * layout "NLC" x is (N, L, C) and w (K, C/groups, F); default "NCL".
 *
 * @param b null for no bias
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws as conv2dForward
 */
export function conv1dForward<D extends FloatDType, B extends Tensor<NoInfer<D>> | null>(
  x: Tensor<D>,
  w: Tensor<NoInfer<D>>,
  b: B,
  convParam: Conv1dParam = {},
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: ConvCache<D, B> } {
  return convForward("conv1dForward", 1, false, x, w, b, convParam, options);
}

/**
 * Gradients of conv1dForward, as conv2dBackward.
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dw and db
 * @throws as conv2dBackward
 */
export function conv1dBackward<
  D extends FloatDType,
  B extends Tensor<NoInfer<D>> | null,
  X extends Tensor<D> | false = Tensor<D>,
  W extends Tensor<D> | false = Tensor<D>,
  G extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: ConvCache<NoInfer<D>, B>,
  options: { dx?: X | undefined; dw?: W | undefined; db?: G | undefined } = {},
): { dx: Gradient<D, X>; dw: Gradient<D, W>; db: BiasGradient<D, B, G> } {
  return convBackward("conv1dBackward", "conv1dForward", dout, cache, options);
}

/**
 * Transposed convolution of images, as PyTorch defines it: the gradient for its input of the
 * convolution that has these filters. Each value of x spreads its filter, times itself, over a
 * window of out, and where windows overlap they add up.
 *
 * x (N, C, H, W), w (C, F/groups, KH, KW), b (F,) → out (N, F, OH, OW), with OH = (H − 1) · stride
 * − top − bottom + dilation · (KH − 1) + 1 + outputPadding and OW likewise; padding "same" gives H
 * · stride. Padding is what is cut off out. With layout "NHWC" x is (N, H, W, C) and w (KH, KW,
 * F/groups, C), which saves the permutations of both.
 *
 * @param b null for no bias
 * @param convParam stride, padding, dilation, groups and layout as conv2dForward has them
 * @param convParam.outputPadding is added to the sizes at bottom and right, below the stride or the
 *   dilation; default 0
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws as conv2dForward
 */
export function convTranspose2dForward<D extends FloatDType, B extends Tensor<NoInfer<D>> | null>(
  x: Tensor<D>,
  w: Tensor<NoInfer<D>>,
  b: B,
  convParam: ConvTranspose2dParam = {},
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: ConvCache<D, B> } {
  return convForward("convTranspose2dForward", 2, true, x, w, b, convParam, options);
}

/**
 * Gradients of convTranspose2dForward: dx is the convolution of dout with w, dw the sum of x times
 * the pixel of dout under each cell of a filter, and db = Σ dout over all but F.
 *
 * dout (N, F, OH, OW) → dx (N, C, H, W), dw (C, F/groups, KH, KW), db (F,), all in the forward's
 * layout; db is undefined where b was null. An empty batch gives zeros for dw and db.
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dw and db
 * @throws as conv2dBackward
 */
export function convTranspose2dBackward<
  D extends FloatDType,
  B extends Tensor<NoInfer<D>> | null,
  X extends Tensor<D> | false = Tensor<D>,
  W extends Tensor<D> | false = Tensor<D>,
  G extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: ConvCache<NoInfer<D>, B>,
  options: { dx?: X | undefined; dw?: W | undefined; db?: G | undefined } = {},
): { dx: Gradient<D, X>; dw: Gradient<D, W>; db: BiasGradient<D, B, G> } {
  return convBackward("convTranspose2dBackward", "convTranspose2dForward", dout, cache, options);
}
