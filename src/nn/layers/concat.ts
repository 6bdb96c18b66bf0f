import { wholeNumber } from "../../tensor/numbers.ts";
import { formatShape, sameShape, sizeOf } from "../../tensor/shape.ts";
import { Concat } from "../engine/concat.ts";
import { optionLayer } from "../engine/kinds.ts";
import type { Part, ServingRecord, Settings, TrainingRecord } from "../graph/record.ts";

export interface ConcatSpec {
  readonly kind: "concat";
  readonly axis?: number | undefined;
}

type Shape = readonly number[];

/** The axis from the front; it may be none of the shape's. */
const axisOf = ({ length }: Shape, { axis }: Settings) => (axis < 0 ? length + axis : axis);

/** The length of all of them together, along the axis. */
const lengthOf = (shapes: readonly Shape[], axis: number) =>
  shapes.reduce((sum, shape) => sum + (shape[axis] as number), 0);

export const concatRecord: ServingRecord<"concat"> = {
  kind: "concat",
  settings: { axis: [wholeNumber, -1] },
  inputs: [1, Infinity],
  refusal(first, settings, shapes = []) {
    const axis = axisOf(first, settings);
    if (!(axis in first)) {
      return `axis must be one of shape ${formatShape(first)}, got ${settings.axis}`;
    }
    const without = (shape: Shape) => shape.filter((_, k) => k !== axis);
    const wrong = shapes.find(
      (shape) => shape.length !== first.length || !sameShape(without(shape), without(first)),
    );
    return wrong
      ? `takes examples that differ along axis ${settings.axis} alone, got ${formatShape(first)} and ${formatShape(wrong)}`
      : undefined;
  },
  outShape(first, settings, shapes = []) {
    const axis = axisOf(first, settings);
    return first.with(axis, lengthOf(shapes, axis));
  },
  parts(shapes, settings): Part[] {
    const [first] = shapes as [Shape];
    const axis = axisOf(first, settings);
    const rows = sizeOf(first.slice(0, axis));
    const inner = sizeOf(first.slice(axis + 1));
    const whole = lengthOf(shapes, axis) * inner;
    let from = 0;
    return shapes.map((shape) => {
      const run = (shape[axis] as number) * inner;
      const axes = [...[0, rows * whole, rows * run], ...[rows, whole, run], ...[run, 1, 1]];
      const part = { axes, from };
      from += run;
      return part;
    });
  },
};

export const concatTraining: TrainingRecord = {};

/**
 * Nodes of a graph one behind the other along an axis: their shapes are the same but for their
 * lengths there.
 *
 * Examples (…, dᵢ, …) → (…, Σ dᵢ, …).
 *
 * @param options.axis of one example, counted from the end where it is negative; default −1, which
 *   puts channels side by side
 */
export const concat = /* @__PURE__ */ optionLayer<ConcatSpec>(concatRecord, concatTraining, Concat);
