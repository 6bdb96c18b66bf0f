// What the records of convolutions have in common.

import { count, flag, type Setting } from "../../tensor/numbers.ts";
import {
  type Axes,
  outputPaddingRefusal,
  type Pair,
  placeTransposed,
  placeWindow,
  readOutputPadding,
} from "../../tensor/window.ts";
import { weightAndBias } from "./product.ts";
import type { ServingRecord, Settings, TrainingRecord } from "./record.ts";
import { sizeReader, slides, slidingOf, slidingSettings } from "./windows.ts";

const settings = (axes: Axes, more: Record<string, Setting> = {}): Record<string, Setting> => ({
  filters: [count],
  ...slidingSettings(axes, 1),
  ...more,
  dilation: [sizeReader(axes), 1],
  groups: [count, 1],
  useBias: [flag, true],
});

/** Why so many groups do not fit; undefined where they do. */
const groupsRefusal = (C: number, { filters, groups }: Settings): string | undefined =>
  C % groups === 0 && filters % groups === 0
    ? undefined
    : `groups must divide the ${C} channels and the ${filters} filters, got ${groups}`;

/** The record of conv1d or conv2d. */
export const convolution = (axes: Axes): Omit<ServingRecord, "kind"> => ({
  operation: "conv2d",
  settings: settings(axes),
  ...slides(axes, (image, C, settings) => {
    const sliding = slidingOf(settings, axes);
    const placement = groupsRefusal(C, settings) ?? placeWindow(image, sliding, axes);
    if (typeof placement === "string") return placement;
    return { image, sliding, placement, C, F: settings.filters, groups: settings.groups };
  }),
  tensors: (inShape, { filters, kernel, groups, useBias }) => ({
    weight: [...[kernel].flat(), (inShape.at(-1) as number) / groups, filters],
    ...(useBias && { bias: [filters] }),
  }),
  isProduct: true,
  operands: weightAndBias,
});

/** The record of convTranspose2d. */
export const transposedConvolution: Omit<ServingRecord, "kind"> = {
  settings: settings(2, {
    outputPadding: [(operation, _, value) => readOutputPadding(operation, value, 2), 0],
  }),
  ...slides(
    2,
    (image, C, settings) => {
      const sliding = slidingOf(settings, 2);
      const more = settings.outputPadding as Pair;
      const placement =
        outputPaddingRefusal(more, sliding, 2) ??
        groupsRefusal(C, settings) ??
        placeTransposed(image, sliding, more, 2);
      if (typeof placement === "string") return placement;
      return { image, sliding, placement, C, F: settings.filters, groups: settings.groups };
    },
    true,
  ),
  tensors: (inShape, { filters, kernel, groups, useBias }) => ({
    weight: [...kernel, filters / groups, inShape.at(-1) as number],
    ...(useBias && { bias: [filters] }),
  }),
  // Nothing joins it: the columns of its weight are the channels in, to which no factor belongs.
  values: () => [-Infinity, Infinity],
  operands: weightAndBias,
};

/** What is known of them where they are trained. */
export const convTraining: TrainingRecord = {
  argument: "filters",
  first: ["weight", "bias"],
  remark: ({ kernel, useBias }) => `, ${[kernel].flat().join(" × ")}${useBias ? "" : ", no bias"}`,
  learned: ["weight", "bias"],
  decays: ["weight"],
  transposed: ["weight"],
  keeps: "x",
  apartGradient: true,
};
