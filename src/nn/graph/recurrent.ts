// What the records of recurrent layers have in common.

import { count, flag, type Setting } from "../../tensor/numbers.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { Operand, ServingRecord, Settings, TrainingRecord } from "./record.ts";

/** The settings of rnn(), lstm() and gru() beside their states. */
export interface RecurrentOptions {
  readonly returnSequences?: boolean | undefined;
  readonly bidirectional?: boolean | undefined;
  readonly layers?: number | undefined;
}

/** One layer of a stack in one direction, with what follows the names of its tensors. */
export interface Direction {
  readonly layer: number;
  readonly isReverse: boolean;
  /** "" of the first, "_1_reverse" of the second one's way back. */
  readonly suffix: string;
  /** The features that it takes. */
  readonly D: number;
}

const directionsOf = ({ bidirectional }: Settings): number => (bidirectional ? 2 : 1);

/** All layers and directions, in the order of PyTorch's state_dict. */
export function stackOf(features: number, settings: Settings): Direction[] {
  const { units, layers } = settings;
  const directions = directionsOf(settings);
  return Array.from({ length: layers * directions }, (_, i) => {
    const layer = Math.floor(i / directions);
    const isReverse = i % directions === 1;
    const suffix = `${layer > 0 ? `_${layer}` : ""}${isReverse ? "_reverse" : ""}`;
    return { layer, isReverse, suffix, D: layer === 0 ? features : directions * units };
  });
}

/** The tensors of a layer in one direction: a second bias is for what the reset gate multiplies. */
export const partsOf = ({ resetAfter }: Settings): readonly string[] =>
  resetAfter ? ["wx", "wh", "b", "bh"] : ["wx", "wh", "b"];

/** Several tensors one behind the other. */
function joined(tensors: readonly Operand[]): Operand {
  const length = tensors.reduce((sum, each) => sum + each.length, 0);
  return {
    length,
    values() {
      const all = new Float64Array(length);
      let at = 0;
      for (const each of tensors) {
        all.set(each.values(), at);
        at += each.length;
      }
      return all;
    },
  };
}

/** The record of a layer with G gates. */
export const recurrentRecord = (
  G: number,
  more: Record<string, Setting> = {},
): Omit<ServingRecord, "kind"> => ({
  settings: {
    ...{ units: [count], returnSequences: [flag, false], bidirectional: [flag, false] },
    ...{ layers: [count, 1], ...more },
  },
  refusal: (inShape) =>
    inShape.length === 2
      ? undefined
      : `takes examples of shape (T, D), got ${formatShape(inShape)}`,
  outShape(inShape, settings) {
    const width = directionsOf(settings) * settings.units;
    return settings.returnSequences ? [inShape[0] as number, width] : [width];
  },
  tensors([, D], settings) {
    const H: number = settings.units;
    return Object.fromEntries(
      stackOf(D as number, settings).flatMap(({ suffix, D }) => {
        const shapes: Record<string, number[]> = { wx: [D, G * H], wh: [H, G * H] };
        return partsOf(settings).map((part) => [part + suffix, shapes[part] ?? [G * H]]);
      }),
    );
  },
  operation: "recurrent",
  stack: ([T, D], settings) => [
    ...[T as number, D as number, settings.units, G, settings.layers, directionsOf(settings)],
    ...[Number(settings.returnSequences), Number(settings.resetAfter ?? false), 0],
  ],
  operands(tensor, _, settings) {
    const all = stackOf(1, settings);
    const list = (...parts: string[]) =>
      joined(
        all.flatMap(({ suffix }) =>
          partsOf(settings)
            .filter((part) => parts.includes(part))
            .map((part) => tensor(part + suffix)),
        ),
      );
    return [list("wx", "wh"), list("b", "bh")];
  },
});

const names = ["wx", "wh", "b", "bh"];

/**
 * What is known beside it where models train.
 * @param order for each block of ours which one of PyTorch's it is
 */
export const recurrentTraining = (order: readonly number[]): TrainingRecord => ({
  argument: "units",
  first: ["weight"],
  remark: ({ bidirectional, layers, returnSequences }) =>
    [
      layers > 1 ? `, ${layers} layers` : "",
      bidirectional ? ", both directions" : "",
      returnSequences ? ", all steps" : "",
    ].join(""),
  learned: names,
  decays: ["wx", "wh"],
  torchBlocks: order,
  reorders: true,
  keeps: "x",
  apartGradient: true,
});
