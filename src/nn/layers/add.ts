import { Add } from "../engine/combine.ts";
import { type PlainSpec, plainLayer } from "../engine/kinds.ts";
import { combining } from "../graph/broadcasting.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export type AddSpec = PlainSpec<"add">;

export const addRecord: ServingRecord<"add"> = { kind: "add", ...combining };

export const addTraining: TrainingRecord = {};

/**
 * The sum of two nodes of a graph, element by element and with NumPy's broadcasting: out = a + b.
 *
 * Examples a (…) and b (…) → (…), of the larger rank; where one has a length of 1, or no axis, it
 * is repeated.
 */
export const add = /* @__PURE__ */ plainLayer(addRecord, addTraining, Add);
