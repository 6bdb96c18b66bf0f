// The records of layers that combine two inputs, broadcast to each other as NumPy does, without the
// axis of the batch.

import { formatShape } from "../../tensor/shape.ts";
import { type Axis, mergeAxes, stridesOf } from "../../tensor/strides.ts";
import type { ServingRecord } from "./record.ts";

type Shape = readonly number[];

/** The shape that two are broadcast to; undefined where they are not. */
function broadcast(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let k = 0; k < rank; k++) {
    const one = a[k + a.length - rank] ?? 1;
    const other = b[k + b.length - rank] ?? 1;
    if (one !== other && one !== 1 && other !== 1) return undefined;
    shape.push(one === 1 ? other : one);
  }
  return shape;
}

/** How far the next index of each axis of `out` is in an array of this shape, 0 where it has 1. */
function stridesIn(shape: Shape, out: Shape): number[] {
  const strides = stridesOf(shape);
  const behind = out.length - shape.length;
  return out.map((_, k) => (shape[k - behind] === 1 ? 0 : (strides[k - behind] ?? 0)));
}

/**
 * The axes of `out` for two operands as the core reads them: each is its length and its strides in
 * both. The examples come first, and each operand has its own of them.
 */
export function pairedAxes(out: Shape, a: Shape, b: Shape): number[] {
  const [first, second] = [stridesIn(a, out), stridesIn(b, out)];
  const own = mergeAxes(
    out.map((length, k): Axis => [length, first[k] as number, second[k] as number]),
  );
  const size = (shape: Shape) => shape.reduce((product, length) => product * length, 1);
  return [0, size(a), size(b), ...own.flat()];
}

const axesOf = (shapes: readonly Shape[] | undefined) => {
  const [a, b] = shapes as [Shape, Shape];
  return pairedAxes(broadcast(a, b) as number[], a, b);
};

/** The record of add() or multiply(). */
export const combining: Omit<ServingRecord, "kind"> = {
  inputs: [2, 2],
  refusal(_, __, shapes) {
    const [a, b] = shapes as [Shape, Shape];
    return broadcast(a, b)
      ? undefined
      : `takes examples that are broadcast together, got ${formatShape(a)} and ${formatShape(b)}`;
  },
  outShape: (_, __, shapes) => broadcast(...(shapes as [Shape, Shape])) as number[],
  window: (_, __, shapes) => axesOf(shapes),
  values: (_, __, shapes) => [axesOf(shapes).length / 3],
};
