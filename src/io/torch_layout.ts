// How PyTorch lays out the tensors of a model: weights with the features or channels out first, and
// images with the channels before the rows and columns.

import type { Network } from "../nn/network.ts";
import { sizeOf } from "../tensor/shape.ts";

/** A tensor of ours in PyTorch's layout. */
export interface TorchLayout {
  /** The axes of a weight, which has the features or channels out first there; 0 of another. */
  readonly weightAxes: number;
  /** Ours, as the axes that are moved: those of an image that was flattened stand apart. */
  readonly dims: readonly number[];
  /** For each axis of PyTorch's which of `dims` it is. */
  readonly axes: readonly number[];
}

/** The layouts of those tensors of a model that differ there, by their names. */
export function torchLayouts({ layers }: Network): Map<string, TorchLayout> {
  const layouts = new Map<string, TorchLayout>();
  /** What flows is an image or a sequence: channels last here, and in PyTorch first. */
  let isImage = layers.some(({ record }) => record.window && !record.reorders);
  /** The shape of the image whose flattened features come in, (H, W, C) or (L, C). */
  let image: readonly number[] = [];
  for (const { record, blueprint, slots } of layers) {
    const { inShape, outShape } = blueprint;
    const isMoved = record.reorders && outShape.length > 1;
    if (record.window) isImage = !isMoved;
    else if (isMoved) isImage = false;
    else if (isImage && inShape.length > 1 && outShape.length === 1) image = inShape;
    for (const slot of slots) {
      const { name, shape } = slot;
      const isFlat = image.length > 1 && shape[0] === sizeOf(image);
      const dims = isFlat ? [...image, ...shape.slice(1)] : shape;
      // The last axis of PyTorch's first, and of a weight the axis before it next.
      const isWeight = slot.is("transposed");
      const indices = dims.map((_, i) => i);
      const ahead = indices.splice(isWeight ? -2 : -1);
      const axes = [...ahead.reverse(), ...indices];
      if (isWeight || isFlat)
        layouts.set(name, { weightAxes: isWeight ? shape.length : 0, dims, axes });
      // What a weight gives are features of its own.
      if (isWeight) image = [];
    }
  }
  return layouts;
}

/** The shape that a tensor of PyTorch's has here. */
export const shapeFromTorch = (
  { weightAxes }: TorchLayout,
  shape: readonly number[],
): readonly number[] => {
  const [first, second, ...others] = shape;
  return shape.length === weightAxes ? [...others, second as number, first as number] : shape;
};

/** to, in our layout, from a tensor in PyTorch's. */
export function fromTorch(
  to: { [i: number]: number },
  from: ArrayLike<number>,
  { dims, axes }: TorchLayout,
): void {
  /** For each of our axes how far its elements are apart there. */
  const steps = dims.map((_, axis) =>
    sizeOf(axes.slice(axes.indexOf(axis) + 1).map((i) => dims[i] as number)),
  );
  let next = 0;
  const copy = (axis: number, at: number) => {
    const [length, step] = [dims[axis] as number, steps[axis] as number];
    for (let i = 0; i < length; i++) {
      if (axis === dims.length - 1) to[next++] = from[at + i * step] as number;
      else copy(axis + 1, at + i * step);
    }
  };
  copy(0, 0);
}
