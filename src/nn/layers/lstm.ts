import { layer } from "../engine/kinds.ts";
import { Recurrent } from "../engine/recurrent.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { type RecurrentOptions, recurrentRecord, recurrentTraining } from "../graph/recurrent.ts";
import type { Initializer } from "../initializers.ts";
import { checkFirst, checkSettings } from "../settings.ts";

/** The settings of lstm() beside its states. */
export interface LstmOptions extends RecurrentOptions {
  readonly weight?: Initializer | undefined;
}

export interface LstmSpec extends LstmOptions {
  readonly kind: "lstm";
  /** H, the states. */
  readonly units: number;
}

const OPTIONS = ["returnSequences", "bidirectional", "layers", "weight"];

export const lstmRecord: ServingRecord<"lstm"> = {
  kind: "lstm",
  ...recurrentRecord(4),
};

export const lstmTraining: TrainingRecord = /* @__PURE__ */ recurrentTraining([0, 1, 3, 2]);

/**
 * Long short-term memory, step after step from zeros on: a = xₜ · wx + h · wh + b in four blocks i,
 * f, o, g; c = σ(f) · c + σ(i) · tanh(g), h = σ(o) · tanh(c).
 *
 * Each example (T, D) → (H,), the last state, or (T, H), those of all steps. `wx` (D, 4·H),
 * `wh` (H, 4·H), `b` (4·H,), with `_1` behind the names of a second layer and
 * `_reverse` behind those of the way back; loadTorch reads nn.LSTM of PyTorch. The biases begin as
 * zeros, and that of the forget gate as 1.
 *
 * @param units H, a whole number from 1 up
 * @param options.returnSequences true gives the states of all steps; default false
 * @param options.bidirectional true goes both ways, and puts the last states, or those of each
 *   step, side by side: 2·H in place of H; default false
 * @param options.layers so many on top of each other, each over all steps of the one below; default
 *   1
 * @param options.weight of wx and wh; default uniform within ± 1 / sqrt(H), as in PyTorch
 */
export const lstm = /* @__PURE__ */ layer(
  lstmRecord,
  lstmTraining,
  Recurrent,
  (units: number, options: LstmOptions = {}): LstmSpec => {
    checkFirst("lstm", "units", units, 64);
    checkSettings("lstm", "options", options, OPTIONS);
    return { ...options, kind: "lstm", units };
  },
);
