import { layer } from "../engine/kinds.ts";
import { Recurrent } from "../engine/recurrent.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import { type RecurrentOptions, recurrentRecord, recurrentTraining } from "../graph/recurrent.ts";
import type { Initializer } from "../initializers.ts";
import { checkFirst, checkSettings } from "../settings.ts";

/** The settings of rnn() beside its states. */
export interface RnnOptions extends RecurrentOptions {
  readonly weight?: Initializer | undefined;
}

export interface RnnSpec extends RnnOptions {
  readonly kind: "rnn";
  /** H, the states. */
  readonly units: number;
}

const OPTIONS = ["returnSequences", "bidirectional", "layers", "weight"];

export const rnnRecord: ServingRecord<"rnn"> = {
  kind: "rnn",
  ...recurrentRecord(1),
};

export const rnnTraining: TrainingRecord = /* @__PURE__ */ recurrentTraining([0]);

/**
 * The plain recurrent layer: h = tanh(xₜ · wx + h · wh + b), step after step, from zeros on.
 *
 * Each example (T, D) → (H,), the last state, or (T, H), those of all steps. `wx` (D, H),
 * `wh` (H, H), `b` (H,), with `_1` behind the names of a second layer and
 * `_reverse` behind those of the way back; loadTorch reads nn.RNN of PyTorch. The biases begin as
 * zeros.
 *
 * @param units H, a whole number from 1 up
 * @param options.returnSequences true gives the states of all steps; default false
 * @param options.bidirectional true goes both ways, and puts the last states, or those of each
 *   step, side by side: 2·H in place of H; default false
 * @param options.layers so many on top of each other, each over all steps of the one below; default
 *   1
 * @param options.weight of wx and wh; default uniform within ± 1 / sqrt(H), as in PyTorch
 */
export const rnn = /* @__PURE__ */ layer(
  rnnRecord,
  rnnTraining,
  Recurrent,
  (units: number, options: RnnOptions = {}): RnnSpec => {
    checkFirst("rnn", "units", units, 64);
    checkSettings("rnn", "options", options, OPTIONS);
    return { ...options, kind: "rnn", units };
  },
);
