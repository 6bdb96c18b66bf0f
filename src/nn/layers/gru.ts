import { flag } from "../../tensor/numbers.ts";
import { layer } from "../engine/kinds.ts";
import { Recurrent } from "../engine/recurrent.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { type RecurrentOptions, recurrentRecord, recurrentTraining } from "../graph/recurrent.ts";
import type { Initializer } from "../initializers.ts";
import { checkFirst, checkSettings } from "../settings.ts";

/** The settings of gru() beside its states. */
export interface GruOptions extends RecurrentOptions {
  readonly resetAfter?: boolean | undefined;
  readonly weight?: Initializer | undefined;
}

export interface GruSpec extends GruOptions {
  readonly kind: "gru";
  /** H, the states. */
  readonly units: number;
}

const OPTIONS = ["returnSequences", "bidirectional", "layers", "resetAfter", "weight"];

export const gruRecord: ServingRecord<"gru"> = {
  kind: "gru",
  ...recurrentRecord(3, { resetAfter: [flag, true] }),
};

export const gruTraining: TrainingRecord = /* @__PURE__ */ recurrentTraining([0, 1, 2]);

/**
 * Gated recurrent units, in three blocks r, z, n: h = (1 − z) · n + z · h, step after step from
 * zeros on.
 *
 * Each example (T, D) → (H,), the last state, or (T, H), those of all steps. `wx` (D, 3·H),
 * `wh` (H, 3·H), `b` (3·H,) and `bh` (3·H,), with `_1` behind the names of a second layer and
 * `_reverse` behind those of the way back; loadTorch reads nn.GRU of PyTorch. The biases begin as
 * zeros.
 *
 * @param units H, a whole number from 1 up
 * @param options.returnSequences true gives the states of all steps; default false
 * @param options.bidirectional true goes both ways, and puts the last states, or those of each
 *   step, side by side: 2·H in place of H; default false
 * @param options.layers so many on top of each other, each over all steps of the one below; default
 *   1
 * @param options.resetAfter true multiplies by the reset gate after the product, as PyTorch and
 *   Keras do, and has `bh`; false before it; default true
 * @param options.weight of wx and wh; default uniform within ± 1 / sqrt(H), as in PyTorch
 */
export const gru = /* @__PURE__ */ layer(
  gruRecord,
  gruTraining,
  Recurrent,
  (units: number, options: GruOptions = {}): GruSpec => {
    checkFirst("gru", "units", units, 64);
    checkSettings("gru", "options", options, OPTIONS);
    return { ...options, kind: "gru", units };
  },
);
