import { flag } from "../../tensor/numbers.ts";
import { optionLayer } from "../engine/kinds.ts";
import { Prelu } from "../engine/prelu.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";
import type { Initializer } from "../initializers.ts";

export interface PreluSpec {
  readonly kind: "prelu";
  readonly shared?: boolean | undefined;
  readonly weight?: Initializer | undefined;
}

export const preluRecord: ServingRecord<"prelu"> = {
  kind: "prelu",
  settings: { shared: [flag, false] },
  tensors: (shape, { shared }) => ({ weight: shared ? [1] : [shape[shape.length - 1] as number] }),
  operands(tensor, length) {
    const slope = tensor("weight");
    // One for each channel, also where all have the same.
    const values = () =>
      slope.length === length
        ? slope.values()
        : new Float64Array(length).fill(slope.values()[0] as number);
    return [{ length, values }];
  },
};

export const preluTraining: TrainingRecord = {
  first: ["weight"],
  learned: ["weight"],
  keeps: "x",
  hidden: "activation",
};

/**
 * out = x where x > 0, else slope · x, with a learned slope for each channel; any shape, whose last
 * axis has the channels.
 *
 * `weight` (C,) are the slopes, by PyTorch's name. l2 leaves them alone: decay would pull them to
 * ReLU's 0.
 *
 * @param options.shared true has one slope for all channels, a `weight` (1,), as nn.PReLU() of
 *   PyTorch has it; default false
 * @param options.weight default constant(0.25)
 */
export const prelu = /* @__PURE__ */ optionLayer<PreluSpec>(preluRecord, preluTraining, Prelu);
