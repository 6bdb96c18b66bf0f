// Images and sequences as calls take them: where their channels are, and their windows in memory.

import { WindowWords } from "../runtime/abi.ts";
import { show } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkRank } from "../tensor/operands.ts";
import type { TensorHandle, TensorRuntime } from "../tensor/tensor.ts";
import { type Axes, type Pair, writeWindow } from "../tensor/window.ts";
import { channelsLast, scratchBytes } from "./axes.ts";

/** Where the channels of an image are: PyTorch's and ONNX' order, or the kernels' own. */
export type ImageLayout = "NCHW" | "NHWC";
/** Where the channels of a sequence are. */
export type SequenceLayout = "NCL" | "NLC";

/** An image (N, C, H, W), its channels second or last; a sequence has a height of 1. */
export interface Image {
  readonly N: number;
  readonly C: number;
  readonly size: Pair;
  /** The places of an image: H · W. */
  readonly S: number;
  readonly axes: Axes;
  readonly isLast: boolean;
}

/**
 * Whether channels are last.
 * @throws RangeError for another layout
 */
export function readLayout(
  operation: string,
  layout: unknown,
  ...known: readonly string[]
): boolean {
  const index = layout === undefined ? 0 : known.indexOf(layout as string);
  if (index >= 0) return index % 2 === 1;
  const names = known.map((name) => `"${name}"`);
  throw new RangeError(
    `${operation}: layout must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}, got ${show(layout)}`,
  );
}

/** What readLayout knows of images and of sequences. */
export const layouts = { 1: ["NCL", "NLC"], 2: ["NCHW", "NHWC"] } as const;

/** Reads an operand's shape as an image's. */
export function imageOf(
  operation: string,
  name: string,
  tensor: TensorHandle,
  axes: Axes,
  layout: unknown,
): Image {
  const isLast = readLayout(operation, layout, ...layouts[axes]);
  const form = `(${[...layouts[axes][isLast ? 1 : 0]].join(", ")})`;
  checkRank(operation, name, tensor, 2 + axes, form);
  const { shape } = tensor;
  const spatial = isLast ? shape.slice(1, -1) : shape.slice(2);
  const size: Pair = [axes === 1 ? 1 : (spatial[0] as number), spatial.at(-1) as number];
  return {
    N: shape[0] as number,
    C: (isLast ? shape.at(-1) : shape[1]) as number,
    size,
    S: size[0] * size[1],
    axes,
    isLast,
  };
}

/** The same image of another size. */
export const resized = (image: Image, size: Pair): Image => ({
  ...image,
  size,
  S: size[0] * size[1],
});

/** The shape of a tensor that is this image. */
export function shapeOf({ N, C, size, axes, isLast }: Image): number[] {
  const spatial = size.slice(2 - axes);
  return isLast ? [N, ...spatial, C] : [N, C, ...spatial];
}

/** Runs fn with the address of a window. */
export function withWindow<T>(
  runtime: TensorRuntime,
  fn: (address: number) => T,
  ...window: WindowOf
): T {
  return runtime.withWorkspace(4 * WindowWords.length, (address) => {
    const words = new Uint32Array(runtime.linear.wasm.buffer, address, WindowWords.length);
    writeWindow(words, ...window);
    return fn(address);
  });
}

export type WindowOf =
  Parameters<typeof writeWindow> extends [unknown, ...infer Rest] ? Rest : never;

/**
 * Runs a kernel of channels last from one image to another, `given` or a new tensor.
 * @param prepare makes what the call needs beside it, and returns the kernel
 */
export function imageCall<D extends FloatDType>(
  x: TensorHandle<D>,
  from: Image,
  to: Image,
  given: TensorHandle<D> | undefined,
  window: WindowOf,
  prepare: (shape: readonly number[]) => (to: number, from: number, window: number) => void,
): TensorHandle<D> {
  const { runtime, dtype } = x;
  const bytes = scratchBytes(dtype, from.isLast, from, to);
  const shape = Object.freeze(shapeOf(to));
  const call = (address: number) =>
    channelsLast(runtime, dtype, from.isLast, bytes, () => {
      const out = given ?? runtime.create(dtype, shape);
      const kernel = prepare(shape);
      return {
        inputs: [{ ...from, address: x.address }],
        outputs: [{ ...to, address: out.address }],
        run(x, target) {
          kernel(target, x, address);
          return out;
        },
      };
    });
  return withWindow(runtime, (address) => runtime.atomically(() => call(address)), ...window);
}
