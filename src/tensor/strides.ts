// Axes as the core reads them: their length, and how many elements further the next index is in
// either array.

/** The strides are of the kernel's two arrays, in the order of its arguments. */
export type Axis = readonly [length: number, first: number, second: number];

/** How many elements further the next index of each axis of a dense array is. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (let k = shape.length - 1; k >= 0; k--) {
    strides[k] = stride;
    stride *= shape[k] as number;
  }
  return strides;
}

/**
 * The same axes, in as few as are enough: none of length 1, and none that goes on where the next
 * one ends.
 */
export function mergeAxes(axes: readonly Axis[]): Axis[] {
  const merged: Axis[] = [];
  for (const axis of axes) {
    const [length, first, second] = axis;
    if (length === 1) continue;
    const last = merged.at(-1);
    if (last && last[1] === first * length && last[2] === second * length) {
      merged[merged.length - 1] = [last[0] * length, first, second];
    } else {
      merged.push(axis);
    }
  }
  return merged.length > 0 ? merged : [[1, 1, 1]];
}

/**
 * Axes for a copy, which has two or more; where the last is not dense in x, the last but one is.
 */
export function copyAxes(axes: readonly Axis[]): Axis[] {
  const merged = mergeAxes(axes);
  const dense = merged.findIndex(([, , stride]) => stride === 1);
  if (dense >= 0 && dense < merged.length - 2) {
    const [rows] = merged.splice(dense, 1) as [Axis];
    merged.splice(-1, 0, rows);
  }
  return merged.length > 1 ? merged : [[1, 0, 0], ...merged];
}
