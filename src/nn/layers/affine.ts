import { count, flag } from "../../tensor/numbers.ts";
import { sizeOf } from "../../tensor/shape.ts";
import { Affine } from "../engine/affine.ts";
import { layer } from "../engine/kinds.ts";
import { weightAndBias } from "../graph/product.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import type { Initializer } from "../initializers.ts";
import { checkFirst, checkSettings } from "../settings.ts";

export interface AffineSpec {
  readonly kind: "affine";
  /** M, the features out. */
  readonly units: number;
  readonly useBias?: boolean | undefined;
  readonly weight?: Initializer | undefined;
  readonly bias?: Initializer | undefined;
}

const OPTIONS = ["useBias", "weight", "bias"];

export const affineRecord: ServingRecord<"affine"> = {
  kind: "affine",
  settings: { units: [count], useBias: [flag, true] },
  outShape: (_, { units }) => [units],
  tensors: (inShape, { units, useBias }) => ({
    weight: [sizeOf(inShape), units],
    ...(useBias && { bias: [units] }),
  }),
  isProduct: true,
  operands: weightAndBias,
};

export const affineTraining: TrainingRecord = {
  argument: "units",
  first: ["weight", "bias"],
  remark: ({ useBias }) => (useBias ? "" : ", no bias"),
  learned: ["weight", "bias"],
  decays: ["weight"],
  transposed: ["weight"],
  keeps: "x",
  apartGradient: true,
};

/**
 * Fully connected: out = reshape(x, (N, D)) · weight + bias.
 *
 * Each example of any shape → (M,). `weight` (D, M), `bias` (M,).
 *
 * @param units M, a whole number from 1 up
 * @param options.weight default the model's, which is heNormal()
 * @param options.bias default zeros()
 * @param options.useBias false leaves the bias out, as before batch normalisation, which takes it
 *   away again; default true
 */
export const affine = /* @__PURE__ */ layer(
  affineRecord,
  affineTraining,
  Affine,
  (units: number, options: Omit<AffineSpec, "kind" | "units"> = {}): AffineSpec => {
    checkFirst("affine", "units", units, 3);
    checkSettings("affine", "options", options, OPTIONS);
    return { ...options, kind: "affine", units };
  },
);
