// The layers that act along an axis: rows of C elements, which are S apart, where S is the product
// of the sizes behind the axis. And how the axes of an example change places.

import { formatShape, sizeOf } from "../../tensor/shape.ts";
import { copyAxes, stridesOf } from "../../tensor/strides.ts";

/** The description of such a layer: the axis is counted from the end where it is negative. */
interface AlongAxis {
  readonly axis?: number | undefined;
}

/** The axis from the front; negative or too large where the shape has no such axis. */
const axisOf = ({ length }: readonly number[], { axis = -1 }: AlongAxis) =>
  axis < 0 ? length + axis : axis;

export const axisRefusal = (shape: readonly number[], settings: AlongAxis): string | undefined =>
  axisOf(shape, settings) in shape
    ? undefined
    : `axis must be one of shape ${formatShape(shape)}, got ${settings.axis}`;

/** C */
export const rowLength = (shape: readonly number[], settings: AlongAxis): number =>
  shape[axisOf(shape, settings)] as number;

/** S, as the number that the kernels take. */
export const rowStride = (settings: AlongAxis, shape: readonly number[]): number[] => [
  shape.slice(axisOf(shape, settings) + 1).reduce((product, size) => product * size, 1),
];

/**
 * The axes of a copy of each example to an array of this shape, as the core reads them: each is its
 * length and its strides in the copy and in the example. The examples come first.
 * @param strides how many elements further in the example the next index of each axis is
 */
export function copiedAxes(shape: readonly number[], strides: readonly number[]): number[] {
  const outStrides = stridesOf(shape);
  const own = copyAxes(
    shape.map((length, k) => [length, outStrides[k] as number, strides[k] as number]),
  );
  const size = shape.reduce((product, length, k) => (strides[k] ? product * length : product), 1);
  return [0, sizeOf(shape), size, ...own.flat()];
}

/** As copiedAxes, where axis k of the copy is axis order[k] of an example of this shape. */
export function permutedAxes(shape: readonly number[], order: readonly number[]): number[] {
  const strides = stridesOf(shape);
  return copiedAxes(
    order.map((axis) => shape[axis] as number),
    order.map((axis) => strides[axis] as number),
  );
}
