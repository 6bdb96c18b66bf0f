import { show } from "../../runtime/errors.ts";
import type { Reader } from "../../tensor/numbers.ts";
import { formatShape, MOST_AXES } from "../../tensor/shape.ts";
import { layer } from "../engine/kinds.ts";
import { Permute } from "../engine/permute.ts";
import { permutedAxes } from "../graph/axis.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export interface PermuteSpec {
  readonly kind: "permute";
  readonly order: readonly number[];
}

/** Reads the axes from 0 up, in another order. */
const permutation: Reader = (operation, name, value) => {
  const order = Array.isArray(value) ? (value.slice(0, MOST_AXES + 1) as number[]) : [];
  const isWhole = order.every((axis, k) => order.indexOf(axis) === k && axis in order);
  if (order.length > 0 && order.length <= MOST_AXES && isWhole) return order;
  throw new RangeError(
    `${operation}: ${name} must be the axes of an example from 0 up, each of them once, got ${show(value)}`,
  );
};

export const permuteRecord: ServingRecord<"permute"> = {
  kind: "permute",
  operation: "copy",
  settings: { order: [permutation] },
  refusal: (inShape, { order }) =>
    order.length === inShape.length
      ? undefined
      : `order is [${order}] but an example has shape ${formatShape(inShape)}`,
  outShape: (inShape, { order }) => order.map((axis: number) => inShape[axis]),
  window: (inShape, { order }) => permutedAxes(inShape, order),
  values: ({ order }, inShape) => [permutedAxes(inShape, order).length / 3],
};

export const permuteTraining: TrainingRecord = {
  argument: "order",
  apartGradient: true,
  reorders: true,
};

/**
 * Permutes the axes of each example: axis k of what comes out is axis order[k] of what comes in.
 * The batch is no axis of an example: permute([2, 0, 1]) makes (C, H, W) of (H, W, C).
 *
 * Each example (d₀, …, d_k) → (d_order[0], …, d_order[k]).
 *
 * @param order each axis of an example once, from 0 up
 */
export const permute = /* @__PURE__ */ layer(
  permuteRecord,
  permuteTraining,
  Permute,
  (order: readonly number[]): PermuteSpec => {
    permutation("permute", "order", order);
    return { kind: "permute", order };
  },
);
