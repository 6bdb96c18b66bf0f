// The layers that act along an axis: rows of C elements, which are S apart, where S is the product
// of the sizes behind the axis.

import { formatShape } from "../../tensor/shape.ts";

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
