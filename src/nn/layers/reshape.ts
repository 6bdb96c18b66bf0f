import { show } from "../../runtime/errors.ts";
import type { Reader } from "../../tensor/numbers.ts";
import { formatShape, MOST_AXES, sizeOf } from "../../tensor/shape.ts";
import { Identity } from "../engine/identity.ts";
import { layer } from "../engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export interface ReshapeSpec {
  readonly kind: "reshape";
  readonly shape: readonly number[];
}

/** Reads a shape, of which one length may be −1. */
const openShape: Reader = (operation, name, value) => {
  const shape = Array.isArray(value) ? (value.slice(0, MOST_AXES + 1) as number[]) : [];
  const isLength = (n: number, k: number) =>
    Number.isInteger(n) && (n > 0 || (n === -1 && shape.indexOf(-1) === k));
  if (shape.length > 0 && shape.length <= MOST_AXES && shape.every(isLength)) return shape;
  throw new RangeError(
    `${operation}: ${name} must be an array of whole numbers from 1 up, one of which may be −1, got ${show(value)}`,
  );
};

/** The shape with what −1 stands for, which is no whole number where the shape does not fit. */
function filled(inShape: readonly number[], shape: readonly number[]): number[] {
  const open = sizeOf(inShape) / Math.abs(sizeOf(shape));
  return shape.map((length) => (length === -1 ? open : length));
}

export const reshapeRecord: ServingRecord<"reshape"> = {
  kind: "reshape",
  settings: { shape: [openShape] },
  refusal(inShape, { shape }) {
    const own = filled(inShape, shape);
    return own.every(Number.isInteger) && sizeOf(own) === sizeOf(inShape)
      ? undefined
      : `shape ${formatShape(shape)} does not have the ${sizeOf(inShape)} elements of ${formatShape(inShape)}`;
  },
  outShape: (inShape, { shape }) => filled(inShape, shape),
  isIdentity: true,
};

export const reshapeTraining: TrainingRecord = {
  argument: "shape",
  inPlace: true,
  keepsSign: true,
  reorders: true,
};

/**
 * Each example in another shape of as many elements, in the order in which they lie in memory. No
 * data moves.
 *
 * Each example (d₁, …, d_k) → shape.
 *
 * @param shape of one example; one length may be −1, which is what the others leave
 */
export const reshape = /* @__PURE__ */ layer(
  reshapeRecord,
  reshapeTraining,
  Identity,
  (shape: readonly number[]): ReshapeSpec => {
    openShape("reshape", "shape", shape);
    return { kind: "reshape", shape };
  },
);
